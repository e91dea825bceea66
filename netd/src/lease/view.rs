//! The other hosts of the cluster, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::leased::{lease, subnet_of};
use super::{Keyspace, LeaseValue, SubnetKey};
use crate::store::{Change, Entry, Listing};

/// Another host.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its subnet.
    pub subnet: SubnetKey,
    /// What it publishes.
    pub value: LeaseValue,
}

/// All other hosts; never this one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterView {
    /// By subnet.
    pub peers: BTreeMap<SubnetKey, Peer>,
}

/// Which store it is that tells of the hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// What its first host called it; a store that is built anew has another name.
    pub name: Option<String>,
    /// Where it was built anew: until when hosts that have not registered again count as there,
    /// since the beginning of 1970.
    pub until: Option<Duration>,
    /// These hosts.
    pub missing: BTreeSet<SubnetKey>,
}

impl StoreState {
    /// How long hosts that are missing count as there; `None` where none can be missing.
    #[must_use]
    pub fn left(&self, now: Duration) -> Option<Duration> {
        self.until.map(|until| until.saturating_sub(now))
    }
}

/// What was known before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The other hosts.
    pub view: ClusterView,
    /// The store that told of them.
    pub store: StoreState,
}

/// What happens to the other hosts.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterEvent {
    /// These are all there are: at the start, and whenever changes may have been missed. A peer
    /// whose lease has become unreadable meanwhile is in it as it was known before.
    Reset(ClusterView),
    /// A host is there, or publishes something else. Never twice the same.
    Put(Peer),
    /// A host has this lease in place of one that it overlaps: what leads to both stays.
    Replaced {
        /// The lease that is gone.
        old: SubnetKey,
        /// What is there in its place.
        new: Peer,
    },
    /// A host's lease is gone.
    Deleted(SubnetKey),
    /// The store is another one, or other hosts are missing in it.
    Store(StoreState),
    /// A lease cannot be read, by a fault of its writer. What is known of that host stays.
    Malformed {
        /// The key as it is in the store.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is known of the other hosts. Pure: the store's news in, events out.
#[derive(Debug)]
pub(super) struct View {
    keys: Keyspace,
    own: SubnetKey,
    known: ClusterView,
    /// Those of the known that the store does not tell of, since it was built anew.
    missing: BTreeSet<SubnetKey>,
}

impl View {
    /// What is known before the store's first news.
    pub(super) fn new(keys: Keyspace, own: SubnetKey, known: ClusterView) -> Self {
        Self { keys, own, known, missing: BTreeSet::new() }
    }

    /// Those that count as there though the store does not tell of them.
    pub(super) fn missing(&self) -> BTreeSet<SubnetKey> {
        self.missing.clone()
    }

    /// Whoever is missing is gone.
    pub(super) fn give_up(&mut self) -> Vec<ClusterEvent> {
        let missing = std::mem::take(&mut self.missing);
        missing.into_iter().filter_map(|subnet| self.forget(subnet)).collect()
    }

    /// These are all leases. Hosts that were known and have none are gone; or, where they are to be
    /// kept, missing, unless somebody else has addresses of theirs.
    pub(super) fn reset(&mut self, listing: Listing, keep: bool) -> Vec<ClusterEvent> {
        let mut peers = BTreeMap::new();
        let mut malformed = Vec::new();
        for entry in listing.entries {
            match self.peer(entry) {
                Ok(Some(peer)) => {
                    peers.insert(peer.subnet, peer);
                }
                Ok(None) => {}
                Err(fault) => {
                    let known = fault.subnet.and_then(|subnet| self.known.peers.get(&subnet));
                    peers.extend(known.map(|peer| (peer.subnet, peer.clone())));
                    malformed.push(fault.event());
                }
            }
        }
        self.missing.clear();
        for (subnet, peer) in std::mem::take(&mut self.known.peers) {
            let is_taken = peers.keys().chain([&self.own]).any(|other| other.overlaps(&subnet));
            if keep && !is_taken {
                self.missing.insert(subnet);
                peers.insert(subnet, peer);
            }
        }
        self.known = ClusterView { peers };
        let reset = ClusterEvent::Reset(self.known.clone());
        std::iter::once(reset).chain(malformed).collect()
    }

    /// What changes of leases mean.
    pub(super) fn changed(&mut self, changes: Vec<Change>) -> Vec<ClusterEvent> {
        let events = changes.into_iter().flat_map(|change| self.change(change));
        together(events.collect())
    }

    fn change(&mut self, change: Change) -> Vec<ClusterEvent> {
        match change {
            Change::Put(entry) => match self.peer(entry) {
                Ok(Some(peer)) => self.put(peer),
                Ok(None) => Vec::new(),
                Err(fault) => vec![fault.event()],
            },
            Change::Deleted { key, .. } => {
                let subnet = subnet_of(&self.keys, &key).ok();
                subnet.and_then(|subnet| self.forget(subnet)).into_iter().collect()
            }
        }
    }

    /// A host that was missing is there again, or has given way to this one.
    fn put(&mut self, peer: Peer) -> Vec<ClusterEvent> {
        self.missing.remove(&peer.subnet);
        let mut gone = self.missing.clone();
        gone.retain(|subnet| subnet.overlaps(&peer.subnet));
        let mut events: Vec<_> = gone.into_iter().filter_map(|gone| self.forget(gone)).collect();
        let before = self.known.peers.insert(peer.subnet, peer.clone());
        if before.as_ref() != Some(&peer) {
            events.push(ClusterEvent::Put(peer));
        }
        events
    }

    fn forget(&mut self, subnet: SubnetKey) -> Option<ClusterEvent> {
        self.missing.remove(&subnet);
        self.known.peers.remove(&subnet).map(|_| ClusterEvent::Deleted(subnet))
    }

    /// The peer of an entry, none for our own.
    fn peer(&self, entry: Entry) -> Result<Option<Peer>, Unreadable> {
        let lease = lease(&self.keys, entry).map_err(|(key, error)| Unreadable {
            subnet: None,
            key,
            reason: error.to_string(),
        })?;
        if lease.subnet == self.own {
            return Ok(None);
        }
        match lease.value {
            Ok(value) => Ok(Some(Peer { subnet: lease.subnet, value })),
            Err(error) => Err(Unreadable {
                subnet: Some(lease.subnet),
                key: lease.entry.key,
                reason: error.to_string(),
            }),
        }
    }
}

/// Makes one event of a lease that goes and one that comes in its place. A transaction's changes are
/// told together.
fn together(events: Vec<ClusterEvent>) -> Vec<ClusterEvent> {
    let mut told: Vec<ClusterEvent> = Vec::new();
    for event in events {
        match (told.last(), event) {
            (Some(ClusterEvent::Deleted(old)), ClusterEvent::Put(new))
                if old.overlaps(&new.subnet) && *old != new.subnet =>
            {
                let old = *old;
                told.pop();
                told.push(ClusterEvent::Replaced { old, new });
            }
            (_, event) => told.push(event),
        }
    }
    told
}

/// A lease that cannot be read, and its subnet where the key names one.
struct Unreadable {
    subnet: Option<SubnetKey>,
    key: String,
    reason: String,
}

impl Unreadable {
    fn event(self) -> ClusterEvent {
        ClusterEvent::Malformed { key: self.key, reason: self.reason }
    }
}

#[cfg(test)]
mod tests;
