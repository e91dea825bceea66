//! Two hosts and their store; the agent of one of them is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::rtnetlink::{Made, wait_until_made};
use e2e::{
    Etcd, Host, Internet, Lab, NETD, PATIENCE, Place as _, Process, Stored, bins, snapshot,
    wait_until,
};

use crate::agent::{INJECT, TRACE};
use crate::ground::Ground;
use crate::looks::Looks;
use crate::phase::Phase;
use crate::point::Cut;
use crate::remembered;
use crate::seen;
use crate::state::{Leased, Who, describe, unused};

const SCRIPT: &str = include_str!("../../assets/agent.sh");
const OPTIONS: [&str; 7] = [
    "-healthz-ip=127.0.0.1",
    "-healthz-port=8081",
    "-ip-masq",
    "-ip-blackhole-route",
    "-cni-conf-dir=/etc/cni/net.d",
    // No look at everything that is not called for.
    "-iptables-resync=600",
    "-log=debug",
];
/// How long a host's sign of life lasts, in seconds.
const SIGN_OF_LIFE: i64 = 30;
/// The addresses that the host has in turn.
pub(crate) const ADDRESSES: [&str; 2] = ["192.0.2.10", "192.0.2.110"];
/// Its link-layer address: one site's end of a phase is any site's.
const MAC: &str = "02:00:00:00:77:10";

/// What is to be seen at the end of each phase.
pub(crate) type Wanted = BTreeMap<Phase, String>;

/// Hosts end before the store does, and all of it before the lab.
pub(crate) struct Site {
    pub(crate) agent: Option<Process>,
    pub(crate) strace: Option<Process>,
    pub(crate) peer_agent: Option<Process>,
    pub(crate) host: Host,
    pub(crate) peer: Host,
    pub(crate) etcd: Etcd,
    pub(crate) internet: Internet,
    _lab: Lab,
    pub(crate) options: Vec<String>,
    /// Which of [`ADDRESSES`] it has.
    pub(crate) address: usize,
    /// By machine id.
    pub(crate) machines: [(String, &'static str); 2],
    /// What the store was made to hold; `None` where that was changed.
    pub(crate) ground: Option<Ground>,
    /// All is right on the host, and an agent runs that is not cut.
    pub(crate) is_whole: bool,
    /// The own lease at which what the agent remembers was saved.
    pub(crate) saved: Option<Stored>,
    /// The own lease that another host's was written over.
    pub(crate) lost: Option<Stored>,
    pub(crate) is_store_away: bool,
    /// The store's leases before a phase.
    pub(crate) leases: BTreeSet<i64>,
    pub(crate) wanted: Wanted,
}

impl Site {
    /// A site that knows what is to be seen after each of these phases when it is not cut.
    pub(crate) fn new(phases: &[Phase]) -> Result<Self> {
        let mut site = Self::that_wants(Wanted::new())?;
        site.learn(Phase::First)?;
        for phase in phases.iter().filter(|phase| **phase != Phase::First) {
            site.learn(*phase)?;
        }
        Ok(site)
    }

    /// A site that knows it already.
    pub(crate) fn that_wants(wanted: Wanted) -> Result<Self> {
        let lab = Lab::new()?;
        let internet = lab.internet()?;
        let etcd = Etcd::start(&internet.host, "192.0.2.1".parse()?)?;
        let (host, peer) = (lab.host("cut")?, lab.host("peer")?);
        for host in [&host, &peer] {
            internet.connect(&lab, host)?;
            snapshot::quiet(host)?;
            host.copy_program(&bins::program("netd")?, NETD)?;
            host.write_file("/opt/agent.sh", SCRIPT)?;
            host.write_file(TRACE, "")?;
        }
        host.run(&["ip", "link", "set", "eth0", "address", MAC])?;
        host.copy_program(&bins::injected("netd")?, INJECT)?;
        let machine = |host: &Host| host.read("/etc/machine-id").map(|id| id.trim().to_owned());
        Ok(Self {
            machines: [(machine(&host)?, "OWN-MACHINE"), (machine(&peer)?, "PEER-MACHINE")],
            agent: None,
            strace: None,
            peer_agent: None,
            host,
            peer,
            etcd,
            internet,
            _lab: lab,
            options: Vec::new(),
            address: 0,
            ground: None,
            is_whole: false,
            saved: None,
            lost: None,
            is_store_away: false,
            leases: BTreeSet::new(),
            wanted,
        })
    }

    /// Runs a phase that is not cut to its end, and notes what there is then.
    pub(crate) fn learn(&mut self, phase: Phase) -> Result<()> {
        self.prepare(phase, &Cut::Nothing)?;
        self.begin(phase, &Cut::Nothing)?;
        let mut last = String::new();
        let ended = wait_until(&format!("the end of {phase:?}"), PATIENCE, || {
            let Ok(now) = self.state() else { return false };
            let same = now == last;
            last = now;
            same && phase.ends() == self.has_ended() && phase.is_over(&last)
        });
        ended.with_context(|| format!("{last}\n{}", self.log()))?;
        self.wait_for_peer(phase)?;
        if !phase.ends() && phase.after_restart() == Phase::First && phase != Phase::First {
            let differences = snapshot::differences(self.wanted(Phase::First)?, &last);
            ensure!(differences.is_empty(), "{phase:?} ends otherwise than First: {differences}");
        }
        self.wanted.insert(phase, phase.about(&last));
        Ok(())
    }

    pub(crate) fn wanted(&self, phase: Phase) -> Result<&str> {
        self.wanted.get(&phase).map(String::as_str).with_context(|| format!("the end of {phase:?}"))
    }

    /// Whether the host is as it is to be at the end of a phase.
    pub(crate) fn is_at_end(&self, phase: Phase) -> Result<bool> {
        Ok(phase.about(&self.state()?) == self.wanted(phase)?)
    }

    /// Waits until the host's end of a phase is as wanted, and the other host's.
    pub(crate) fn wait_for_end(&self, phase: Phase) -> Result<()> {
        let wanted = self.wanted(phase)?;
        let mut last = Err(anyhow::anyhow!("nothing was seen"));
        let mut looks = Looks::default();
        let waited = wait_until(&format!("the end of {phase:?}"), PATIENCE, || {
            if looks.is_due() {
                last = self.state().map(|now| phase.about(&now));
            }
            last.as_ref().is_ok_and(|now| now == wanted)
        });
        waited.with_context(|| match last {
            Ok(last) => snapshot::differences(wanted, &last),
            Err(error) => format!("{error:#}"),
        })?;
        self.wait_for_peer(phase)
    }

    /// Waits until the other host has what leads to this one, and nothing else.
    pub(crate) fn wait_for_peer(&self, phase: Phase) -> Result<()> {
        let (own, peer) = (self.address()?, IpAddr::from([192, 0, 2, 11]));
        let leased = Leased::read(&self.etcd.all()?.0);
        let has_none = matches!(phase, Phase::Leave | Phase::Lost | Phase::StartLost);
        let has_one = leased.iter().any(|lease| lease.at == own);
        ensure!(has_one != has_none, "the lease at the end of {phase:?}");
        let others = leased.iter().filter(|lease| lease.at != peer);
        let made: Vec<BTreeSet<Made>> = others.map(Leased::made).collect::<Result<_>>()?;
        let made: BTreeSet<Made> = made.into_iter().flatten().collect();
        wait_until_made(&self.peer, &format!("the end of {phase:?}"), PATIENCE, |seen| {
            *seen == made
        })
    }

    /// All there is of the host.
    pub(crate) fn state(&self) -> Result<String> {
        let seen = seen::lines(&self.host)?;
        let remembered = remembered::read(&self.host.path("/var/lib/netd/netd.redb"))?;
        let (stored, leases) = self.etcd.all()?;
        let who = Who { machines: self.machines.clone(), own: self.address()? };
        Ok(describe(&seen, &remembered, &stored, &leases, &who))
    }

    /// The own lease, of the first network.
    pub(crate) fn own(&self) -> Result<Option<Stored>> {
        let (stored, own) = (self.etcd.all()?.0, self.address()?);
        let lease = Leased::read(&stored).into_iter().find(|lease| lease.at == own);
        Ok(lease.and_then(|lease| stored.into_iter().find(|entry| entry.key == lease.key)))
    }

    /// How many leases of the store's nothing is tied to that were granted for as long as a subnet's
    /// since the phase began.
    pub(crate) fn unused_leases(&self) -> Result<usize> {
        let (stored, leases) = self.etcd.all()?;
        let new: Vec<i64> = unused(&stored, &leases).difference(&self.leases).copied().collect();
        let granted = self.etcd.granted(&new)?;
        Ok(granted.into_iter().filter(|seconds| *seconds > SIGN_OF_LIFE).count())
    }

    /// The options of the agents in the networks that there are.
    pub(crate) fn set_options(&mut self, ground: Ground) -> Result<()> {
        self.options = self.etcd.flags(&self.host)?;
        self.options.extend(OPTIONS.iter().chain(ground.options()).map(|o| (*o).to_owned()));
        Ok(())
    }

    pub(crate) fn script(&self, words: &[&str]) -> Result<()> {
        self.host.command(&["bash", "/opt/agent.sh"]).args(words).run().map(drop)
    }

    pub(crate) fn address(&self) -> Result<IpAddr> {
        Ok(ADDRESSES[self.address].parse()?)
    }
}
