//! Follows the interface between hosts: its addresses and its MTU may change while the agent runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use cni::ErrorChain;
use kernel::Kernel;
use netstate::LinkName;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::config::options::IfaceOptions;
use crate::lease::Leases;
use crate::store::Backoff;
use crate::underlay::{self, Underlay};

/// Changes come in groups: an address goes, the next one and a route come.
const SETTLING: Duration = Duration::from_millis(20);

/// How long after a look that failed there is another one, at first.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// Addresses, and what is to be used.
type Looked = (BTreeSet<IpAddr>, Result<Underlay, Unfit>);

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

/// When to look again: once what comes after a hint has come too, and now and then without any.
#[derive(Debug)]
pub(super) struct Rhythm {
    hints: watch::Receiver<()>,
    every: Duration,
    backoff: Backoff,
}

impl Rhythm {
    pub(super) fn new(hints: watch::Receiver<()>, every: Duration) -> Self {
        Self { hints, every, backoff: Backoff::new(FIRST_RETRY, every) }
    }

    /// Waits until it is time, after a look that has seen something, or none. Gives whether there is anybody
    /// yet who hints.
    pub(super) async fn wait(&mut self, has_seen: bool) -> bool {
        let pause = match has_seen {
            true => {
                self.backoff.reset();
                self.every
            }
            false => self.backoff.pause(),
        };
        tokio::select! {
            hint = self.hints.changed() => if hint.is_err() { return false },
            () = tokio::time::sleep(pause) => {}
        }
        tokio::time::sleep(SETTLING).await;
        self.hints.mark_unchanged();
        true
    }
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
        hints: watch::Receiver<()>,
    ) -> Following {
        let (tell, mut seen) = watch::channel(Ok(now.clone()));
        // What another task has told is over.
        seen.mark_changed();
        let mut task = JoinSet::new();
        let looking = async move {
            let mut known = BTreeSet::new();
            let mut last = now;
            let mut rhythm = Rhythm::new(hints, self.every);
            loop {
                let (uplink, in_force) = (self.clone(), last.clone());
                let looked = tokio::task::spawn_blocking(move || uplink.look(&in_force)).await;
                let has_seen = matches!(looked, Ok(Ok(_)));
                let found = match looked {
                    Ok(Ok((addresses, found))) => {
                        if !known.is_subset(&addresses) {
                            leases.reconnect();
                        }
                        known = addresses;
                        if let Ok(found) = &found {
                            last = found.clone();
                        }
                        found
                    }
                    Ok(Err(unseen)) => Err(unseen.into()),
                    Err(stopped) => Err(stopped.to_string().into()),
                };
                tell.send_if_modified(|before| {
                    let news = *before != found;
                    *before = found;
                    news
                });
                if !rhythm.wait(has_seen).await {
                    return;
                }
            }
        };
        task.spawn(looking.in_current_span());
        Following { seen, _task: task }
    }

    /// What is to be used of it now.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) async fn now(self, in_force: &Underlay) -> Result<Underlay, String> {
        let in_force = in_force.clone();
        let looked = tokio::task::spawn_blocking(move || self.look(&in_force));
        let (_, found) = looked.await.map_err(|stopped| stopped.to_string())??;
        found.map_err(|unfit| unfit.reason)
    }

    /// The interface's addresses, and what is to be used of it.
    ///
    /// # Errors
    /// Why it cannot be seen.
    fn look(&self, in_force: &Underlay) -> Result<Looked, String> {
        let seen = underlay::look(&mut Kernel::open(None), &self.options);
        let seen = seen.map_err(|error| ErrorChain(&error).to_string())?;
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
        Ok((addresses, found))
    }
}

/// What is not seen is in force as before.
impl From<String> for Unfit {
    fn from(reason: String) -> Self {
        Self { harmless: true, reason }
    }
}
