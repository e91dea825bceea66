//! The other hosts of the cluster, and what happens to them.

mod lapse;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::leased::{lease, subnet_of};
use super::{Keyspace, Known, LeaseValue, StoreState, SubnetKey};
use crate::store::{Change, Entry, Listing, Revision, Session};

/// Another host.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its subnet.
    pub subnet: SubnetKey,
    /// What it publishes.
    pub value: LeaseValue,
    /// When it was written so, 0 where that is not known: of two leases that contradict each other
    /// the later is right.
    pub revision: Revision,
    /// What its lease lives by; a reservation has none, and of a host that was kept by an older netd
    /// it is not known.
    pub session: Option<Session>,
}

/// All other hosts; never this one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterView {
    /// By subnet.
    pub peers: BTreeMap<SubnetKey, Peer>,
}

/// What happens to the other hosts.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterEvent {
    /// These are all there are: at the start, and whenever changes may have been missed. A peer
    /// whose lease has become unreadable meanwhile is in it as it was known before.
    Reset(ClusterView),
    /// A host is there, or publishes something else. Never twice the same.
    Put(Peer),
    /// A host's lease lives by another session; all else of it is as it was.
    Renewed(Peer),
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
    missing: Arc<BTreeSet<SubnetKey>>,
    /// Those whose leases ended without a word, and until when they count as there.
    lapsed: BTreeMap<SubnetKey, Duration>,
}

impl View {
    /// What is known before the store's first news.
    pub(super) fn new(keys: Keyspace, own: SubnetKey, known: Known) -> Self {
        let Known { view, store } = known;
        let mut lapsed = store.lapsed;
        lapsed.retain(|subnet, _| view.peers.contains_key(subnet));
        Self { keys, own, known: view, missing: Arc::default(), lapsed }
    }

    /// Revisions of a store that is gone say nothing any more.
    pub(super) fn forget_revisions(&mut self) {
        self.known.peers.values_mut().for_each(|peer| peer.revision = 0);
    }

    /// Those that count as there though the store does not tell of them.
    pub(super) fn missing(&self) -> Arc<BTreeSet<SubnetKey>> {
        Arc::clone(&self.missing)
    }

    /// Whoever is missing is gone.
    pub(super) fn give_up(&mut self) -> Vec<ClusterEvent> {
        let missing = std::mem::take(&mut self.missing);
        missing.iter().filter_map(|subnet| self.forget(*subnet)).collect()
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
        let mut missing = BTreeSet::new();
        self.lapsed.retain(|subnet, _| !peers.contains_key(subnet));
        let there: BTreeSet<Ipv4Addr> = peers.values().map(|peer| peer.value.public_ip).collect();
        for (subnet, peer) in std::mem::take(&mut self.known.peers) {
            let is_taken = peers.keys().chain([&self.own]).any(|other| other.overlaps(&subnet));
            let lapsed = self.lapsed.contains_key(&subnet);
            let moved = lapsed && there.contains(&peer.value.public_ip);
            if is_taken || moved || !(keep || lapsed) {
                self.lapsed.remove(&subnet);
                continue;
            }
            if !lapsed {
                missing.insert(subnet);
            }
            peers.insert(subnet, peer);
        }
        self.missing = Arc::new(missing);
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
                subnet
                    .filter(|subnet| !self.lapsed.contains_key(subnet))
                    .and_then(|subnet| self.forget(subnet))
                    .into_iter()
                    .collect()
            }
        }
    }

    /// Of a known host.
    fn address(&self, subnet: &SubnetKey) -> Option<Ipv4Addr> {
        self.known.peers.get(subnet).map(|peer| peer.value.public_ip)
    }

    /// A host that was missing is there again, or has given way to this one; one that has another
    /// lease now is not cut off.
    fn put(&mut self, peer: Peer) -> Vec<ClusterEvent> {
        self.is_there(&peer.subnet);
        let gives_way = |subnet: &&SubnetKey| {
            let moved = self.lapsed.contains_key(subnet)
                && self.address(subnet) == Some(peer.value.public_ip);
            subnet.overlaps(&peer.subnet) || moved
        };
        let gone = self.missing.iter().chain(self.lapsed.keys()).filter(gives_way).copied();
        let gone: BTreeSet<SubnetKey> = gone.collect();
        let mut events: Vec<_> = gone.into_iter().filter_map(|gone| self.forget(gone)).collect();
        let before = self.known.peers.insert(peer.subnet, peer.clone());
        match before {
            Some(before) if before == peer => {}
            Some(before) if before.value == peer.value => events.push(ClusterEvent::Renewed(peer)),
            Some(_) | None => events.push(ClusterEvent::Put(peer)),
        }
        events
    }

    fn is_there(&mut self, subnet: &SubnetKey) {
        if self.missing.contains(subnet) {
            Arc::make_mut(&mut self.missing).remove(subnet);
        }
        self.lapsed.remove(subnet);
    }

    fn forget(&mut self, subnet: SubnetKey) -> Option<ClusterEvent> {
        self.is_there(&subnet);
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
        let (subnet, session) = (lease.subnet, lease.entry.session);
        match lease.value {
            Ok(value) => {
                // One that is written again with the same value is as old as it was.
                let known = self.known.peers.get(&subnet).filter(|known| known.value == value);
                let revision = known.map_or(lease.entry.mod_revision, |known| known.revision);
                Ok(Some(Peer { subnet, value, revision, session }))
            }
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
