//! Which names there are, and for whom. Pure.

mod answer;
mod net;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use super::{Endpoint, EndpointKey, Names, Network};
use net::Net;

pub(super) use answer::{Client, Verdict};

/// All names. What is told of an endpoint costs the same however many others there are.
#[derive(Debug, Default)]
pub(super) struct Zone {
    /// By the network's id.
    nets: BTreeMap<String, Net>,
    /// By the container's id: where it is, in order of the networks.
    joined: BTreeMap<String, BTreeSet<EndpointKey>>,
}

impl Zone {
    /// Everything anew; what is gone by it counts as removed now.
    pub(super) fn update(&mut self, names: Names, now: Instant) {
        let stay: BTreeSet<&str> = names.networks.iter().map(|of| of.id.as_str()).collect();
        let is_gone = |id: &&String| !stay.contains(id.as_str());
        let gone: Vec<String> = self.nets.keys().filter(is_gone).cloned().collect();
        gone.iter().for_each(|id| self.remove_network(id));
        names.networks.into_iter().for_each(|network| self.put_network(network));
        let stay: BTreeSet<&EndpointKey> = names.endpoints.iter().map(|of| &of.key).collect();
        let all = self.nets.values().flat_map(Net::keys);
        let gone: Vec<EndpointKey> = all.filter(|key| !stay.contains(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove_endpoint(key, now));
        names.endpoints.into_iter().for_each(|endpoint| self.put_endpoint(endpoint, now));
    }

    /// A network that is new, or has changed; what is on it stays.
    pub(super) fn put_network(&mut self, network: Network) {
        match self.nets.get_mut(&network.id) {
            Some(net) => net.alter(network),
            None => drop(self.nets.insert(network.id.clone(), Net::new(network))),
        }
    }

    /// The end of a network, and of what is on it.
    pub(super) fn remove_network(&mut self, id: &str) {
        let Some(net) = self.nets.remove(id) else { return };
        net.keys().for_each(|key| self.leave(key));
    }

    /// An endpoint that is new, or has changed. Of a network that is not there it is forgotten.
    pub(super) fn put_endpoint(&mut self, endpoint: Endpoint, now: Instant) {
        let key = endpoint.key.clone();
        self.remove_endpoint(&key, now);
        let Some(net) = self.nets.get_mut(&key.network) else {
            tracing::debug!(container = key.container, network = key.network, "no such network");
            return;
        };
        net.put(endpoint);
        self.joined.entry(key.container.clone()).or_default().insert(key);
    }

    /// The end of an endpoint.
    pub(super) fn remove_endpoint(&mut self, key: &EndpointKey, now: Instant) {
        let known = self.nets.get_mut(&key.network).is_some_and(|net| net.remove(key, now));
        if known {
            self.leave(key);
        }
    }

    /// Where to listen.
    pub(super) fn networks(&self) -> impl Iterator<Item = &Network> {
        self.nets.values().map(Net::network)
    }

    fn leave(&mut self, key: &EndpointKey) {
        let Some(keys) = self.joined.get_mut(&key.container) else { return };
        keys.remove(key);
        if keys.is_empty() {
            self.joined.remove(&key.container);
        }
    }

    /// The networks of the container that has this address on this network. None: nobody has it.
    fn joined(&self, network: &str, source: IpAddr) -> Option<Vec<&Net>> {
        let container = self.nets.get(network)?.owner(source)?;
        let keys = self.joined.get(container)?.iter();
        let mut ids: Vec<&str> = keys.map(|key| key.network.as_str()).collect();
        ids.dedup();
        Some(ids.into_iter().filter_map(|id| self.nets.get(id)).collect())
    }
}
