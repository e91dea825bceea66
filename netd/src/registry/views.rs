//! What is shown of networks and containers.

use super::Registry;
use crate::endpoint::{ContainerFilter, Endpoint, EndpointError, ListedContainer, containers};
use crate::network::{self, BridgeOptions, Driver, Id, Inspect, ListFilter, Network, NetworkError};

impl Registry {
    /// The networks that a filter means, in order of their names, each as it is to be shown.
    #[must_use]
    pub fn list<T>(&self, filter: &ListFilter, shown: impl Fn(&Network) -> T) -> Vec<T> {
        let networks = self.networks();
        let count = |id: &Id| self.0.endpoints.count(id).max(self.count_in_cluster(id));
        let is_met = |network: &&Network| filter.is_met(network, count(&network.id));
        let mut all: Vec<&Network> = networks.values().filter(is_met).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.into_iter().map(shown).collect()
    }

    /// The network that a word means.
    ///
    /// # Errors
    /// Where it means none, or several.
    pub fn inspect(&self, word: &str) -> Result<Inspect, NetworkError> {
        Ok(self.shown(&self.found(word)?))
    }

    /// A network with the containers on it.
    #[must_use]
    pub fn shown(&self, network: &Network) -> Inspect {
        let endpoints = self.0.endpoints.of_network(&network.id);
        let made = endpoints.iter().filter(|endpoint| endpoint.made);
        let trouble = |endpoint: &Endpoint| match self.0.endpoints.is_lost(endpoint) {
            true => {
                let (container, ifname) = (endpoint.container.clone(), endpoint.ifname.to_string());
                EndpointError::Lost { container, ifname }.to_string()
            }
            false => String::new(),
        };
        let clashes = self.0.keeper.clashes();
        let mut warnings = clashes.borrow().get(&network.id).cloned().unwrap_or_default();
        warnings.extend(self.0.overlays.troubles.all_taken_off(&network.id));
        let mut containers = network::shown_containers(made.map(|e| &**e), trouble);
        for (container, shown) in self.shown_elsewhere(network) {
            // Two hosts may have a container of one id; Docker's key for endpoints without a container.
            let key = match containers.contains_key(&container) {
                true => format!("ep-{}", shown.endpoint_id),
                false => container,
            };
            containers.insert(key, shown);
        }
        Inspect { warnings, containers, ..Inspect::of(network) }
    }

    /// The containers that a filter means, in order of their ids.
    #[must_use]
    pub fn containers(&self, filter: &ContainerFilter) -> Vec<ListedContainer> {
        let networks = self.networks();
        let binding = |id: &Id| {
            let network = networks.get(id).filter(|network| network.driver == Driver::Bridge)?;
            BridgeOptions::read(&network.options).ok()?.host_binding
        };
        let mut all = containers(self.0.endpoints.all(), binding);
        all.retain(|container| filter.is_met(container));
        all
    }
}
