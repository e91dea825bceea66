//! Two hosts, of which the first one's agent is cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::Guest;
use e2e::points::{FROM, How, INJECT};
use e2e::{
    Chain, Cni, Container, Lab, PATIENCE, Place as _, bins, networks, snapshot, wait_for,
    wait_until,
};
use serde_json::{Value, json};

use super::{Counts, KINDS, LIFE, NETWORKS, Phase, Point, Step};
use crate::guest::{entries, netns};
use crate::site::{Site, serves, start};

/// Two hosts, of which the first one's agent is cut.
pub(super) struct Scene {
    site: Site,
    containers: Vec<Container>,
    /// On the other host, for what leads there.
    _there: Guest,
    netns: String,
    before: String,
    /// How much the agent had said when it had put all right.
    started: usize,
    // It ends last.
    _lab: Lab,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let lab = Lab::new()?;
        let site = start(&lab, 2)?;
        let host = site.host(0)?.clone();
        snapshot::quiet(&host)?;
        host.copy_program(&bins::injected("netd")?, INJECT)?;
        site.done(1, &["create", "-d", "overlay", "old"])?;
        site.wait_shown(0, "old")?;
        let _there = Guest::new(site.host(1)?, "there", "old", &json!({}))?;
        let names = ["a", "b", "c"];
        let containers = names.map(|name| host.add_container(name));
        let containers = containers.into_iter().collect::<Result<Vec<_>>>()?;
        let netns = netns(&site, "old")?;
        let mut scene =
            Self { site, containers, _there, netns, before: String::new(), started: 0, _lab: lab };
        // What stays of the first time is there from then on.
        scene.live(false, false)?;
        snapshot::settled(&host)?;
        scene.before = scene.state()?;
        Ok(scene)
    }

    /// All there is, but for whose turn it is.
    fn state(&self) -> Result<String> {
        let mut state = snapshot::take(self.site.host(0)?)?;
        for (key, value) in self.site.stored("")?.iter().filter(|(key, _)| key != "turn") {
            state += &format!("store: {key} {value}\n");
        }
        if self.site.host(1)?.path(&self.netns).exists() {
            let there = entries(self.site.host(1)?, &self.netns)?;
            state += &format!("there: {}\n", there.join("; "));
        }
        Ok(state)
    }

    /// Goes through a life. Where something fails of an agent that lives it is done again, and works; gives
    /// whether the agent was killed.
    fn live(&mut self, kills: bool, by_plugin: bool) -> Result<bool> {
        let (mut was_killed, mut is_off) = (false, false);
        for step in LIFE {
            if is_off && matches!(step, Step::Attach(_)) {
                continue;
            }
            let Err(error) = self.step(step) else { continue };
            if kills && !was_killed {
                let node = &mut self.site.nodes[0];
                wait_until("it is killed", PATIENCE, || !node.is_alive())
                    .with_context(|| format!("{step:?}: {error:#}"))?;
                was_killed = true;
                if by_plugin {
                    self.take_off()?;
                    is_off = true;
                }
                self.plain()?;
            }
            let again = || format!("{step:?} again, after: {error:#}");
            self.again(step, is_off).with_context(again)?;
        }
        Ok(was_killed)
    }

    fn step(&self, step: Step) -> Result<()> {
        match step {
            Step::Create => {
                self.site.done(0, &["create", "-d", "overlay", "new"])?;
            }
            Step::Attach(number) => {
                let (container, network) = (&self.containers[number], NETWORKS[number]);
                attach(container, network, &json!({}))?;
                for (network, ifname) in [(network, "eth0"), ("netd_gwbridge", "eth1")] {
                    let missing = missing(container, network, ifname)?;
                    ensure!(missing.is_empty(), "{network}: {missing:?}");
                }
            }
            Step::Detach(number) => detach(&self.containers[number], NETWORKS[number])?,
            Step::Remove => {
                self.site.done(0, &["rm", "new"])?;
            }
        }
        Ok(())
    }

    /// Does it again, where it may be done already.
    fn again(&self, step: Step, is_off: bool) -> Result<()> {
        match step {
            // Who was killed may have made it in etcd, and the next one hear of it only after a start.
            Step::Create => wait_for("it is made", PATIENCE, || {
                let is_there = || self.site.inspect(0, "new").map(drop);
                is_there().or_else(|_| self.step(step)).map(Some)
            }),
            Step::Attach(_) if is_off => Ok(()),
            Step::Attach(number) => {
                detach(&self.containers[number], NETWORKS[number])?;
                self.step(step)
            }
            Step::Remove if self.site.inspect(0, "new").is_err() => Ok(()),
            // Who was killed may have told the others of containers that are gone.
            Step::Remove => wait_for("it is removed", PATIENCE, || self.step(step).map(Some)),
            Step::Detach(_) => self.step(step),
        }
    }

    /// DEL of all containers, without an agent.
    fn take_off(&self) -> Result<()> {
        let host = self.site.host(0)?;
        for (container, network) in self.containers.iter().zip(NETWORKS) {
            let file = format!("/run/netd/net.d/{network}.conflist");
            // A network that is not made yet has no list, and no containers.
            let Ok(list) = host.read(&file) else { continue };
            let list: Value = serde_json::from_str(&list)?;
            Chain::new(list).del(&Cni::new(container))?;
            let left = container.interfaces()?;
            ensure!(left == ["lo"], "DEL without the agent leaves {left:?} of {network}");
        }
        Ok(())
    }

    /// Runs an agent that is cut from now on.
    fn arm(&mut self, wish: &str) -> Result<()> {
        let node = &mut self.site.nodes[0];
        node.kill();
        node.host.sh(&format!("rm -f {FROM}"))?;
        node.run(INJECT, &[("NETD_INJECT", wish), ("NETD_INJECT_FROM", FROM)])?;
        serves(node)?;
        node.host.write_file(FROM, "")
    }

    /// The start of an agent that is cut, with containers on both networks, of which somebody has deleted what
    /// is below: it is put right, also by the one that is started after it. Gives whether it was killed.
    fn start_cut(&mut self, wish: &str, kills: bool) -> Result<bool> {
        let (begun, ended) = LIFE.split_at(3);
        begun.iter().try_for_each(|step| self.step(*step))?;
        let node = &mut self.site.nodes[0];
        node.kill();
        node.host.sh("for netns in /run/netd/netns/*; do
             nsenter --net=$netns sh -c 'ip link del br0; ip link del vxlan0'
             done")?;
        node.host.write_file(FROM, "")?;
        node.run(INJECT, &[("NETD_INJECT", wish), ("NETD_INJECT_FROM", FROM)])?;
        let mut was_killed = false;
        let host = node.host.clone();
        wait_until("it serves, or is killed", PATIENCE, || {
            was_killed = kills && !node.is_alive();
            was_killed || networks::network(&host, &["ls"]).is_ok_and(|it| it.code == 0)
        })?;
        // What is looked at after that is put right, too, or not any more.
        let right = |scene: &Self| {
            [0, 1].into_iter().all(|number| {
                let missing = missing(&scene.containers[number], NETWORKS[number], "eth0");
                missing.is_ok_and(|missing| missing.is_empty())
            })
        };
        wait_until("all is put right, or it is killed", PATIENCE, || {
            was_killed = kills && !self.site.nodes[0].is_alive();
            was_killed || right(self)
        })?;
        if was_killed {
            self.plain()?;
            wait_until("the next one puts all right", PATIENCE, || right(self))?;
        }
        self.started = self.site.nodes[0].agent()?.log().len();
        let ended = ended.iter().filter(|step| !matches!(step, Step::Attach(_) | Step::Detach(2)));
        let mut was_failed = false;
        for step in ended {
            let Err(error) = self.step(*step) else { continue };
            // What is done late in a start, as on a slow machine, is cut in what comes after it.
            ensure!(!was_killed && !was_failed, "{step:?}: {error:#}");
            if kills {
                let node = &mut self.site.nodes[0];
                wait_until("it is killed", PATIENCE, || !node.is_alive())
                    .with_context(|| format!("{step:?}: {error:#}"))?;
                was_killed = true;
                self.plain()?;
            } else {
                was_failed = true;
            }
            self.again(*step, false)
                .with_context(|| format!("{step:?} again, after: {error:#}"))?;
        }
        Ok(was_killed)
    }

    /// What is wrong after a point; whether it was reached is counted.
    pub(super) fn attempt(
        &mut self,
        point: &Point,
        reached: &AtomicUsize,
    ) -> Result<Option<String>> {
        let (wish, kills) = (point.how.wish(point.kind, point.nth), point.how == How::Killed);
        let lived = if point.phase == Phase::Start {
            self.plain()?;
            self.start_cut(&wish, kills)
        } else {
            self.arm(&wish)?;
            self.live(kills, point.nth / 2 % 2 == 1)
        };
        let log = self.site.nodes[0].agent()?.log();
        if matches!(lived, Ok(true)) || log.contains("cut at ") {
            reached.fetch_add(1, Ordering::Relaxed);
        }
        let wrong = lived.and_then(|_| self.wait_as_before()).err();
        let last: Vec<&str> = log.lines().rev().take(12).collect();
        Ok(wrong.map(|error| format!("{point}: {error:#}\n    {}", last.join("\n    "))))
    }

    fn wait_as_before(&self) -> Result<()> {
        let mut last = String::new();
        let waited = wait_until("all is as before", PATIENCE, || {
            last = self.state().unwrap_or_default();
            last == self.before
        });
        waited.with_context(|| snapshot::differences(&self.before, &last))
    }

    /// Runs an agent that is not cut.
    fn plain(&mut self) -> Result<()> {
        let node = &mut self.site.nodes[0];
        node.kill();
        node.resume()?;
        serves(node)
    }

    /// How many places of each kind there are in a phase.
    pub(super) fn counted(&mut self, phase: Phase) -> Result<Counts> {
        if phase == Phase::Start {
            self.plain()?;
            self.start_cut("count", false)?;
        } else {
            self.arm("count")?;
            self.live(false, false)?;
        }
        let log = self.site.nodes[0].agent()?.log();
        // What comes after a start is of a life.
        let end = if phase == Phase::Start { self.started } else { log.len() };
        let log = log.get(..end).unwrap_or_default();
        let count = |kind: &&str| log.lines().filter(|line| line.starts_with(*kind)).count();
        Ok(KINDS.iter().map(|kind| (*kind, count(kind))).collect())
    }
}
