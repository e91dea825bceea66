//! An agent that is killed while a running container gets, or loses, what leads out of it. Names begin with the
//! id of the behaviour of Docker's that is shown.

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::cut::Cut;
use e2e::points::{FROM, INJECT};
use e2e::{Container, PATIENCE, Place as _, bins, require, require_programs, snapshot, wait_until};
use serde_json::{Value, json};

use crate::attach_life::start_proxy;
use crate::ports::proxy;
use crate::site::{Site, run};

/// What an agent does that others can see, and what it opens for that. Calls are counted for each thread; so that
/// others' come in between less, each kind is counted by itself.
const CALLS: [&str; 5] = [
    "sendto,sendmsg",
    "open,openat",
    "write",
    "rename,renameat,renameat2",
    "unlink,unlinkat,mkdir,mkdirat,rmdir",
];

/// A container with a way out, which network `second` is to take over.
struct Scene<'s> {
    site: &'s mut Site,
    container: Container,
    /// Its network before, if netd gave it one.
    first: Option<&'static str>,
    more: Value,
    /// All there is without `second`.
    before: String,
    /// On which somebody listens without it: what the proxy, which is not killed, must not keep.
    ports: String,
}

/// Where the agent is killed.
#[derive(Debug, Clone, Copy)]
enum At {
    Call(&'static str, usize),
    /// A message to the kernel, of those in a batch each.
    Message(usize),
}

impl<'s> Scene<'s> {
    fn new(site: &'s mut Site, container: Container, first: Option<&'static str>) -> Result<Self> {
        start_proxy(site)?;
        let ports = json!([{ "hostPort": 8082, "containerPort": 82 }]);
        let more = json!({ "ifname": "eth1", "live": true, "gwPriority": 5, "ports": ports });
        let mut scene =
            Self { site, container, first, more, before: String::new(), ports: String::new() };
        scene.connect()?;
        wait_until("bridges with ports are up", PATIENCE, || {
            let states = "cat /sys/class/net/*/brport/bridge/operstate 2>/dev/null || true";
            scene.site.host.sh(states).is_ok_and(|shown| !shown.stdout.contains("down"))
        })?;
        ensure!(scene.check("at the start")?, "network second is not there");
        detach(&scene.container, "second")?;
        ensure!(!scene.check("at the start")?, "network second is there");
        scene.before = snapshot::settled(&scene.site.host)?;
        scene.ports = snapshot::ports(&scene.site.host)?;
        ensure!(
            scene.ports.contains(":8090\n") && !scene.ports.contains(":8082\n"),
            "{}",
            scene.ports
        );
        Ok(scene)
    }

    fn connect(&self) -> Result<()> {
        attach(&self.container, "second", &self.more).map(drop)
    }

    /// One way leads out, by who says so, and whatever is there is whole. Whether `second` is there.
    fn check(&self, at: &str) -> Result<bool> {
        let is_connected = missing(&self.container, "second", "eth1").is_ok();
        let networks = self.first.map(|first| (first, "eth0")).into_iter();
        for (network, ifname) in networks.chain(is_connected.then_some(("second", "eth1"))) {
            let missing = missing(&self.container, network, ifname)?;
            ensure!(missing.is_empty(), "{at}: {network}: {missing:?}");
        }
        let dev = if is_connected { " dev eth1 " } else { " dev eth0 " };
        for family in ["-4", "-6"] {
            let shown = self.container.run(&["ip", family, "route", "show", "default"])?.stdout;
            let routes: Vec<&str> = shown.lines().filter(|line| line.contains("default")).collect();
            let is_one = matches!(routes.as_slice(), [one] if one.contains(dev));
            ensure!(is_one, "{at}: {family}: not by{dev}alone: {shown:?}");
        }
        Ok(is_connected)
    }

    /// Kills the agent in the middle of connecting or disconnecting; whether it came so far.
    fn cut(&mut self, at: At, connects: bool) -> Result<bool> {
        let cut = match at {
            At::Call(calls, nth) => Some(Cut::at(self.site.pid()?, calls, nth)?),
            At::Message(nth) => {
                self.site.kill();
                self.site.host.sh(&format!("rm -f {FROM}"))?;
                let inject = format!("message:kill:{nth}");
                self.site.run(INJECT, &[("NETD_INJECT", &inject), ("NETD_INJECT_FROM", FROM)])?;
                self.site.host.write_file(FROM, "")?;
                None
            }
        };
        let done = if connects { self.connect() } else { detach(&self.container, "second") };
        cut.map_or(Ok(()), |cut| cut.end(done.is_ok()))?;
        if done.is_ok() {
            return Ok(false);
        }
        let killed = wait_until("it is killed", PATIENCE, || !self.site.is_alive());
        killed.with_context(|| format!("{at:?}: {done:?}"))?;
        Ok(true)
    }

    /// At every place of a kind, when it connects and when it disconnects; how many there were.
    fn cut_everywhere(&mut self, place: impl Fn(usize) -> At) -> Result<[usize; 2]> {
        let mut cuts = [0, 0];
        for (count, connects) in cuts.iter_mut().zip([true, false]) {
            for nth in 0.. {
                if !connects {
                    self.connect()?;
                }
                let text = format!("{:?}, connects: {connects}", place(nth));
                let is_cut = self.cut(place(nth), connects)?;
                if is_cut || matches!(place(nth), At::Message(_)) {
                    self.site.kill();
                    self.site.resume()?;
                }
                if self.check(&text)? {
                    detach(&self.container, "second")?;
                }
                let left = snapshot::settled(&self.site.host)?;
                let is_same = left == self.before;
                ensure!(is_same, "{text}: {}", snapshot::differences(&self.before, &left));
                snapshot::same_ports(&self.site.host, &self.ports).context(text)?;
                if !is_cut {
                    break;
                }
                *count += 1;
            }
        }
        Ok(cuts)
    }
}

fn with_both(test: impl FnOnce(&mut Scene<'_>) -> Result<()>) -> Result<()> {
    run(|site| {
        snapshot::quiet(&site.host)?;
        site.done(&["create", "--ipv6", "first"])?;
        site.done(&["create", "--ipv6", "second"])?;
        let container = site.host.add_container("one")?;
        let ports = json!({ "ports": [{ "hostPort": 8080, "containerPort": 80 }] });
        attach(&container, "first", &ports)?;
        test(&mut Scene::new(site, container, Some("first"))?)
    })
}

#[test]
fn b13_an_agent_that_is_killed_at_any_call_while_a_default_route_moves_loses_none() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    with_both(|scene| {
        for calls in CALLS {
            let cuts = scene.cut_everywhere(|nth| At::Call(calls, nth + 1))?;
            ensure!(cuts.iter().sum::<usize>() > 1, "{calls}: {cuts:?} cuts");
        }
        Ok(())
    })
}

#[test]
fn b13_an_agent_that_is_killed_at_any_message_while_a_default_route_moves_loses_none() -> Result<()>
{
    if !require("built netd (make build)", bins::injected("netd").is_ok())? {
        return Ok(());
    }
    with_both(|scene| {
        scene.site.host.copy_program(&bins::injected("netd")?, INJECT)?;
        let cuts = scene.cut_everywhere(At::Message)?;
        ensure!(cuts.iter().all(|cuts| *cuts > 5), "{cuts:?} cuts");
        Ok(())
    })
}

/// What an agent does before it starts the proxy, when it does, and after.
const START: [&str; 3] = ["rename,renameat,renameat2", "clone,clone3,fork,vfork", "connect"];

#[test]
fn b13_an_agent_that_is_killed_while_the_first_port_starts_the_proxy_keeps_no_port() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(|site| {
        snapshot::quiet(&site.host)?;
        site.done(&["create", "app"])?;
        let container = site.host.add_container("one")?;
        let more = json!({ "ports": [{ "hostPort": 8080, "containerPort": 80 }] });
        let has_ended = |site: &Site| proxy(site).is_ok_and(|found| found.is_none());
        attach(&container, "app", &more)?;
        detach(&container, "app")?;
        let free = (snapshot::settled(&site.host)?, snapshot::ports(&site.host)?);
        let mut outlived = 0;
        for calls in START {
            for nth in 1.. {
                // Without an agent it ends, as it has no port.
                site.kill();
                wait_until("there is no proxy", PATIENCE, || has_ended(site))?;
                site.resume()?;
                let cut = Cut::at(site.pid()?, calls, nth)?;
                let done = attach(&container, "app", &more);
                if done.is_err() {
                    wait_until("the agent is killed", PATIENCE, || !site.is_alive())?;
                }
                // The proxy is traced, too, and is let go on.
                cut.end(true)?;
                if done.is_err() {
                    outlived += usize::from(!has_ended(site));
                    site.kill();
                    site.resume()?;
                }
                let text = format!("{calls} {nth}");
                if missing(&container, "app", "eth0").is_ok_and(|missing| !missing.is_empty()) {
                    anyhow::bail!("{text}: half attached");
                }
                detach(&container, "app")?;
                let left = snapshot::settled(&site.host)?;
                ensure!(left == free.0, "{text}: {}", snapshot::differences(&free.0, &left));
                snapshot::same_ports(&site.host, &free.1).context(text)?;
                if done.is_ok() {
                    ensure!(nth > 1, "{calls}: never killed");
                    break;
                }
            }
        }
        ensure!(outlived > 0, "no proxy was started before a kill");
        Ok(())
    })
}

#[test]
fn b13_an_agent_that_is_killed_gives_a_runtime_its_own_default_route_back() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(|site| {
        snapshot::quiet(&site.host)?;
        site.done(&["create", "--ipv6", "second"])?;
        let container = site.host.add_container("one")?;
        site.host.sh("ip link add theirs type veth peer name eth0 netns one
             ip addr add 10.77.0.1/24 dev theirs; ip link set theirs up
             ip -n one addr add 10.77.0.2/24 dev eth0; ip -n one link set eth0 up
             ip -n one addr add fd77::2/64 dev eth0 nodad
             ip -n one route add default via 10.77.0.1
             ip -n one -6 route add default via fd77::1")?;
        let mut scene = Scene::new(site, container, None)?;
        for calls in ["sendto,sendmsg", "rename,renameat,renameat2", "unlink,unlinkat"] {
            let cuts = scene.cut_everywhere(|nth| At::Call(calls, nth + 1))?;
            ensure!(cuts.iter().sum::<usize>() > 1, "{calls}: {cuts:?} cuts");
        }
        Ok(())
    })
}
