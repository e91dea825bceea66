//! The other hosts of the cluster, and what happens to them.

use std::collections::BTreeMap;

use super::leased::{lease, subnet_of};
use super::{Keyspace, LeaseValue, SubnetKey};
use crate::store::{Change, Entry, Followed, Listing, Revision};

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
    /// A host's lease is gone.
    Deleted(SubnetKey),
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
}

impl View {
    pub(super) fn new(keys: Keyspace, own: SubnetKey) -> Self {
        Self { keys, own, known: ClusterView::default() }
    }

    /// What the store's news mean.
    pub(super) fn take(&mut self, news: Followed) -> Vec<ClusterEvent> {
        match news {
            Followed::Listed(listing) => self.reset(listing),
            Followed::Changed(changes) => {
                changes.into_iter().filter_map(|change| self.change(change)).collect()
            }
        }
    }

    fn reset(&mut self, listing: Listing) -> Vec<ClusterEvent> {
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
        self.known = ClusterView { peers };
        let reset = ClusterEvent::Reset(self.known.clone());
        std::iter::once(reset).chain(malformed).collect()
    }

    fn change(&mut self, change: Change) -> Option<ClusterEvent> {
        match change {
            Change::Put(entry) => match self.peer(entry) {
                Ok(Some(peer)) => {
                    let before = self.known.peers.insert(peer.subnet, peer.clone());
                    (before.as_ref() != Some(&peer)).then_some(ClusterEvent::Put(peer))
                }
                Ok(None) => None,
                Err(fault) => Some(fault.event()),
            },
            Change::Deleted { key, .. } => {
                let subnet = subnet_of(&self.keys, &key).ok()?;
                self.known.peers.remove(&subnet).map(|_| ClusterEvent::Deleted(subnet))
            }
        }
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
            // One that is written again with the same value stays what it was.
            Ok(value) => match self.known.peers.get(&lease.subnet) {
                Some(known) if known.value == value => Ok(Some(known.clone())),
                Some(_) | None => {
                    let revision = lease.entry.mod_revision;
                    Ok(Some(Peer { subnet: lease.subnet, value, revision }))
                }
            },
            Err(error) => Err(Unreadable {
                subnet: Some(lease.subnet),
                key: lease.entry.key,
                reason: error.to_string(),
            }),
        }
    }
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
