//! Looking at endpoints: checks, and those whose containers are gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::attach::wiring;
use cni::ErrorChain;
use kernel::Netns;
use netd_api::attach::{Collected, Kept};
use netstate::Ns;

use super::life::{Life, sandbox_of};
use super::{Endpoints, Networks, with_host};
use crate::endpoint::{Endpoint, EndpointError, Parts, key};
use crate::network::{Driver, Id, Network, Scope};

impl Endpoints {
    /// The endpoints that a container has on a network: by an interface, or all.
    pub(in crate::registry) fn of_container(
        &self,
        network: &Id,
        container: &str,
        ifname: Option<&str>,
    ) -> Vec<Arc<Endpoint>> {
        let index = self.index();
        match ifname {
            Some(ifname) => index.get(network, &key(container, ifname)).into_iter().collect(),
            None => index.of_container(network, container).collect(),
        }
    }

    /// The commands that would repair what differs.
    ///
    /// # Errors
    /// Where the state cannot be read, or the namespace is another one.
    pub(in crate::registry) fn check(
        &self,
        endpoint: &Endpoint,
        network: &Network,
        netns: &Netns,
        networks: &Networks,
    ) -> Result<Vec<String>, EndpointError> {
        let there = sandbox_of(netns);
        let there = there.map_err(|e| EndpointError::Netns(ErrorChain(&e).to_string()))?;
        if there != endpoint.sandbox() {
            return Err(EndpointError::Netns(format!(
                "container {} was attached in another namespace than {}: attach it again",
                endpoint.container,
                endpoint.netns.path.display()
            )));
        }
        let _hold = self.hold(endpoint.sandbox());
        // What is true by now: another network may have got the default route.
        let now = self.index().get(&endpoint.network, &endpoint.key());
        let now = now.ok_or_else(|| EndpointError::NotConnected {
            container: endpoint.container.clone(),
            network: endpoint.network_name.clone(),
        })?;
        if self.is_lost(&now) {
            let (container, ifname) = (now.container.clone(), now.ifname.to_string());
            return Err(EndpointError::Lost { container, ifname });
        }
        let mut missing = self.missing(&now, network, netns)?;
        if now.overlay.is_some() {
            let there = self.index().in_sandbox(now.sandbox());
            for way_out in there.iter().filter(|one| one.is_gateway) {
                if let Some(network) = networks.get(&way_out.network) {
                    missing.extend(self.missing(way_out, network, netns)?);
                }
            }
        }
        Ok(missing)
    }

    fn missing(
        &self,
        endpoint: &Endpoint,
        network: &Network,
        netns: &Netns,
    ) -> Result<Vec<String>, EndpointError> {
        let wanted = Parts::of(endpoint, network, self.has_ipv6)?.all();
        let mut kernel = self.inside(netns, endpoint)?;
        Ok(wiring::missing(&mut kernel, &wanted, &endpoint.ns_names())?)
    }

    /// Whether a container could be attached now: a free address of each family, and the parent
    /// or nf_tables.
    pub(in crate::registry) fn could_attach(&self, network: &Network) -> Result<(), EndpointError> {
        // Of a network of the cluster the cluster says so.
        if network.scope == Scope::Local {
            self.index().has_room(network)?;
        }
        if network.driver == Driver::Overlay || self.below(network)?.is_some() {
            return Ok(());
        }
        with_host(|host| host.generation(&Ns::Host))?;
        Ok(())
    }

    /// Takes those off a network that are not listed and whose namespace is gone.
    pub(in crate::registry) fn collect(
        &self,
        network: &Network,
        keep: &[Kept],
        networks: &Networks,
    ) -> Result<Collected, EndpointError> {
        let listed: BTreeSet<String> =
            keep.iter().map(|kept| key(&kept.container, &kept.ifname)).collect();
        let mut collected = Collected::default();
        for endpoint in self.of_network(&network.id) {
            if listed.contains(&endpoint.key()) {
                continue;
            }
            let name = format!("{}/{}", endpoint.container, endpoint.ifname);
            if self.life(&endpoint, networks) != Life::Gone {
                collected.kept.push(format!("{name}: its namespace lives"));
                continue;
            }
            match self.detach(&endpoint, networks) {
                Ok(()) => collected.removed.push(name),
                Err(error) => collected.kept.push(format!("{name}: {}", ErrorChain(&error))),
            }
        }
        Ok(collected)
    }

    /// Takes those away whose namespace is gone, and what could not be taken back before; whether there was
    /// any. A few looks at each, which wait for nothing.
    pub(in crate::registry) fn collect_dead(&self, of: Option<&Id>, networks: &Networks) -> bool {
        let all = self.index().all_with_leftovers();
        let meant = all.into_iter().filter(|(one, _)| of.is_none_or(|of| one.network == *of));
        let is_dead = |one: &Endpoint| one.made && self.is_gone(one, networks);
        let gone = meant.filter(|(one, is_left)| *is_left || is_dead(one));
        let gone: Vec<Arc<Endpoint>> = gone.map(|(one, _)| one).collect();
        gone.iter().filter(|one| self.bury(one, networks)).count() > 0
    }

    /// Those at which something has happened.
    pub(in crate::registry) fn collect_suspects(&self, networks: &Networks) {
        let suspects = self.index().suspects();
        for endpoint in suspects.iter().filter(|one| one.made && self.is_gone(one, networks)) {
            self.bury(endpoint, networks);
        }
    }

    fn is_gone(&self, endpoint: &Endpoint, networks: &Networks) -> bool {
        self.life(endpoint, networks) == Life::Gone
    }

    /// Whether nothing is left of it.
    fn bury(&self, endpoint: &Endpoint, networks: &Networks) -> bool {
        let name = endpoint.owner().path();
        match self.detach(endpoint, networks) {
            Ok(()) => {
                tracing::info!(endpoint = name, "its container is gone; taken away");
                true
            }
            Err(error) => {
                let error = ErrorChain(&error);
                tracing::warn!(endpoint = name, %error, "its container is gone, and it stays");
                false
            }
        }
    }
}
