//! Hosts whose leases have ended without a word of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{ClusterEvent, View};
use crate::lease::SubnetKey;
use crate::lease::leased::subnet_of;
use crate::store::{Listing, Session};

impl View {
    /// The host that a key is of, and what its lease lived by.
    pub(in crate::lease) fn session(&self, key: &str) -> Option<(SubnetKey, Session)> {
        let subnet = subnet_of(&self.keys, key).ok()?;
        self.known.peers.get(&subnet)?.session.map(|session| (subnet, session))
    }

    /// Those of the known that are not in a listing, and what their leases lived by: how these ended
    /// was not heard.
    pub(in crate::lease) fn vanished(&self, listing: &Listing) -> Vec<(SubnetKey, Session)> {
        let listed = listing.entries.iter().filter_map(|e| subnet_of(&self.keys, &e.key).ok());
        let listed: BTreeSet<SubnetKey> = listed.collect();
        let is_gone = |subnet| !listed.contains(subnet) && !self.lapsed.contains_key(subnet);
        let gone = self.known.peers.values().filter(|peer| is_gone(&peer.subnet));
        gone.filter_map(|peer| Some((peer.subnet, peer.session?))).collect()
    }

    /// Whether the host of a subnet has another lease as well: it is not cut off.
    pub(in crate::lease) fn has_another(&self, subnet: SubnetKey) -> bool {
        let own = self.address(&subnet);
        let mut others = self.known.peers.values().filter(|peer| peer.subnet != subnet);
        others.any(|peer| Some(peer.value.public_ip) == own)
    }

    /// A host's lease is about to be told as gone, and has ended without a word: it counts as there.
    pub(in crate::lease) fn lapse(&mut self, subnet: SubnetKey, until: Duration) {
        if self.known.peers.contains_key(&subnet) {
            self.lapsed.insert(subnet, until);
        }
    }

    /// Those whose leases ended without a word.
    pub(in crate::lease) fn lapsed(&self) -> BTreeMap<SubnetKey, Duration> {
        self.lapsed.clone()
    }

    /// When the first of them is gone.
    pub(in crate::lease) fn next_end(&self) -> Option<Duration> {
        self.lapsed.values().min().copied()
    }

    /// Those whose time is over are gone.
    pub(in crate::lease) fn expire(&mut self, now: Duration) -> Vec<ClusterEvent> {
        let over = self.lapsed.iter().filter(|(_, until)| **until <= now).map(|(key, _)| *key);
        let over: Vec<SubnetKey> = over.collect();
        over.into_iter().filter_map(|subnet| self.forget(subnet)).collect()
    }
}
