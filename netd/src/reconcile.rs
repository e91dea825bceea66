//! The one loop that makes the kernel hold what it should, and keeps it so.
//!
//! A thread of its own owns the desired state and the only sockets that write ([`Kernel`] is
//! synchronous). It is told of the cluster's events and listens to the kernel's; events only say
//! when and where. One peer's event costs by that peer alone: what was wanted of it before and
//! what is wanted now are compared, nothing is read. Everything is looked at once at the start, on
//! a timer, after losses, and where a device or the table of rules was touched. What failed is
//! tried again, each peer by itself, and holds nobody else up.
//!
//! What it may remove is bounded by [`Overlay::scope`] and its own table; leftovers of an earlier
//! run go in the first round.

mod apply;
mod between;
mod burst;
mod counts;
mod host;
pub(crate) mod inbox;
mod left;
mod notice;
mod parts;
mod peers;
mod places;
mod plan;
pub(crate) mod retry;
mod round;
mod shared;
#[cfg(test)]
mod tests;
mod unheard;
mod work;

use std::collections::BTreeMap;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use drivers::firewall::iptables;
use drivers::traffic::Traffic;
use drivers::vxlan::ROUTE_PROTOCOL;
use kernel::Kernel;
use kernel::events::{Events, Own};
use netstate::nft::Family;
use tokio::sync::{oneshot, watch};

use crate::backend::Overlay;
use crate::lease::{ClusterEvent, SubnetKey};

pub use counts::{Counts, LastRound};
pub use host::{Applied, Host};
pub use inbox::{Ended, Entrance};
pub use parts::{Part, Share};

/// Where to send inputs. Clones lead to the same loop.
pub type Inputs = Entrance<Input>;

use inbox::Inbox;

/// The thread's name. nf_tables tells everybody who made a change by it, 15 bytes at most
/// (`NFTA_GEN_PROC_NAME`).
pub(crate) const THREAD: &str = "netd-reconcile";

/// What the host is to be.
#[derive(Debug, Clone)]
pub struct Goal {
    /// The backend with this host's subnet.
    pub overlay: Overlay,
    /// The rules of traffic.
    pub traffic: Traffic,
    /// Accept the overlay's packets where iptables' FORWARD drops.
    pub forward_rules: bool,
    /// Keep a route that drops what is for the own subnet and nobody has.
    pub blackhole: bool,
    /// How often everything is looked at though nothing was heard of.
    pub resync: Duration,
}

/// What the loop is told.
#[derive(Debug)]
pub enum Input {
    /// Something happened to another host.
    Cluster(ClusterEvent),
    /// The host is to be something else from now on.
    Goal(Box<Goal>),
    /// Answers when its turn comes: the loop works.
    Ping(oneshot::Sender<()>),
    /// Answers with the commands that a look at everything would run now, and runs none; or says
    /// why it cannot tell.
    Plan(oneshot::Sender<Result<Vec<String>, String>>),
    /// The end.
    Stop,
}

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// All peers of the store were known and everything was made once.
    pub synced: bool,
    /// Why the host's own devices and rules are not as they should be.
    pub trouble: Option<String>,
    /// Peers there are.
    pub peers: usize,
    /// Peers that are not connected.
    pub unconnected: usize,
    /// How many of them for which kind of reason.
    pub reasons: BTreeMap<&'static str, usize>,
    /// The reason for one of them.
    pub reason: Option<String>,
    /// Peers whose subnet is outside the network.
    pub outside: usize,
    /// One of them.
    pub outsider: Option<SubnetKey>,
}

/// Hears of whatever the loop keeps and somebody else touches, in the calling thread's network
/// namespace, from now on.
///
/// # Errors
/// Where a netlink socket cannot be opened.
pub fn listen() -> io::Result<Events> {
    let table = drivers::traffic::id();
    let families = [Family::Ip, Family::Ip6].into_iter();
    let names = ["FORWARD", iptables::CNI_FORWARD];
    let chains = families.flat_map(|ip| names.map(|name| iptables::chain(ip, name))).collect();
    let own =
        Own { route_protocol: ROUTE_PROTOCOL, table, chains, threads: THREAD, ..Own::default() };
    Events::open(own)
}

/// The loop, from outside. Dropping it ends the loop; the kernel keeps what was made.
#[derive(Debug)]
pub struct Reconciler {
    inputs: Inputs,
    health: watch::Receiver<Health>,
    counts: watch::Receiver<Counts>,
    uplink: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Reconciler {
    /// Starts the loop of a network in the calling thread's network namespace. Nothing is changed
    /// before the first [`ClusterEvent::Reset`].
    ///
    /// # Errors
    /// Where no thread can be made.
    pub fn start(goal: Goal, events: Events, part: Part) -> io::Result<Self> {
        Self::spawn(Box::new(Kernel::open(None)), goal, Some(events), part)
    }

    /// Starts the loop of the only network of a host that tells of no changes, or by these events.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on(host: Box<dyn Host>, goal: Goal, events: Option<Events>) -> io::Result<Self> {
        Self::spawn(host, goal, events, Part::default())
    }

    fn spawn(
        host: Box<dyn Host>,
        goal: Goal,
        events: Option<Events>,
        part: Part,
    ) -> io::Result<Self> {
        let (inputs, mut inbox) = Inbox::new(events)?;
        let (report, health) = watch::channel(Health::default());
        let (counting, counts) = watch::channel(Counts::default());
        let (hint, uplink) = watch::channel(());
        let network = tracing::Span::current();
        let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            let _network = network.entered();
            let telling = work::Telling { report, counts: counting, uplink: hint };
            work::Work::new(host, goal, part, telling).run(&mut inbox);
        })?;
        Ok(Self { inputs, health, counts, uplink, thread: Some(thread) })
    }

    /// Where to send inputs.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    /// How it stands; changes are told.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// What it has done; changes are not told.
    #[must_use]
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.clone()
    }

    /// Told when the interface between hosts, or the addresses or default routes of the host, may
    /// have changed.
    #[must_use]
    pub fn uplink(&self) -> watch::Receiver<()> {
        self.uplink.clone()
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        // A thread that has ended takes no more inputs, and has nothing left to do.
        let _ = self.inputs.send(Input::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
