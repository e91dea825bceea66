//! The names on one network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::{Endpoint, EndpointKey, Network, key};

/// How long a name that is gone is known to be gone. As long there is no doubt whom somebody means by
/// it; later it may be the name of another host on the network of this one.
const GONE: Duration = Duration::from_secs(3600);
/// Names that are gone, of one network, that are remembered.
const GONE_MOST: usize = 4096;

/// A network, with what is on it.
#[derive(Debug)]
pub(super) struct Net {
    network: Network,
    /// How its name ends another one: `.mynet`.
    suffix: Option<String>,
    endpoints: BTreeMap<EndpointKey, Held>,
    names: BTreeMap<String, BTreeSet<EndpointKey>>,
    addresses: BTreeMap<IpAddr, EndpointKey>,
    gone: BTreeMap<String, Instant>,
}

/// An endpoint.
#[derive(Debug)]
struct Held {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Net {
    pub(super) fn new(network: Network) -> Self {
        Self {
            suffix: suffix(&network),
            network,
            endpoints: BTreeMap::new(),
            names: BTreeMap::new(),
            addresses: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    pub(super) fn alter(&mut self, network: Network) {
        self.suffix = suffix(&network);
        self.network = network;
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &EndpointKey> {
        self.endpoints.keys()
    }

    pub(super) fn put(&mut self, endpoint: Endpoint) {
        let Endpoint { key, names, addresses } = endpoint;
        let mut own: Vec<String> = Vec::new();
        let given = names.iter().filter_map(|name| key::of_text(name));
        for name in given.chain(key::of_id(&key.container)) {
            if !own.contains(&name) {
                self.gone.remove(&name);
                self.names.entry(name.clone()).or_default().insert(key.clone());
                own.push(name);
            }
        }
        self.addresses.extend(addresses.iter().map(|ip| (*ip, key.clone())));
        self.endpoints.insert(key, Held { names: own, addresses });
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &EndpointKey, now: Instant) -> bool {
        let Some(held) = self.endpoints.remove(key) else { return false };
        for name in held.names {
            let Some(owners) = self.names.get_mut(&name) else { continue };
            owners.remove(key);
            if owners.is_empty() {
                self.names.remove(&name);
                self.remember(name, now);
            }
        }
        for ip in held.addresses {
            // Another one may have got it already.
            if self.addresses.get(&ip) == Some(key) {
                self.addresses.remove(&ip);
            }
        }
        true
    }

    /// Who has an address: the container's id.
    pub(super) fn owner(&self, ip: IpAddr) -> Option<&str> {
        self.addresses.get(&ip).map(|key| key.container.as_str())
    }

    /// The addresses of a name, which may end with the network's. None: there is no such name.
    pub(super) fn addresses(&self, name: &str) -> Option<impl Iterator<Item = IpAddr>> {
        let owners = self.known().and_then(|names| self.find(name, |name| names.get(name)))?;
        let held = owners.iter().filter_map(|key| self.endpoints.get(key));
        Some(held.flat_map(|held| held.addresses.iter().copied()))
    }

    /// What an address is called: `NAME.NETWORK`.
    pub(super) fn name(&self, ip: IpAddr) -> Option<String> {
        self.known()?;
        let held = self.endpoints.get(self.addresses.get(&ip)?)?;
        Some(format!("{}{}", held.names.first()?, self.suffix.as_deref()?))
    }

    /// Whether an address is of its subnets.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        self.network.subnets.iter().any(|subnet| subnet.contains(ip))
    }

    /// Whether a name was there not long ago.
    pub(super) fn has_lost(&self, name: &str, now: Instant) -> bool {
        let gone = self.find(name, |name| self.gone.get(name));
        gone.is_some_and(|then| now.saturating_duration_since(*then) < GONE)
    }

    fn known(&self) -> Option<&BTreeMap<String, BTreeSet<EndpointKey>>> {
        self.network.named.then_some(&self.names)
    }

    fn find<'a, T>(&self, name: &str, at: impl Fn(&str) -> Option<&'a T>) -> Option<&'a T> {
        let short = || name.strip_suffix(self.suffix.as_deref()?);
        at(name).or_else(|| at(short()?))
    }

    /// A name with a dot can be somebody's on the internet, for which it stood in.
    fn remember(&mut self, name: String, now: Instant) {
        if name.contains('.') || !self.network.named {
            return;
        }
        if self.gone.len() >= GONE_MOST {
            self.gone.retain(|_, then| now.saturating_duration_since(*then) < GONE);
        }
        if self.gone.len() >= GONE_MOST {
            let oldest = self.gone.iter().min_by_key(|(_, then)| **then);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.gone.remove(&oldest);
            }
        }
        self.gone.insert(name, now);
    }
}

fn suffix(network: &Network) -> Option<String> {
    key::of_text(&network.name).map(|name| format!(".{name}"))
}
