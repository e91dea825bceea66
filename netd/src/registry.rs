//! The networks of this host: kept in a file of their own, and standing in the kernel.
//!
//! No cluster is needed for any of it. A network is written down before anything is made for it,
//! and its bridge is removed before it is forgotten: a crash at any moment leaves a network whole
//! or not at all, and no bridge that nobody knows of. What is written is made again at the next
//! start, and whatever somebody deletes or alters of it meanwhile ([`keeper`]).

mod apply;
mod book;
mod claims;
mod containers;
mod endpoints;
mod global;
mod health;
mod keeper;
mod lists;
mod names;
mod open;
mod orphans;
mod overlay;
mod remove;
mod resolvers;
mod tend;
#[cfg(test)]
mod tests;
mod views;
mod way_out;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ipnetwork::IpNetwork;
use tokio::sync::{Mutex, watch};

use crate::dns;
use crate::global::Cluster;
use crate::network::{
    self, BridgeOptions, CreateRequest, Created, Device, Driver, Id, Moment, Network, NetworkError,
    Pools, Scope, Site,
};
use crate::store::Error;

use book::Book;
use endpoints::Endpoints;
use keeper::Keeper;
use lists::Lists;
use overlay::Overlays;

pub use claims::Claims;
pub use health::{Health, Watch};
pub use open::OpenError;
pub use overlay::{Remote, Underlay};

/// The file's name in the state directory. It is not that of what is known of a cluster: leaving the
/// cluster forgets that, and what is here nobody else knows.
pub const FILE: &str = "networks.redb";

/// The directory in the run directory with a list for runtimes for each network.
pub const LISTS: &str = "net.d";

/// The networks of this host. Copies are the same.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Book,
    keeper: Keeper,
    pools: Pools,
    avoid: Vec<IpNetwork>,
    claims: Claims,
    /// Networks of the cluster, where this host is in one.
    cluster: Option<Cluster>,
    /// Held while news of the cluster are put in force, which may take as long as links do.
    round: Mutex<()>,
    /// What of them is in force: held for moments.
    in_force: Mutex<global::InForce>,
    networks: Known,
    endpoints: Arc<Endpoints>,
    overlays: Overlays,
    lists: Lists,
    /// Names of containers.
    dns: Arc<dns::Server>,
    /// Whether the bridge of network `bridge` is there: it is made when the first container needs it.
    default_bridge: Mutex<bool>,
    /// Held while something is made or removed: decisions are made about what there is.
    turn: Mutex<()>,
}

/// The registry, or why it is not there.
pub type Opened = watch::Receiver<Result<Registry, String>>;

/// The networks of this moment, for whoever has a copy.
#[derive(Debug, Clone, Default)]
struct Known(Arc<RwLock<Arc<BTreeMap<Id, Network>>>>);

impl Known {
    fn get(&self) -> Arc<BTreeMap<Id, Network>> {
        // A change is one call that does not fail.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Id, Network>)) {
        let mut networks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut networks));
    }
}

/// How the bridges stand, and what containers have on this host.
pub type Trouble = Option<String>;

impl Registry {
    /// Makes a network; gives its id and what its user is to be told.
    ///
    /// # Errors
    /// Nothing is left of it then.
    pub async fn create(&self, request: CreateRequest) -> Result<(Id, Vec<String>), NetworkError> {
        let _turn = self.0.turn.lock().await;
        if network::scope_of(&request)? == Scope::Global {
            return self.create_global(request).await;
        }
        let Created { mut network, mut warnings } = self.decide(request, None).await?;
        match Device::of(&network)? {
            None => self.keep(network.clone()).await?,
            Some(mut device) => {
                if network.driver == Driver::Bridge {
                    network.adopted = self.is_there(&network).await?;
                    device.adopted = network.adopted;
                }
                self.keep(network.clone()).await?;
                if let Err(why) = self.0.keeper.put(vec![device]).await {
                    let action =
                        format!("make the {} of network {}", below(&network), network.name);
                    // What remains of a failure of this, too, is removed with the network by its user.
                    self.drop_one(&network).await?;
                    return Err(NetworkError::Host { action, why });
                }
            }
        }
        warnings.extend(self.0.lists.keep(&network));
        Ok((network.id, warnings))
    }

    /// Whether the thread that keeps bridges works.
    pub async fn answers(&self) -> bool {
        self.0.keeper.answers().await
    }

    async fn decide(
        &self,
        request: CreateRequest,
        of_cluster: Option<&[Network]>,
    ) -> Result<Created, NetworkError> {
        let with_links = matches!(request.driver.as_str(), "macvlan" | "ipvlan" | "overlay");
        let create = |site: &Site<'_>| network::create(request, Id::random(), Moment::now(), site);
        self.on_site(with_links, of_cluster, create).await
    }

    /// Decides something about a network beside all that there is. Networks of the cluster are those that are
    /// known here, or where somebody has just asked the store, `of_cluster`.
    async fn on_site<T>(
        &self,
        with_links: bool,
        of_cluster: Option<&[Network]>,
        decide: impl FnOnce(&Site<'_>) -> Result<T, NetworkError>,
    ) -> Result<T, NetworkError> {
        let seen = self.0.keeper.look(with_links).await.map_err(not_seen)?;
        let known = self.networks();
        let is_meant = |it: &&Network| of_cluster.is_none() || it.scope == Scope::Local;
        let known = known.values().filter(is_meant);
        let networks: Vec<&Network> = known.chain(of_cluster.unwrap_or_default()).collect();
        let avoid = [self.0.avoid.clone(), resolvers::of_host()].concat();
        decide(&Site {
            networks: &networks,
            routes: &seen.routes,
            clusters: &self.0.claims.all(),
            avoid: &avoid,
            pools: &self.0.pools,
            links: &seen.links,
            tunnels: &seen.tunnels,
            lacking: &seen.lacking,
        })
    }

    /// Whether the bridge that a network names is there already.
    async fn is_there(&self, network: &Network) -> Result<bool, NetworkError> {
        let Some(name) = BridgeOptions::read(&network.options)?.name else { return Ok(false) };
        match self.0.keeper.is_bridge(name.clone()).await.map_err(not_seen)? {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(NetworkError::NotABridge(name.to_string())),
        }
    }

    async fn keep(&self, network: Network) -> Result<(), NetworkError> {
        let written = self.0.book.write(std::slice::from_ref(&network)).await;
        written.map_err(|error| not_written("write down", &error))?;
        self.put_known(network);
        Ok(())
    }

    /// A network is there from now on, for all who ask.
    fn put_known(&self, network: Network) {
        self.0.dns.put_network(names::network(&network));
        self.change(|networks| drop(networks.insert(network.id.clone(), network)));
    }

    fn found(&self, word: &str) -> Result<Network, NetworkError> {
        network::find(self.networks().values(), word).cloned()
    }

    /// The networks of this moment.
    fn networks(&self) -> Arc<BTreeMap<Id, Network>> {
        self.0.networks.get()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Id, Network>)) {
        self.0.networks.change(change);
    }
}

/// What a network stands on, in a word.
fn below(network: &Network) -> &'static str {
    if network.driver == Driver::Bridge { "bridge" } else { "links" }
}

/// What the host has of a network that has something. That of network `bridge` is made when the first container needs
/// it: a host without containers keeps its interfaces as they are.
fn device_of(network: &Network) -> Option<Device> {
    match Device::of(network) {
        Ok(device) => device,
        Err(error) => {
            tracing::error!(network = network.name, %error, "a network cannot be made");
            None
        }
    }
}

fn not_seen(why: String) -> NetworkError {
    NetworkError::Host { action: "look at this host's network".into(), why }
}

fn not_written(what: &str, error: &Error) -> NetworkError {
    let action = format!("{what} the networks of this host");
    NetworkError::Host { action, why: cni::ErrorChain(error).to_string() }
}
