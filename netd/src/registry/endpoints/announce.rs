//! Containers' addresses are told to their neighbours, who may know another's link-layer address by the same one
//! (`advertiseAddrs()` of moby's `osl`, 28): once before an attach ends, and again on a timer.
//!
//! Nothing is open in a container's namespace between two announcements, and nothing is written down: after a restart
//! of the agent there are no more. There is one queue for all containers.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel::Netns;
use kernel::announce::announce_by;
use kernel::closing::close_together;
use netstate::Ns;
use tokio::sync::Notify;

use super::{Endpoints, Place, life, with_host};
use crate::endpoint::Endpoint;
use crate::network::{Announcements, Direct, Id, Network};

/// How long an announcement waits for its port of the bridge, in all and from one look to the next.
const PORT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(5));

/// How many sockets may be open that have announced, as each is closed at the price of some 20 ms of waiting.
const OPEN: usize = 64;

/// What is to be announced, and when.
#[derive(Debug, Default)]
pub(in crate::registry) struct Announcer {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
    /// Sockets that have announced.
    spent: Vec<OwnedFd>,
}

/// An endpoint whose addresses are to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    place: Place,
    id: Id,
    announcements: Announcements,
    /// Its port of a bridge is waited for until then.
    patience: Instant,
}

impl Endpoints {
    /// Announces the addresses of an endpoint that has just been made, and has it done again as often as its network
    /// says. A failure is none of attaching.
    pub(super) fn announce(&self, endpoint: &Endpoint, network: &Network, netns: &Netns) {
        // They were checked when the network was made.
        let Ok(announcements) = Announcements::read(&network.options) else { return };
        let direct = Direct::of(network).ok().flatten();
        // Whose neighbours are routers learns nothing of them.
        let is_routed = direct.is_some_and(|direct| direct.options.mode.is_routed());
        if announcements.count == 0 || is_routed {
            return;
        }
        let place = (endpoint.network.clone(), endpoint.key());
        let patience = Instant::now() + PORT.0;
        self.tell(Due { place, id: endpoint.id.clone(), announcements, patience }, endpoint, netns);
    }

    /// Announces what is due by now, of containers that are there still, and closes what that has left open.
    pub(in crate::registry) fn announce_due(&self) {
        while let Some(due) = self.announcer.next_due(Instant::now()) {
            let (network, key) = &due.place;
            let there = self.index().get(network, key).filter(|one| one.id == due.id && one.made);
            let Some(there) = there else { continue };
            // A container that is gone, or that is found only by a search, is told of no more.
            if let Some(netns) = life::at(&there.netns.path, there.sandbox()) {
                self.tell(due, &there, &netns);
            }
        }
        close_together(self.announcer.take_spent());
    }

    /// When there is something to do for [`Self::announce_due`].
    pub(in crate::registry) fn announcer(&self) -> std::sync::Arc<Announcer> {
        std::sync::Arc::clone(&self.announcer)
    }

    /// Announces once, where the port of the bridge lets frames in by now, and puts off what is left to do.
    fn tell(&self, mut due: Due, endpoint: &Endpoint, netns: &Netns) {
        if Instant::now() < due.patience && !lets_in(endpoint) {
            return self.announcer.put(Instant::now() + PORT.1, due);
        }
        let (ifname, addresses) = (&endpoint.ifname, &endpoint.addresses);
        let told = announce_by(netns, ifname, addresses, |socket| self.announcer.spend(socket));
        due.announcements.count -= 1;
        match told {
            Ok(()) if due.announcements.count > 0 => {
                self.announcer.put(Instant::now() + due.announcements.pause, due);
            }
            Ok(()) => {}
            // The interface is down, renamed or gone, which is up to whoever did that.
            Err(error) => {
                let (endpoint, error) = (endpoint.owner().path(), cni::ErrorChain(&error));
                tracing::debug!(endpoint, %error, "neighbours are not told of its addresses");
            }
        }
    }
}

impl Announcer {
    /// Waits until there is something to do.
    pub(in crate::registry) async fn due(&self) {
        loop {
            let next = {
                let queue = self.queue();
                match queue.spent.is_empty() {
                    true => queue.due.keys().next().map(|(at, _)| *at),
                    false => return,
                }
            };
            let changed = self.changed.notified();
            match next {
                Some(at) if at <= Instant::now() => return,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    fn put(&self, at: Instant, due: Due) {
        let mut queue = self.queue();
        queue.count += 1;
        let key = (at, queue.count);
        queue.due.insert(key, due);
        drop(queue);
        self.changed.notify_one();
    }

    /// What is due, as long as sockets may be opened.
    fn next_due(&self, now: Instant) -> Option<Due> {
        let mut queue = self.queue();
        if queue.spent.len() >= OPEN {
            return None;
        }
        let first = queue.due.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// Keeps a socket until it is closed together with others. Whoever is too quick closes it, and waits.
    fn spend(&self, socket: OwnedFd) {
        let mut queue = self.queue();
        if queue.spent.len() < OPEN {
            queue.spent.push(socket);
        } else {
            drop(queue);
            drop(socket);
        }
        self.changed.notify_one();
    }

    fn take_spent(&self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.queue().spent)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A change is one call that does not fail.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether frames from a container get onto its bridge: a port forwards them some moments after both ends of the
/// pair are up, when the kernel has worked off the change (`linkwatch_event()`, `net/core/link_watch.c`). Since
/// Linux 6.8 the question has it worked off. Where there is no port on the host there is nothing to wait for.
fn lets_in(endpoint: &Endpoint) -> bool {
    if endpoint.overlay.is_some() {
        return true;
    }
    let there = with_host(|host| host.link_by_name(&Ns::Host, &endpoint.host_link));
    there.map_or(true, |there| there.is_none_or(|port| port.operstate == "up"))
}

#[cfg(test)]
mod tests;
