//! The endpoints in memory: who is where, and which addresses are free. Nothing here costs by their
//! number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnetwork::IpNetwork;
use netstate::LinkName;

use crate::endpoint::{Addresses, Endpoint, EndpointError, Sandbox, key};
use crate::network::{Id, Network, NetworkError, Scope};

/// An endpoint's network and key.
pub(in crate::registry) type Place = (Id, String);

/// The endpoints.
#[derive(Debug, Default)]
pub(super) struct Index {
    networks: BTreeMap<Id, OfNetwork>,
    by_sandbox: BTreeMap<Sandbox, BTreeSet<Place>>,
    by_link: BTreeMap<LinkName, Place>,
    by_comment: BTreeMap<String, Place>,
    /// Those whose interfaces somebody has deleted.
    lost: BTreeSet<Id>,
    /// Those whose namespaces may be gone.
    gone: BTreeSet<Place>,
    /// Those whose files are not as they are.
    owed: BTreeSet<Place>,
    /// Networks that are being removed.
    closed: BTreeSet<Id>,
    /// What this host may give out of networks of the cluster.
    blocks: BTreeMap<Id, Vec<IpNetwork>>,
    /// Namespaces in which something is being done.
    pub(super) busy: BTreeSet<Sandbox>,
}

#[derive(Debug)]
struct OfNetwork {
    addresses: Addresses,
    endpoints: BTreeMap<String, Arc<Endpoint>>,
}

impl Index {
    /// An endpoint by its network and key.
    pub(super) fn get(&self, network: &Id, key: &str) -> Option<Arc<Endpoint>> {
        self.networks.get(network)?.endpoints.get(key).cloned()
    }

    /// Those that a container has on a network. Keys begin with the container, so they are together.
    pub(super) fn of_container(
        &self,
        network: &Id,
        container: &str,
    ) -> impl Iterator<Item = Arc<Endpoint>> {
        let begin = key(container, "");
        let endpoints = self.networks.get(network).map(|of| of.endpoints.range(begin.clone()..));
        let endpoints = endpoints.into_iter().flatten();
        let together = endpoints.take_while(move |(key, _)| key.starts_with(&begin));
        together.map(|(_, endpoint)| endpoint).filter(move |e| e.container == container).cloned()
    }

    /// Those of a network, by key.
    pub(super) fn of_network(&self, network: &Id) -> Vec<Arc<Endpoint>> {
        let of = self.networks.get(network);
        of.into_iter().flat_map(|of| of.endpoints.values().cloned()).collect()
    }

    /// How many a network has.
    pub(super) fn count(&self, network: &Id) -> usize {
        self.networks.get(network).map_or(0, |of| of.endpoints.len())
    }

    /// Those in a namespace.
    pub(super) fn in_sandbox(&self, sandbox: Sandbox) -> Vec<Arc<Endpoint>> {
        self.by_sandbox.get(&sandbox).map(|places| self.at(places)).unwrap_or_default()
    }

    /// Those of some places that are there.
    fn at(&self, places: &BTreeSet<Place>) -> Vec<Arc<Endpoint>> {
        places.iter().filter_map(|(network, key)| self.get(network, key)).collect()
    }

    /// All.
    pub(super) fn all(&self) -> Vec<Arc<Endpoint>> {
        self.networks.values().flat_map(|of| of.endpoints.values().cloned()).collect()
    }

    /// All, with whether each was never finished, and nobody is about it.
    pub(super) fn all_with_leftovers(&self) -> Vec<(Arc<Endpoint>, bool)> {
        let with = |endpoint: Arc<Endpoint>| {
            let is_left = !endpoint.made && !self.busy.contains(&endpoint.sandbox());
            (endpoint, is_left)
        };
        self.all().into_iter().map(with).collect()
    }

    /// The one whose interface on the host is called so.
    pub(super) fn with_link(&self, name: &LinkName) -> Option<Place> {
        self.by_link.get(name).cloned()
    }

    /// The one whose elements have this comment.
    pub(super) fn with_comment(&self, comment: &str) -> Option<Place> {
        self.by_comment.get(comment).cloned()
    }

    /// Whether an endpoint is still there as it was, and nobody takes it away.
    pub(super) fn stands(&self, endpoint: &Endpoint) -> bool {
        let now = self.get(&endpoint.network, &endpoint.key());
        now.is_some_and(|now| now.made && *now == *endpoint)
    }

    /// Notes that somebody has deleted an endpoint's interface; whether that is news.
    pub(super) fn lose(&mut self, endpoint: &Endpoint) -> bool {
        self.stands(endpoint) && self.lost.insert(endpoint.id.clone())
    }

    /// Whether somebody has deleted its interface.
    pub(super) fn is_lost(&self, endpoint: &Endpoint) -> bool {
        self.lost.contains(&endpoint.id)
    }

    /// Notes that an endpoint's namespace may be gone.
    pub(super) fn suspect(&mut self, endpoint: &Endpoint) {
        self.gone.insert((endpoint.network.clone(), endpoint.key()));
    }

    /// Those noted so, once.
    pub(super) fn suspects(&mut self) -> Vec<Arc<Endpoint>> {
        let places = std::mem::take(&mut self.gone);
        self.at(&places)
    }

    /// Notes that an endpoint could not be written down.
    pub(super) fn owe(&mut self, endpoint: &Endpoint) {
        self.owed.insert((endpoint.network.clone(), endpoint.key()));
    }

    /// Those noted so, once.
    pub(super) fn owed(&mut self) -> Vec<Arc<Endpoint>> {
        let places = std::mem::take(&mut self.owed);
        self.at(&places)
    }

    /// Whether an interface of a namespace is an endpoint's.
    pub(super) fn has_interface(&self, sandbox: Sandbox, name: &LinkName) -> bool {
        self.in_sandbox(sandbox).iter().any(|endpoint| endpoint.ifname == *name)
    }

    /// Takes addresses of a network, as [`Addresses::take`].
    pub(super) fn take(
        &mut self,
        network: &Network,
        wanted: &[IpNetwork],
    ) -> Result<Vec<IpNetwork>, EndpointError> {
        if self.closed.contains(&network.id) {
            return Err(NetworkError::NotFound(network.name.clone()).into());
        }
        self.of(network).addresses.take(wanted)
    }

    /// Whether addresses are left.
    pub(super) fn has_room(&mut self, network: &Network) -> Result<(), EndpointError> {
        self.of(network).addresses.has_room()
    }

    /// Takes up an endpoint whose addresses are taken.
    pub(super) fn insert(&mut self, network: &Network, endpoint: Endpoint) {
        let key = endpoint.key();
        let in_sandbox = self.by_sandbox.entry(endpoint.sandbox()).or_default();
        let place = (network.id.clone(), key.clone());
        in_sandbox.insert(place.clone());
        self.by_comment.insert(endpoint.owner().comment(), place.clone());
        self.by_link.insert(endpoint.host_link.clone(), place);
        self.of(network).endpoints.insert(key, Arc::new(endpoint));
    }

    /// Takes up an endpoint of before, with its addresses.
    pub(super) fn adopt(&mut self, network: &Network, endpoint: Endpoint) {
        for address in &endpoint.addresses {
            self.of(network).addresses.occupy(*address);
        }
        self.insert(network, endpoint);
    }

    /// Puts an endpoint in the place of itself as it was.
    pub(super) fn replace(&mut self, endpoint: Endpoint) {
        if let Some(of) = self.networks.get_mut(&endpoint.network) {
            of.endpoints.insert(endpoint.key(), Arc::new(endpoint));
        }
    }

    /// Forgets an endpoint, and gives its addresses back.
    pub(super) fn remove(&mut self, endpoint: &Endpoint) {
        let key = endpoint.key();
        if let Some(of) = self.networks.get_mut(&endpoint.network)
            && of.endpoints.remove(&key).is_some()
        {
            endpoint.addresses.iter().for_each(|address| of.addresses.give_back(*address));
        }
        self.by_link.remove(&endpoint.host_link);
        self.by_comment.remove(&endpoint.owner().comment());
        self.lost.remove(&endpoint.id);
        let sandbox = endpoint.sandbox();
        if let Some(keys) = self.by_sandbox.get_mut(&sandbox) {
            keys.remove(&(endpoint.network.clone(), key));
            if keys.is_empty() {
                self.by_sandbox.remove(&sandbox);
            }
        }
    }

    /// Lets nobody attach to a network that has no endpoints, until [`Self::open`].
    ///
    /// # Errors
    /// Who is on it.
    pub(super) fn close(&mut self, network: &Id) -> Result<(), Vec<Arc<Endpoint>>> {
        if self.count(network) > 0 {
            return Err(self.of_network(network));
        }
        self.closed.insert(network.clone());
        self.networks.remove(network);
        Ok(())
    }

    /// From now on addresses of a network of the cluster are taken from these blocks.
    pub(super) fn limit(&mut self, network: &Id, blocks: Vec<IpNetwork>) {
        if let Some(of) = self.networks.get_mut(network) {
            of.addresses.limit(&blocks);
        }
        self.blocks.insert(network.clone(), blocks);
    }

    /// Forgets the blocks of a network that is gone.
    pub(super) fn unlimit(&mut self, network: &Id) {
        self.blocks.remove(network);
    }

    /// Takes back [`Self::close`], or lets it be forgotten with the network.
    pub(super) fn open(&mut self, network: &Id) {
        self.closed.remove(network);
    }

    fn of(&mut self, network: &Network) -> &mut OfNetwork {
        let blocks = &self.blocks;
        self.networks.entry(network.id.clone()).or_insert_with(|| {
            let mut addresses = Addresses::of(network);
            if network.scope == Scope::Global {
                addresses.limit(blocks.get(&network.id).map(Vec::as_slice).unwrap_or_default());
            }
            OfNetwork { addresses, endpoints: BTreeMap::new() }
        })
    }
}
