//! What is wrong with overlays on this host, for whoever tells it.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::network::{Id, Network};

/// What is wrong: copies are the same.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct Troubles(watch::Sender<Faults>);

/// What is wrong, by network.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct Faults {
    /// Why there is no interface to the other hosts.
    underlay: Option<String>,
    networks: BTreeMap<Id, String>,
    /// Why no container comes on networks that this host cannot have.
    refused: BTreeMap<Id, String>,
    /// Why containers were taken off networks, until their runtimes take them off, too: by network and container.
    taken_off: BTreeMap<(Id, String), String>,
}

impl Troubles {
    /// Whenever it is another.
    pub(in crate::registry) fn follow(&self) -> watch::Receiver<Faults> {
        self.0.subscribe()
    }

    /// What is wrong with a network on this host; whether it is news.
    pub(super) fn put(&self, network: &Network, what: &str) -> bool {
        let text = format!("overlay {}: {what}", network.name);
        self.0.send_if_modified(|told| {
            let before = told.networks.insert(network.id.clone(), text.clone());
            before.as_ref() != Some(&text)
        })
    }

    /// Whether something is told of a network.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.0.borrow().networks.contains_key(id)
    }

    /// Why there is no interface to the other hosts, if there is none.
    pub(super) fn underlay(&self) -> Option<String> {
        self.0.borrow().underlay.clone()
    }

    /// The same from now on.
    pub(super) fn put_underlay(&self, why: Option<String>) {
        self.0.send_if_modified(|told| {
            let news = told.underlay != why;
            told.underlay = why;
            news
        });
    }

    /// Nothing is.
    pub(super) fn clear(&self, id: &Id) {
        self.0.send_if_modified(|told| told.networks.remove(id).is_some());
    }

    /// Why this host cannot have a network, or that it can.
    pub(super) fn put_refused(&self, network: &Network, why: Option<&String>) {
        let text =
            why.map(|why| format!("overlay {}: no container comes on it: {why}", network.name));
        self.0.send_if_modified(|told| {
            let before = match &text {
                Some(text) => told.refused.insert(network.id.clone(), text.clone()),
                None => told.refused.remove(&network.id),
            };
            before != text
        });
    }

    /// A network is gone.
    pub(super) fn forget(&self, id: &Id) {
        self.0.send_if_modified(|told| told.refused.remove(id).is_some());
    }

    /// That a container was taken off a network.
    pub(in crate::registry) fn put_taken_off(&self, network: &Id, container: &str, why: &str) {
        let key = (network.clone(), container.to_owned());
        self.0.send_if_modified(|told| {
            told.taken_off.insert(key, why.to_owned()).as_deref() != Some(why)
        });
    }

    /// Its runtime has taken it off, too, or it is there again.
    pub(in crate::registry) fn clear_taken_off(&self, network: &Id, container: &str) {
        let key = (network.clone(), container.to_owned());
        self.0.send_if_modified(|told| told.taken_off.remove(&key).is_some());
    }

    /// Why a container was taken off a network.
    pub(in crate::registry) fn taken_off(&self, network: &Id, container: &str) -> Option<String> {
        self.0.borrow().taken_off.get(&(network.clone(), container.to_owned())).cloned()
    }

    /// The same of all of a network.
    pub(in crate::registry) fn all_taken_off(&self, network: &Id) -> Vec<String> {
        let told = self.0.borrow();
        let of = told.taken_off.iter().filter(|((id, _), _)| id == network);
        of.map(|(_, why)| why.clone()).collect()
    }
}

impl Faults {
    /// As texts.
    pub(in crate::registry) fn texts(&self) -> Vec<String> {
        let underlay = self
            .underlay
            .iter()
            .map(|why| format!("overlays have no interface to the other hosts: {why}"));
        let taken_off = self.taken_off.values().cloned();
        let of_networks = self.networks.values().chain(self.refused.values()).cloned();
        underlay.chain(of_networks).chain(taken_off).collect()
    }
}
