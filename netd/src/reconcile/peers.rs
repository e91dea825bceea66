//! The peers, what is wanted for each, and which of them wait for another attempt.

mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Instant;

use ipnetwork::IpNetwork;
use netstate::NetState;

use super::Health;
use super::between::Between;
use super::places::{Place, Places};
use super::retry::Retry;
use crate::backend::UnusablePeer;
use crate::lease::{Peer, SubnetKey};
use entry::Entry;

/// The kind of reason where the kernel has refused what leads to a peer.
const REFUSED: &str = "kernel-refused";
/// The kind of reason where another peer has what it needs.
const CLASH: &str = "clash";

/// All peers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    entries: BTreeMap<SubnetKey, Entry>,
    places: Places,
    between: Between,
    /// Those that wait, by when.
    waiting: BTreeSet<(Instant, SubnetKey)>,
    /// How many peers cannot be used, by the kind of the reason.
    unusable: BTreeMap<&'static str, usize>,
    /// Those in whose place is another's entry, and why.
    clashes: BTreeMap<SubnetKey, String>,
    /// Those outside the network.
    outside: BTreeSet<SubnetKey>,
}

/// What the kernel was made to hold before a change, for each peer that it may matter to.
pub(super) type Before = BTreeMap<SubnetKey, NetState>;

impl Peers {
    /// None, of a cluster with these networks.
    pub(super) fn new(networks: Vec<IpNetwork>) -> Self {
        Self { between: Between::new(networks), ..Self::default() }
    }

    /// Of a cluster with other networks, for whom is judged from now on.
    pub(super) fn of_networks(&mut self, networks: Vec<IpNetwork>) {
        self.between.of_networks(networks);
    }

    /// Puts a peer in the place of what was known of it.
    pub(super) fn put(&mut self, peer: Peer, found: Result<NetState, UnusablePeer>) -> Before {
        self.replace(peer.subnet, Some(Entry { peer, found, refused: None, retry: None }))
    }

    /// Forgets a peer.
    pub(super) fn remove(&mut self, key: &SubnetKey) -> Before {
        self.outside.remove(key);
        self.replace(*key, None)
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
        for id in
            self.entries.values().filter_map(Entry::wanted).flat_map(|state| state.wg_peers.keys())
        {
            *claims.entry(id).or_default() += 1;
        }
        claims
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the kernel is to hold for a peer: what is wanted, less what is in places that another
    /// has.
    pub(super) fn held(&self, key: &SubnetKey) -> NetState {
        let wanted = self.entries.get(key).and_then(Entry::wanted);
        wanted.map_or_else(NetState::default, |wanted| {
            Place::only(wanted, |place| self.holder(place) == Some(*key))
        })
    }

    /// Whose entry is in a place.
    pub(super) fn holder(&self, place: Place) -> Option<SubnetKey> {
        self.places.holder(place)
    }

    /// Whether some host is reached by an address of a network.
    pub(super) fn has_host_in(&self, net: IpNetwork) -> bool {
        self.between.has_address_in(net)
    }

    /// Takes all for inside the network, as it is another one now, and gives their subnets and hosts.
    pub(super) fn all_inside(&mut self) -> Vec<(SubnetKey, Ipv4Addr)> {
        self.outside.clear();
        self.entries.iter().map(|(key, entry)| (*key, entry.peer.value.public_ip)).collect()
    }

    /// Notes that a peer's subnet is outside the network. Gives whether that is news.
    pub(super) fn is_outside(&mut self, key: SubnetKey) -> bool {
        self.outside.insert(key)
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
        health.reasons.insert(CLASH, self.clashes.len());
        health.reasons.retain(|_, count| *count > 0);
        health.unconnected = health.reasons.values().sum();
        let waiting = self.waiting.first().and_then(|(_, key)| {
            let retry = self.entries.get(key)?.retry.as_ref()?;
            Some(format!("{key}: {}", retry.reason))
        });
        let clash = || self.clashes.first_key_value().map(|(key, why)| format!("{key}: {why}"));
        health.reason = waiting.or_else(clash).or_else(|| {
            if health.unconnected == 0 {
                return None;
            }
            self.entries.iter().find_map(|(key, e)| e.unusable().map(|why| format!("{key}: {why}")))
        });
        health.outside = self.outside.len();
        health.outsider = self.outside.first().copied();
    }

    /// Changes a peer, and those that are refused for its sake, or no longer.
    fn replace(&mut self, key: SubnetKey, mut after: Option<Entry>) -> Before {
        let usable = |entry: &&Entry| entry.found.is_ok();
        let mut touched = BTreeSet::new();
        if let Some(old) = self.entries.get(&key).filter(usable) {
            self.between.remove(&old.peer);
            touched = self.between.touched(&old.peer);
        }
        if let Some(new) = after.as_mut().filter(|entry| entry.found.is_ok()) {
            self.between.add(&new.peer);
            touched.extend(self.between.touched(&new.peer));
            new.refused = self.between.judge(&new.peer);
        }
        self.tell_refusal(&key, after.as_ref());
        let mut before = self.change(key, after);
        for other in touched {
            let Some(entry) = self.entries.get(&other) else { continue };
            let refused = self.between.judge(&entry.peer);
            if entry.refused == refused {
                continue;
            }
            let after = Entry {
                peer: entry.peer.clone(),
                found: entry.found.clone(),
                refused,
                retry: None,
            };
            self.tell_refusal(&other, Some(&after));
            for (key, state) in self.change(other, Some(after)) {
                // Of several changes the first says what the kernel holds.
                before.entry(key).or_insert(state);
            }
        }
        before
    }

    /// Says who is refused for another's sake, once.
    fn tell_refusal(&self, key: &SubnetKey, after: Option<&Entry>) {
        let old = self.entries.get(key).and_then(|entry| entry.refused.as_ref());
        match after.map(|entry| entry.refused.as_ref()) {
            Some(Some(why)) if old != Some(why) => {
                tracing::warn!(subnet = %key, %why, "peer cannot be used");
            }
            Some(None) if old.is_some() => tracing::info!(subnet = %key, "peer can be used again"),
            Some(_) | None => {}
        }
    }

    fn change(&mut self, key: SubnetKey, after: Option<Entry>) -> Before {
        let wanted = [self.entries.get(&key), after.as_ref()].into_iter().flatten();
        let places: BTreeSet<Place> = wanted.flat_map(Entry::places).collect();
        let mut before: Before = [(key, self.held(&key))].into();
        for holder in places.iter().filter_map(|place| self.holder(*place)) {
            before.entry(holder).or_insert_with(|| self.held(&holder));
        }
        if let Some(old) = self.entries.remove(&key) {
            self.forget(&old);
        }
        if let Some(entry) = after {
            entry.places().for_each(|place| self.places.claim(place, entry.claim()));
            if let Some(why) = entry.unusable() {
                *self.unusable.entry(why.kind()).or_default() += 1;
            }
            self.entries.insert(key, entry);
        }
        let mut keys: BTreeSet<SubnetKey> =
            places.iter().flat_map(|place| self.places.claimants(*place)).collect();
        keys.insert(key);
        keys.into_iter().for_each(|key| self.judge(key));
        // Who has got a place has one more now.
        for holder in places.iter().filter_map(|place| self.holder(*place)) {
            before.entry(holder).or_insert_with(|| {
                Place::only(&self.held(&holder), |place| !places.contains(&place))
            });
        }
        before
    }

    fn forget(&mut self, old: &Entry) {
        if let Some(why) = old.unusable()
            && let Some(count) = self.unusable.get_mut(why.kind())
        {
            *count -= 1;
        }
        if let Some(retry) = &old.retry {
            self.waiting.remove(&(retry.due, old.peer.subnet));
        }
        old.places().for_each(|place| self.places.give_up(place, old.claim()));
    }

    /// Notes whether something else than a peer wants is in one of its places.
    fn judge(&mut self, key: SubnetKey) {
        let Some(why) = self.clash(key) else {
            self.clashes.remove(&key);
            return;
        };
        if self.clashes.get(&key) != Some(&why) {
            tracing::warn!(subnet = %key, %why, "two leases contradict each other");
            self.clashes.insert(key, why);
        }
    }

    fn clash(&self, key: SubnetKey) -> Option<String> {
        let wanted = self.entries.get(&key)?.wanted()?;
        Place::all(wanted).find_map(|place| {
            let holder = self.holder(place).filter(|holder| *holder != key)?;
            let at = |wanted| Place::only(wanted, |p| p == place);
            let there = at(self.entries.get(&holder)?.wanted()?);
            let contradicts = at(wanted) != there;
            contradicts.then(|| format!("the later lease {holder} has {place}, too"))
        })
    }
}

#[cfg(test)]
mod tests;
