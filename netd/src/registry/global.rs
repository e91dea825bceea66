//! Networks of the whole cluster, among those of this host: what [`crate::global`] knows is in force here.

mod elsewhere;
mod free;
mod give_way;
mod shown;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Registry, device_of};
use crate::endpoint::{EndpointError, Wanted};
use crate::global::{ClaimError, Cluster, RemoveError};
use crate::network::{CreateRequest, Created, Id, Network, NetworkError, Scope};
use crate::store::Error;

pub(super) use elsewhere::InForce;
pub(super) use tell::follow;

/// Others may make networks at the same moment.
const ATTEMPTS: usize = 32;

impl Registry {
    /// Makes a network of the cluster: there is all of it, or nothing.
    pub(super) async fn create_global(
        &self,
        request: CreateRequest,
    ) -> Result<(Id, Vec<String>), NetworkError> {
        let what = match request.driver.as_str() {
            "overlay" => "driver overlay",
            _ => "--scope global",
        };
        let cluster = self.cluster(what)?;
        let action = format!("make network {} in etcd", request.name);
        let failed = |error: &Error| in_etcd(action.clone(), error);
        for _ in 0..ATTEMPTS {
            let prepared = cluster.prepare().await.map_err(|error| failed(&error))?;
            let created = self.decide(request.clone(), Some(&prepared.networks)).await?;
            let Created { network, warnings } = created;
            if cluster.make(&prepared, &network).await.map_err(|error| failed(&error))? {
                self.take_up().await;
                return Ok((network.id, warnings));
            }
        }
        Err(NetworkError::Host {
            action,
            why:
                "its name or its VNI is another's, or others make networks all the time: try again"
                    .to_owned(),
        })
    }

    /// Removes a network of the cluster, which nobody on this host is on.
    pub(super) async fn remove_from_cluster(&self, network: &Network) -> Result<(), NetworkError> {
        let cluster = self.cluster(&format!("driver {}", network.driver.name()))?;
        // What has just ended here is no reason to keep it, and what was never told is in nobody's way.
        let removed = match cluster.publish(&self.to_publish()).await {
            Err(ClaimError::Store(error)) => Err(RemoveError::Store(error)),
            Ok(()) | Err(_) => cluster.remove(network).await,
        };
        let action = format!("remove network {} from etcd", network.name);
        match removed {
            Ok(()) => {
                self.take_up().await;
                Ok(())
            }
            Err(RemoveError::Active(endpoints)) => {
                let host = |machine: &str| cluster.look(|view| view.name(machine).to_owned());
                let containers = endpoints.iter().map(|endpoint| {
                    let at = format!("{} on host {}", endpoint.name(), host(&endpoint.machine));
                    (at, endpoint.container.clone())
                });
                let containers = containers.collect();
                Err(NetworkError::Active { network: network.name.clone(), containers })
            }
            Err(RemoveError::Store(error)) => Err(in_etcd(action, &error)),
            Err(busy @ RemoveError::Busy) => {
                Err(NetworkError::Host { action, why: busy.to_string() })
            }
        }
    }

    /// Sees to it that this host may give out the addresses that a container is to have. Where it may
    /// already, nobody is asked.
    pub(super) async fn room(
        &self,
        network: &Network,
        wanted: &Wanted,
    ) -> Result<(), EndpointError> {
        let (Scope::Global, Some(cluster)) = (network.scope, &self.0.cluster) else {
            return Ok(());
        };
        let used = self.used(&network.id);
        let ips: Vec<IpAddr> = wanted.ips.iter().map(|net| net.ip()).collect();
        match cluster.make_room(&network.id, &used, &ips).await {
            Ok(claimed) => {
                if claimed {
                    self.take_up().await;
                }
                Ok(())
            }
            Err(error) => Err(no_address(network, &error)),
        }
    }

    /// Whether a container could have an address now, as far as this host knows.
    pub(super) fn could_have_room(&self, network: &Network) -> Result<(), EndpointError> {
        let (Scope::Global, Some(cluster)) = (network.scope, &self.0.cluster) else {
            return Ok(());
        };
        let could = cluster.could_make_room(&network.id, &self.used(&network.id));
        could.map_err(|error| no_address(network, &error))
    }

    /// The addresses of this host's containers on a network, also of those that are not made yet.
    pub(super) fn used(&self, id: &Id) -> BTreeSet<IpAddr> {
        let endpoints = self.0.endpoints.of_network(id);
        endpoints.iter().flat_map(|endpoint| &endpoint.addresses).map(|net| net.ip()).collect()
    }

    fn cluster(&self, what: &str) -> Result<&Cluster, NetworkError> {
        self.0.cluster.as_ref().ok_or_else(|| NetworkError::NoCluster(what.to_owned()))
    }

    /// Puts in force here what has happened in the cluster.
    pub(super) async fn take_up(&self) {
        let Some(cluster) = &self.0.cluster else { return };
        // One after the other, so that nothing older comes after something newer.
        let _round = self.0.round.lock().await;
        let known = self.networks();
        let ours = known.values().filter(|network| network.scope == Scope::Global);
        let mut touched = cluster.touched();
        // A network that is gone stays until its last container here is.
        let is_gone = |id: &Id| cluster.look(|view| view.of(id).is_none());
        touched.extend(ours.map(|network| network.id.clone()).filter(is_gone));
        for id in touched {
            let network = cluster.look(|view| view.of(&id)?.network.clone());
            match network {
                Some(network) => {
                    // Containers that are on it are nobody's after a crash if it is not known then.
                    if !self.networks().contains_key(&id)
                        && let Err(error) = cluster.keep(&network).await
                    {
                        let error = cni::ErrorChain(&error).to_string();
                        tracing::error!(error, "a network of the cluster is not on the disk yet");
                    }
                    self.put_global(network.value).await;
                    self.tell_of(cluster, &id, &mut *self.0.in_force.lock().await);
                }
                None => {
                    // Nobody comes on it any more.
                    self.put_blocks(&id, Vec::new());
                    self.remove_global(&id).await;
                }
            }
        }
    }

    /// A network of the cluster is there.
    async fn put_global(&self, network: Network) {
        if self.networks().get(&network.id) != Some(&network) {
            self.0.endpoints.reopen(&network.id);
            self.put_known(network.clone());
            if let Some(device) = device_of(&network)
                && let Err(reason) = self.0.keeper.put(vec![device]).await
            {
                tracing::error!(
                    network = network.name,
                    reason,
                    "what a network of the cluster is on cannot be made; trying again"
                );
            }
            tracing::info!(
                network = network.name,
                id = network.id.short(),
                "network of the cluster"
            );
            match self.has_namesake(&network) {
                true => tracing::warn!(
                    network = network.name,
                    id = network.id.short(),
                    "a network of this host has the name of one of the cluster, which is found by its id \
                     alone here: remove one of them"
                ),
                false => self.0.lists.keep(&network).iter().for_each(|why| tracing::warn!("{why}")),
            }
        }
    }

    /// A network of the cluster is gone. With containers here it stays until they are.
    async fn remove_global(&self, id: &Id) {
        let Some(network) = self.networks().get(id).cloned() else { return };
        if network.scope != Scope::Global || self.0.endpoints.close(id).is_err() {
            return;
        }
        if let Err(reason) = self.0.keeper.remove(id.clone()).await {
            tracing::error!(network = network.name, reason, "the link that a network was on stays");
        }
        self.forget_in_force(id, &mut *self.0.in_force.lock().await);
        self.forget_known(&network);
        tracing::info!(network = network.name, id = id.short(), "a network of the cluster is gone");
    }

    /// Whether a network of this host has the name of one of the cluster.
    pub(super) fn has_namesake(&self, network: &Network) -> bool {
        has_namesake(&self.networks(), network)
    }
}

/// The networks that have a list for runtimes: of two with one name that of this host.
pub(super) fn listed(networks: &BTreeMap<Id, Network>) -> impl Iterator<Item = &Network> + Clone {
    networks.values().filter(|network| !has_namesake(networks, network))
}

fn has_namesake(networks: &BTreeMap<Id, Network>, network: &Network) -> bool {
    let is_one = |other: &Network| other.scope == Scope::Local && other.name == network.name;
    network.scope == Scope::Global && networks.values().any(is_one)
}

/// The networks of the cluster as they were known at the last time.
pub(super) fn known(cluster: Option<&Cluster>) -> Vec<Network> {
    let all = cluster.map(|cluster| {
        cluster.look(|view| view.networks().map(|it| it.value.clone()).collect::<Vec<_>>())
    });
    all.unwrap_or_default()
}

fn no_address(network: &Network, error: &ClaimError) -> EndpointError {
    let why = cni::ErrorChain(error);
    EndpointError::Unavailable(format!("take an address of network {}: {why}", network.name))
}

fn in_etcd(action: String, error: &Error) -> NetworkError {
    NetworkError::Host { action, why: cni::ErrorChain(error).to_string() }
}
