//! What clusters have of this host's addresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use tokio::sync::watch;

use super::Registry;
use crate::network::{self, BRIDGE, ClusterNetwork, NetworkError, Span};

/// The networks of this host's clusters, as the agent knows them; none where it is in none. Copies are the
/// same.
#[derive(Debug, Clone, Default)]
pub struct Claims(watch::Sender<BTreeMap<String, Vec<IpNetwork>>>);

impl Claims {
    /// These are the networks of a cluster, by the name that this host has for it.
    pub fn set(&self, cluster: &str, networks: Vec<IpNetwork>) {
        self.0.send_if_modified(|all| {
            let before = all.insert(cluster.to_owned(), networks);
            before.as_ref() != all.get(cluster)
        });
    }

    /// All.
    pub(super) fn all(&self) -> Vec<ClusterNetwork> {
        let all = self.0.borrow();
        let each = all.iter().flat_map(|(name, nets)| nets.iter().map(move |net| (name, *net)));
        each.map(|(name, net)| ClusterNetwork { name: name.clone(), net }).collect()
    }

    fn overlap(&self, net: IpNetwork) -> bool {
        self.all().iter().any(|there| Span::of(there.net).overlaps(Span::of(net)))
    }
}

impl Registry {
    /// Heeds what clusters have now, and all changes of that, until the registry is gone.
    pub(super) fn follow_claims(&self) {
        let (mut changes, inner) = (self.0.claims.0.subscribe(), Arc::downgrade(&self.0));
        changes.mark_changed();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let Some(inner) = inner.upgrade() else { return };
                let registry = Self(inner);
                registry.0.keeper.put_clusters(registry.0.claims.all());
                if let Err(error) = registry.move_bridge().await {
                    tracing::error!(%error, "network bridge stays where a cluster is");
                }
            }
        });
    }

    /// Network `bridge` got its subnet before the host knew of any cluster. As long as no container has been on
    /// it nobody depends on that, and it gets another where a cluster has addresses of it.
    async fn move_bridge(&self) -> Result<(), NetworkError> {
        let _turn = self.0.turn.lock().await;
        let is_there = self.0.default_bridge.lock().await;
        let network = self.found(BRIDGE)?;
        if *is_there || !network.subnets.iter().any(|subnet| self.0.claims.overlap(subnet.net)) {
            return Ok(());
        }
        let moved = self.on_site(false, None, |site| network::elsewhere(network, site)).await?;
        let subnet = moved.subnets.first().map(|subnet| subnet.net.to_string());
        tracing::info!(
            subnet,
            "network bridge has another subnet: a cluster has the one of before"
        );
        self.0.lists.keep(&moved);
        self.keep(moved).await
    }
}
