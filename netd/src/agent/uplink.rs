//! Follows the interface between hosts: its addresses and its MTU may change while the agent runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use cni::ErrorChain;
use kernel::Kernel;
use netstate::LinkName;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::options::IfaceOptions;
use crate::lease::Leases;
use crate::underlay::{self, Underlay};

/// Changes come in groups: an address goes, the next one and a route come.
const SETTLING: Duration = Duration::from_millis(20);

/// What to follow.
#[derive(Debug, Clone)]
pub(super) struct Uplink {
    pub(super) options: IfaceOptions,
    /// Whether the cluster has IPv6.
    pub(super) dual: bool,
    /// It stays this interface: that others depend on the way a host takes is no surprise to be
    /// had while it runs.
    pub(super) link: LinkName,
    /// How often it is looked at though nothing was heard of.
    pub(super) every: Duration,
}

/// Why the interface cannot be used as it is by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    /// What is in force goes on working.
    pub(super) harmless: bool,
    pub(super) reason: String,
}

/// What was seen last, and the task that looks until it is dropped.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) seen: watch::Receiver<Result<Underlay, Unfit>>,
    _task: JoinSet<()>,
}

impl Uplink {
    /// Looks whenever there is a hint. What is in force is as `now`.
    pub(super) fn follow(
        self,
        now: Underlay,
        leases: Leases,
        mut hints: watch::Receiver<()>,
    ) -> Following {
        let (tell, seen) = watch::channel(Ok(now.clone()));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut known = BTreeSet::new();
            let mut last = now;
            loop {
                let (uplink, in_force) = (self.clone(), last.clone());
                let looked = tokio::task::spawn_blocking(move || uplink.look(&in_force));
                if let Ok((addresses, found)) = looked.await {
                    if !known.is_subset(&addresses) {
                        leases.reconnect();
                    }
                    known = addresses;
                    if let Ok(found) = &found {
                        last = found.clone();
                    }
                    tell.send_if_modified(|before| {
                        let news = *before != found;
                        *before = found;
                        news
                    });
                }
                tokio::select! {
                    hint = hints.changed() => if hint.is_err() { return },
                    () = tokio::time::sleep(self.every) => {}
                }
                tokio::time::sleep(SETTLING).await;
                hints.mark_unchanged();
            }
        });
        Following { seen, _task: task }
    }

    /// What is to be used of it now.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) async fn now(self, in_force: &Underlay) -> Result<Underlay, String> {
        let in_force = in_force.clone();
        let looked = tokio::task::spawn_blocking(move || self.look(&in_force));
        let (_, found) = looked.await.map_err(|stopped| stopped.to_string())?;
        found.map_err(|unfit| unfit.reason)
    }

    /// The interface's addresses, and what is to be used of it.
    fn look(&self, in_force: &Underlay) -> (BTreeSet<IpAddr>, Result<Underlay, Unfit>) {
        let seen = match underlay::look(&mut Kernel::open(None), &self.options) {
            Ok(seen) => seen,
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                return (BTreeSet::new(), Err(Unfit { harmless: true, reason }));
            }
        };
        let there = seen.links.iter().find(|link| link.name == self.link);
        let addresses: BTreeSet<IpAddr> =
            there.iter().flat_map(|link| &link.addrs).map(|addr| addr.net.ip()).collect();
        let v6 = in_force.v6.map(IpAddr::from);
        let mut used = std::iter::once(IpAddr::from(in_force.v4)).chain(v6);
        let harmless = used.all(|ip| addresses.contains(&ip));
        let found = match underlay::choose(&self.options, self.dual, &seen) {
            Ok(found) if found.link == self.link => Ok(found),
            Ok(other) => Err(Unfit {
                harmless,
                reason: format!(
                    "{} stays the interface between hosts, though {} would be chosen now: restart \
                     netd to change over",
                    self.link, other.link
                ),
            }),
            Err(error) => Err(Unfit { harmless, reason: error.to_string() }),
        };
        (addresses, found)
    }
}
