//! What there is at the start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::IpNetwork;
use tokio::sync::Mutex;

use super::book::Book;
use super::endpoints::Endpoints;
use super::keeper::{self, Keeper, Members};
use super::lists::Lists;
use super::overlay::{Bulletin, Overlays};
use super::{
    Claims, FILE, Inner, Known, Registry, device_of, global, names, orphans, resolvers, tend,
};
use crate::dns;
use crate::global::Cluster;
use crate::network::{self, Device, Id, Moment, Network, Pools};
use crate::store::Error;

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file.
    #[error("open the networks of this host")]
    File(#[source] Error),
    /// What containers are attached by.
    #[error("open the containers on this host's networks")]
    Endpoints(#[source] attach::Error),
    /// The DNS server.
    #[error("serve names of containers")]
    Dns(#[source] dns::StartError),
    /// The thread that makes bridges, or its sockets.
    #[error("start the thread that keeps bridges")]
    Thread(#[source] std::io::Error),
}

impl Registry {
    /// Reads the networks from the state directory, makes those that are always there where they are
    /// not, and starts to keep the bridges in the calling thread's network namespace: all of them have
    /// been looked at once when this returns, and so have the containers on them, which are written
    /// down in `run_dir`. What must not be chosen as a subnet is in `avoid`, and what clusters have in
    /// `claims`; networks that are published to runtimes are so in `cni_dir`. Networks of the whole cluster are
    /// those of `cluster`.
    ///
    /// # Errors
    /// [`OpenError`]; that a bridge cannot be made is no error, but told by
    /// [`Self::health`].
    pub async fn open(
        state_dir: &Path,
        run_dir: &Path,
        cni_dir: &Path,
        avoid: Vec<IpNetwork>,
        claims: Claims,
        resync: Duration,
        cluster: Option<Cluster>,
    ) -> Result<Self, OpenError> {
        let (book, mut networks) = Book::open(&state_dir.join(FILE)).await?;
        let dns = dns::Server::start(dns::Config::default()).map_err(OpenError::Dns)?;
        let dns = Arc::new(dns);
        let (has_ipv6, pins) = (keeper::has_ipv6(), Overlays::pins(run_dir));
        let endpoints = Endpoints::new(run_dir, has_ipv6, pins.clone(), Arc::clone(&dns))
            .map_err(OpenError::Endpoints)?;
        let (endpoints, known) = (Arc::new(endpoints), Known::default());
        let members = Members {
            endpoints: Arc::clone(&endpoints),
            networks: known.clone(),
            overlays: Bulletin::default(),
        };
        let key = cluster.as_ref().map_or_else(|| Err("no cluster".to_owned()), Cluster::key);
        let overlays = Overlays::new(run_dir, pins, members.clone(), Arc::clone(&dns), key, resync);
        let keeper = Keeper::start(resync, members).map_err(OpenError::Thread)?;
        let local = book.local_network().await.map_err(OpenError::File)?;
        let pools = Pools::new(local);
        if networks.is_empty() {
            // Where routes cannot be listed the first pool is as good as any.
            let routes = keeper.look(false).await.map(|seen| seen.routes).unwrap_or_default();
            let of_clusters = claims.all().into_iter().map(|cluster| cluster.net).collect();
            let avoid = [avoid.clone(), resolvers::of_host(), of_clusters].concat();
            networks = network::of_new_host(Moment::now(), &pools, &routes, &avoid);
            book.write(&networks).await.map_err(OpenError::File)?;
        }
        networks.extend(global::known(cluster.as_ref()));
        for network in overlays.before() {
            if networks.iter().all(|known| known.id != network.id) {
                networks.push(network);
            }
        }
        let told = networks.iter().map(names::network).collect();
        dns.update(dns::Names { networks: told, endpoints: Vec::new() });
        let default_bridge = networks.iter().find(|network| network.name == network::BRIDGE);
        let default_bridge = default_bridge.filter(|network| endpoints.are_written(&network.id));
        let devices = networks.iter().filter(|network| !network.is_predefined());
        let devices: Vec<Device> = devices.chain(default_bridge).filter_map(device_of).collect();
        let default_bridge = Mutex::new(default_bridge.is_some());
        if let Err(reason) = keeper.put(devices).await {
            tracing::error!(%reason, "not all networks stand; trying again");
        }
        orphans::tell(&networks);
        let networks: BTreeMap<Id, Network> =
            networks.into_iter().map(|network| (network.id.clone(), network)).collect();
        tracing::info!(networks = networks.len(), "networks");
        let lists = Lists::new(run_dir, cni_dir);
        lists.sync(global::listed(&networks));
        known.change(|there| *there = networks);
        let (networks, turn) = (known, Mutex::default());
        let inner = Arc::new(Inner {
            book,
            keeper,
            pools,
            avoid,
            claims,
            cluster,
            round: Mutex::default(),
            in_force: Mutex::default(),
            networks,
            endpoints,
            overlays,
            lists,
            dns,
            default_bridge,
            turn,
        });
        let registry = Self(inner);
        registry.adopt().await;
        // Whoever attaches from now on finds the addresses that are this host's.
        registry.take_up().await;
        tend::tend(&registry.0);
        registry.follow_claims();
        global::follow(&registry.0);
        Ok(registry)
    }
}
