//! How a phase comes about.

use anyhow::{Context as _, Result};
use e2e::{FOREIGN, NETD, PATIENCE, PREFIX, Place as _, Stored, wait_until};
use rustix::process::Signal;

use crate::agent::{ARMED, TRACE};
use crate::ground::{Ground, WIDE};
use crate::phase::Phase;
use crate::point::Cut;
use crate::site::{ADDRESSES, Site};
use crate::state::FOREIGN_ADDRESS;

/// What the agent says of a lease that another host has written over.
const LOST: &str = "the lease is lost; ";

impl Site {
    /// Brings the host to where a phase begins, with an agent that is going to be cut where one runs.
    pub(crate) fn prepare(&mut self, phase: Phase, cut: &Cut) -> Result<()> {
        (self.agent, self.strace) = (None, None);
        self.put_store_right()?;
        if self.ground != Some(phase.ground()) {
            self.stand_on(phase.ground())?;
        }
        self.host.sh(&format!("rm -f {ARMED}; : > {TRACE}"))?;
        if phase.is_of_new_host() {
            self.wipe()?
        } else {
            self.settle()?
        }
        self.is_whole = false;
        match phase {
            Phase::Boot => self.script(&["boot"])?,
            Phase::Resume => {
                self.script(&["boot"])?;
                self.take_store_away()?;
            }
            Phase::StartLost => self.lose()?,
            Phase::First
            | Phase::Again
            | Phase::Config
            | Phase::Address
            | Phase::Deleted
            | Phase::Lost
            | Phase::GivenUp
            | Phase::Anew
            | Phase::Stop
            | Phase::Cleanup
            | Phase::Leave
            | Phase::Dual
            | Phase::HostGw
            | Phase::Udp
            | Phase::Networks => {}
        }
        if phase.runs_before() {
            if let Cut::Strace(options) = cut {
                self.whole(&Cut::Nothing)?;
                self.attach(options)?;
            } else {
                self.whole(cut)?;
            }
        }
        if phase == Phase::GivenUp {
            self.lose()?;
            self.agent.as_mut().context("an agent")?.wait_for_log(LOST, PATIENCE)?;
        }
        self.leases = self.etcd.all()?.1;
        Ok(())
    }

    /// Begins a phase.
    pub(crate) fn begin(&mut self, phase: Phase, cut: &Cut) -> Result<()> {
        self.host.write_file(ARMED, "")?;
        match phase {
            Phase::First
            | Phase::Boot
            | Phase::Again
            | Phase::StartLost
            | Phase::Resume
            | Phase::Dual
            | Phase::HostGw
            | Phase::Udp
            | Phase::Networks
            | Phase::Cleanup
            | Phase::Leave => self.run(phase.command().unwrap_or("run"), cut),
            Phase::Config => {
                self.ground = None;
                self.etcd.configure(WIDE)
            }
            Phase::Address => {
                let before = self.address()?;
                self.address = 1 - self.address;
                self.script(&["move", &before.to_string(), &self.address()?.to_string()])
            }
            Phase::Deleted => {
                let own = self.own()?.context("a lease")?;
                self.etcd.delete(&[own.key])
            }
            Phase::Lost => self.lose(),
            Phase::Anew => {
                self.ground = None;
                self.etcd.kill()?;
                self.etcd.begin_anew()
            }
            Phase::GivenUp => {
                let address = self.address()?.to_string();
                let acquire = ["lease", "acquire", "--new", "--public-ip", &address];
                let flags = self.etcd.flags(&self.host)?;
                (self.lost, self.ground) = (None, None);
                self.host.command(&[NETD]).args(acquire).args(&flags).run().map(drop)
            }
            Phase::Stop => self.agent.as_ref().context("an agent")?.signal(Signal::TERM),
        }
    }

    /// A host on which all is right, whose agent is killed and remembers it as if nothing else had ever
    /// happened: how much is written depends on what is remembered.
    fn settle(&mut self) -> Result<()> {
        if !self.is_whole {
            self.wipe()?;
            self.whole(&Cut::Nothing)?;
            self.wait_for_end(Phase::First)?;
            self.agent = None;
        }
        let own = self.own()?;
        if self.saved == own {
            return self.script(&["restore"]);
        }
        self.saved = own;
        self.script(&["save"])
    }

    /// The networks, and both hosts as new ones in them.
    fn stand_on(&mut self, ground: Ground) -> Result<()> {
        self.peer_agent = None;
        self.peer.run(&["bash", "/opt/agent.sh", "wipe"])?;
        self.wipe()?;
        let all = self.etcd.all()?.0.into_iter().map(|entry| entry.key);
        self.etcd.delete(&all.collect::<Vec<_>>())?;
        for (key, value) in ground.configs() {
            self.etcd.put(&format!("{PREFIX}/{key}"), value, 0)?;
        }
        self.set_options(ground)?;
        let peer = self.peer.command(&[NETD, "run"]).args(&self.options).spawn("netd")?;
        let ready = || is_ready(&peer.log(), ground);
        wait_until("the other host is ready", PATIENCE, ready).with_context(|| peer.log())?;
        self.peer_agent = Some(peer);
        self.ground = Some(ground);
        Ok(())
    }

    /// Neither host nor store know of an agent.
    fn wipe(&mut self) -> Result<()> {
        (self.agent, self.is_whole) = (None, false);
        self.script(&["wipe"])?;
        let addresses = [self.address()?.to_string(), FOREIGN_ADDRESS.to_owned()];
        let is_own = |Stored { key, value, .. }: &Stored| {
            let has = |address: &String| value.contains(&format!("\"{address}\""));
            let of_host = key.contains(&self.machines[0].0);
            of_host || (key.starts_with(PREFIX) && addresses.iter().any(has))
        };
        let own = self.etcd.all()?.0.into_iter().filter(is_own).map(|entry| entry.key);
        self.etcd.delete(&own.collect::<Vec<_>>())
    }

    /// A host on which all is right, with an agent.
    fn whole(&mut self, cut: &Cut) -> Result<()> {
        self.run("run", cut)?;
        self.wait_for_ready()
    }

    pub(crate) fn wait_for_ready(&self) -> Result<()> {
        wait_until("the agent is ready", PATIENCE, || self.is_ready()).with_context(|| self.log())
    }

    /// Whether the agent has said so, of all networks that there are.
    pub(crate) fn is_ready(&self) -> bool {
        is_ready(&self.log(), self.ground.unwrap_or(Ground::Vxlan))
    }

    /// Another host writes its lease over this one's, of which a container has an address.
    fn lose(&mut self) -> Result<()> {
        let own = self.own()?.context("a lease")?;
        let subnet = own.key.rsplit('/').next().unwrap_or_default().replace(".0-", ".1/");
        self.script(&["attach", &subnet])?;
        self.etcd.put(&own.key, FOREIGN, 0)?;
        self.lost = Some(own);
        Ok(())
    }

    fn take_store_away(&mut self) -> Result<()> {
        let from = ADDRESSES.join(", ");
        self.is_store_away = true;
        let rules = format!(
            "nft -f - <<<'table inet away {{ chain input {{ type filter hook input priority filter;
                 ip saddr {{ {from} }} tcp dport 2379 reject with tcp reset; }}; }}'"
        );
        self.internet.host.sh(&rules).map(drop)
    }

    /// Undoes what a phase has done to the store.
    fn put_store_right(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_store_away) {
            self.internet.host.run(&["nft", "delete", "table", "inet", "away"])?;
        }
        if let Some(Stored { key, value, lease }) = self.lost.take() {
            self.script(&["detach"])?;
            self.etcd.put(&key, &value, lease)?;
        }
        Ok(())
    }
}

/// What an agent says once all is made, in a line for each network.
fn is_ready(log: &str, ground: Ground) -> bool {
    let says = |line: &&str| line.contains(" INFO ") && line.ends_with(" ready");
    log.lines().filter(says).count() >= ground.configs().len()
}
