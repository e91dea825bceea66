//! The other hosts of the cluster, and what happens to them.

use std::collections::BTreeMap;

use super::{LeaseValue, SubnetKey};

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
