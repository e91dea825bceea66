//! The peers, what is wanted for each, and which of them wait for another attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use netstate::{Mac, NetState};

use super::Health;
use super::retry::Retry;
use crate::backend::UnusablePeer;
use crate::lease::{Peer, SubnetKey};

/// The kind of reason where the kernel has refused what leads to a peer.
const REFUSED: &str = "kernel-refused";

/// All peers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    entries: BTreeMap<SubnetKey, Entry>,
    /// Base addresses of subnets: destination of the route and address of the neighbour.
    by_base: BTreeMap<IpAddr, SubnetKey>,
    by_mac: BTreeMap<Mac, SubnetKey>,
    /// Those that wait, by when.
    waiting: BTreeSet<(Instant, SubnetKey)>,
    /// How many peers cannot be used, by the kind of the reason.
    unusable: BTreeMap<&'static str, usize>,
}

/// A peer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: Peer,
    /// What leads to it; empty where it cannot be used.
    pub(super) wanted: NetState,
    unusable: Option<UnusablePeer>,
    retry: Option<Retry>,
}

impl Peers {
    /// Puts a peer in the place of what was known of it, and gives what was wanted for it before.
    pub(super) fn put(&mut self, peer: Peer, wanted: Result<NetState, UnusablePeer>) -> NetState {
        let key = peer.subnet;
        let before = self.remove(&key);
        let (wanted, unusable) = match wanted {
            Ok(wanted) => (wanted, None),
            Err(why) => (NetState::default(), Some(why)),
        };
        if let Some(why) = &unusable {
            *self.unusable.entry(why.kind()).or_default() += 1;
        }
        for net in key.networks() {
            self.by_base.insert(net.network(), key);
        }
        for entry in &wanted.fdb {
            self.by_mac.insert(entry.mac, key);
        }
        self.entries.insert(key, Entry { peer, wanted, unusable, retry: None });
        before
    }

    /// Forgets a peer, and gives what was wanted for it.
    pub(super) fn remove(&mut self, key: &SubnetKey) -> NetState {
        let Some(entry) = self.entries.remove(key) else { return NetState::default() };
        if let Some(why) = &entry.unusable
            && let Some(count) = self.unusable.get_mut(why.kind())
        {
            *count -= 1;
        }
        if let Some(retry) = entry.retry {
            self.waiting.remove(&(retry.due, *key));
        }
        for net in key.networks() {
            if self.by_base.get(&net.network()) == Some(key) {
                self.by_base.remove(&net.network());
            }
        }
        for fdb in &entry.wanted.fdb {
            if self.by_mac.get(&fdb.mac) == Some(key) {
                self.by_mac.remove(&fdb.mac);
            }
        }
        entry.wanted
    }

    pub(super) fn get(&self, key: &SubnetKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SubnetKey, &Entry)> {
        self.entries.iter()
    }

    /// How many want which peer of a WireGuard link.
    pub(super) fn wg_claims(&self) -> BTreeMap<&(netstate::LinkName, netstate::PublicKey), usize> {
        let mut claims = BTreeMap::new();
        for id in self.entries.values().flat_map(|entry| entry.wanted.wg_peers.keys()) {
            *claims.entry(id).or_default() += 1;
        }
        claims
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The peer whose subnet begins with an address.
    pub(super) fn based_at(&self, base: IpAddr) -> Option<SubnetKey> {
        self.by_base.get(&base).copied()
    }

    /// The peer with a link-layer address.
    pub(super) fn at_mac(&self, mac: Mac) -> Option<SubnetKey> {
        self.by_mac.get(&mac).copied()
    }

    /// Notes that a peer could not be made. Gives whether that is news.
    pub(super) fn failed(&mut self, key: &SubnetKey, reason: String, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        let retry = Retry::after(entry.retry.as_ref(), reason, now);
        let news = entry.retry.as_ref().is_none_or(|old| old.reason != retry.reason);
        if let Some(old) = entry.retry.replace(retry.clone()) {
            self.waiting.remove(&(old.due, *key));
        }
        self.waiting.insert((retry.due, *key));
        news
    }

    /// Notes that a peer is as it should be. Gives whether it was not.
    pub(super) fn succeeded(&mut self, key: &SubnetKey) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        match entry.retry.take() {
            Some(retry) => self.waiting.remove(&(retry.due, *key)),
            None => false,
        }
    }

    /// Notes that all peers are as they should be.
    pub(super) fn all_succeeded(&mut self) {
        self.waiting.clear();
        for entry in self.entries.values_mut() {
            entry.retry = None;
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Those that are due.
    pub(super) fn due(&self, now: Instant) -> Vec<SubnetKey> {
        self.waiting.iter().take_while(|(due, _)| *due <= now).map(|(_, key)| *key).collect()
    }

    /// Writes how the peers stand.
    pub(super) fn tell(&self, health: &mut Health) {
        health.peers = self.entries.len();
        health.reasons.clone_from(&self.unusable);
        health.reasons.insert(REFUSED, self.waiting.len());
        health.reasons.retain(|_, count| *count > 0);
        health.unconnected = health.reasons.values().sum();
        let waiting = self.waiting.first().and_then(|(_, key)| {
            let retry = self.entries.get(key)?.retry.as_ref()?;
            Some(format!("{key}: {}", retry.reason))
        });
        health.reason = waiting.or_else(|| {
            if health.unconnected == 0 {
                return None;
            }
            self.entries
                .iter()
                .find_map(|(key, e)| e.unusable.as_ref().map(|why| format!("{key}: {why}")))
        });
    }
}
