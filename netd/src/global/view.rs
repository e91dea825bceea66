//! What is in the store, as far as this host knows. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use drivers::encryption::Peer;
use ipnetwork::IpNetwork;
use serde::de::DeserializeOwned;

use super::keys::{Key, Keys};
use super::record::{Claim, EndpointRecord, Freed, Live, Member};
use super::remembered::is_remembered;
use crate::network::{Id, Network};
use crate::store::{Change, Entry, Followed, Revision};

/// A record, and since when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// What it says.
    pub value: T,
    /// The revision that made it.
    pub created: Revision,
    /// The revision that changed it last.
    pub changed: Revision,
}

/// Everything of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfNetwork {
    /// Itself. What is left of one that is gone goes with its host's session.
    pub network: Option<Kept<Network>>,
    /// Which host gives out which addresses.
    pub blocks: BTreeMap<IpNetwork, Kept<Claim>>,
    /// Single addresses of hosts.
    pub addresses: BTreeMap<IpAddr, Kept<Claim>>,
    /// Single addresses of hosts that others would have.
    pub wanted: BTreeMap<IpAddr, Kept<Claim>>,
    /// Addresses of hosts that were down, which an administrator has freed.
    pub freed: BTreeMap<IpAddr, Kept<Freed>>,
    /// By the endpoint's id.
    pub endpoints: BTreeMap<String, Kept<EndpointRecord>>,
}

/// Everything of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfHost {
    /// Itself.
    pub member: Option<Kept<Member>>,
    /// Its sign of life.
    pub live: Option<Kept<Live>>,
}

/// What is in the store, as far as this host knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub(super) networks: BTreeMap<Id, OfNetwork>,
    pub(super) hosts: BTreeMap<String, OfHost>,
}

/// Which networks something has happened to.
pub type Touched = BTreeSet<Id>;

impl OfNetwork {
    /// The host that has claimed an address: alone, or else with its block.
    #[must_use]
    pub fn claimant(&self, ip: IpAddr) -> Option<&str> {
        let claim = self.addresses.get(&ip).or_else(|| self.block_of(ip));
        claim.map(|claim| claim.value.machine.as_str())
    }

    /// Of the block that an address is in.
    pub(super) fn block_of(&self, ip: IpAddr) -> Option<&Kept<Claim>> {
        let mut blocks = self.blocks.iter();
        blocks.find(|(block, _)| block.contains(ip)).map(|(_, claim)| claim)
    }

    /// Whether an address was freed of a host that was down.
    #[must_use]
    pub fn is_freed_of(&self, ip: IpAddr, machine: &str) -> bool {
        self.freed.get(&ip).is_some_and(|freed| freed.value.machine == machine)
    }
}

impl View {
    /// Takes news up. What is older than what is known changes nothing: this host notes what it writes at
    /// once, and hears of it later. Gives the networks that something has happened to.
    pub fn take(&mut self, keys: &Keys, news: &Followed) -> Touched {
        let mut touched = Touched::new();
        match news {
            Followed::Changed(changes) => {
                for change in changes {
                    self.change(keys, change, &mut touched);
                }
            }
            Followed::Listed(listing) => {
                let there: BTreeSet<&str> =
                    listing.entries.iter().map(|entry| entry.key.as_str()).collect();
                let gone = self.keys(keys).into_iter().filter(|key| !there.contains(key.as_str()));
                for key in gone.collect::<Vec<_>>() {
                    let revision = listing.revision;
                    self.change(keys, &Change::Deleted { key, revision }, &mut touched);
                }
                self.put_all(keys, &listing.entries, &mut touched);
            }
            Followed::Anew(listing) => {
                // Revisions of the store before say nothing.
                touched.extend(self.networks.keys().cloned());
                self.keep_remembered();
                self.put_all(keys, &listing.entries, &mut touched);
            }
        }
        self.networks.retain(|_, of| *of != OfNetwork::default());
        self.hosts.retain(|_, of| *of != OfHost::default());
        touched
    }

    /// The networks there are.
    pub fn networks(&self) -> impl Iterator<Item = &Kept<Network>> {
        self.networks.values().filter_map(|of| of.network.as_ref())
    }

    /// Everything of a network that is there.
    #[must_use]
    pub fn of(&self, id: &Id) -> Option<&OfNetwork> {
        self.networks.get(id).filter(|of| of.network.is_some())
    }

    /// All endpoints, also of networks that are gone.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Id, &String, &Kept<EndpointRecord>)> {
        let all = self.networks.iter();
        all.flat_map(|(id, of)| of.endpoints.iter().map(move |(key, it)| (id, key, it)))
    }

    /// A host.
    #[must_use]
    pub fn host(&self, machine: &str) -> Option<&OfHost> {
        self.hosts.get(machine)
    }

    /// Whether a host's agent runs, as far as is known.
    #[must_use]
    pub fn is_live(&self, machine: &str) -> bool {
        self.host(machine).is_some_and(|host| host.live.is_some())
    }

    /// Where a host is reached, as long as that has not ended for good.
    #[must_use]
    pub fn vtep(&self, machine: &str) -> Option<IpAddr> {
        self.host(machine)?.member.as_ref()?.value.vtep
    }

    /// Who encrypts on a host, as long as it is reached, and its netd can.
    #[must_use]
    pub fn peer(&self, machine: &str) -> Option<Peer> {
        self.host(machine)?.member.as_ref()?.value.peer()
    }

    /// A host's name, or what it is known by.
    #[must_use]
    pub fn name<'v>(&'v self, machine: &'v str) -> &'v str {
        let member = self.host(machine).and_then(|host| host.member.as_ref());
        member.map_or(machine, |member| &member.value.host)
    }

    fn put_all(&mut self, keys: &Keys, entries: &[Entry], touched: &mut Touched) {
        for entry in entries {
            self.change(keys, &Change::Put(entry.clone()), touched);
        }
    }

    fn change(&mut self, keys: &Keys, change: &Change, touched: &mut Touched) {
        let Some(key) = keys.read(change.key()) else { return };
        match key {
            Key::Network(id) => put_one(&mut self.of_mut(id, touched).network, change),
            Key::Block(id, block) => put(&mut self.of_mut(id, touched).blocks, block, change),
            Key::Address(id, ip) => put(&mut self.of_mut(id, touched).addresses, ip, change),
            Key::Wanted(id, ip) => put(&mut self.of_mut(id, touched).wanted, ip, change),
            Key::Freed(id, ip) => put(&mut self.of_mut(id, touched).freed, ip, change),
            Key::Endpoint(id, endpoint) => {
                put(&mut self.of_mut(id, touched).endpoints, endpoint, change)
            }
            Key::Member(machine) => {
                put_one(&mut self.hosts.entry(machine.clone()).or_default().member, change);
                self.touch(&machine, touched);
            }
            Key::Live(machine) => {
                put_one(&mut self.hosts.entry(machine.clone()).or_default().live, change);
                self.touch(&machine, touched);
            }
            Key::Other => {}
        }
    }

    fn of_mut(&mut self, id: Id, touched: &mut Touched) -> &mut OfNetwork {
        touched.insert(id.clone());
        self.networks.entry(id).or_default()
    }

    /// The networks that a host has endpoints on.
    pub(super) fn touch(&self, machine: &str, touched: &mut Touched) {
        let has = |of: &OfNetwork| of.endpoints.values().any(|it| it.value.machine == machine);
        touched.extend(self.networks.iter().filter(|(_, of)| has(of)).map(|(id, _)| id.clone()));
    }

    /// The keys of everything that is known of this store.
    fn keys(&self, keys: &Keys) -> Vec<String> {
        let mut all = Vec::new();
        for (id, of) in &self.networks {
            all.extend(of.network.as_ref().map(|_| keys.network(id)));
            all.extend(known(&of.blocks).map(|block| keys.block(id, *block)));
            all.extend(known(&of.addresses).map(|ip| keys.address(id, *ip)));
            all.extend(known(&of.wanted).map(|ip| keys.wanted(id, *ip)));
            all.extend(known(&of.freed).map(|ip| keys.freed(id, *ip)));
            all.extend(known(&of.endpoints).map(|endpoint| keys.endpoint(id, endpoint)));
        }
        for (machine, of) in &self.hosts {
            let (member, live) = (of.member.as_ref(), of.live.as_ref());
            all.extend(member.filter(|it| !is_remembered(it)).map(|_| keys.member(machine)));
            all.extend(live.filter(|it| !is_remembered(it)).map(|_| keys.live(machine)));
        }
        all
    }
}

fn known<K, T>(of: &BTreeMap<K, Kept<T>>) -> impl Iterator<Item = &K> {
    of.iter().filter(|(_, it)| !is_remembered(it)).map(|(key, _)| key)
}

fn put<K: Ord, T: DeserializeOwned>(of: &mut BTreeMap<K, Kept<T>>, key: K, change: &Change) {
    let mut there = of.remove(&key);
    put_one(&mut there, change);
    of.extend(there.map(|there| (key, there)));
}

fn put_one<T: DeserializeOwned>(there: &mut Option<Kept<T>>, change: &Change) {
    if there.as_ref().is_some_and(|there| there.changed > change.revision()) {
        return;
    }
    *there = match change {
        Change::Deleted { .. } => None,
        Change::Put(entry) => match serde_json::from_slice(&entry.value) {
            Ok(value) => {
                let (created, changed) = (entry.create_revision, entry.mod_revision);
                Some(Kept { value, created, changed })
            }
            Err(error) => {
                tracing::error!(key = entry.key, %error, "what is in etcd cannot be read; passed over");
                None
            }
        },
    };
}

#[cfg(test)]
mod tests;
