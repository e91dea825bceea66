//! Removing a network of the cluster.

use super::cluster::Cluster;
use super::keys::Key;
use super::record::EndpointRecord;
use crate::network::Network;
use crate::store::{Error, Txn};

/// Others may come and go meanwhile.
const ATTEMPTS: usize = 8;

/// Why a network stays.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Containers of hosts that are there are on it.
    #[error("containers are on it")]
    Active(Vec<EndpointRecord>),
    /// Containers come and go all the time.
    #[error("it changes all the time: try again")]
    Busy,
    /// The store.
    #[error("ask etcd")]
    Store(#[source] Error),
}

impl From<Error> for RemoveError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Cluster {
    /// Removes a network that no container is on but those of hosts that are down. One that is gone
    /// already is no error.
    ///
    /// # Errors
    /// It stays as it was then; of containers on hosts that are down it may have been forgotten.
    pub async fn remove(&self, network: &Network) -> Result<(), RemoveError> {
        for _ in 0..ATTEMPTS {
            self.forget_down(network).await?;
            if self.drop_network(network).await? {
                return Ok(());
            }
        }
        Err(RemoveError::Busy)
    }

    /// Deletes the endpoints of hosts that are down, by what the store says now.
    async fn forget_down(&self, network: &Network) -> Result<(), RemoveError> {
        let (store, keys) = (&self.0.store, &self.0.keys);
        let mut active = Vec::new();
        for entry in store.list(&keys.endpoints(&network.id)).await?.entries {
            let Some(Key::Endpoint(..)) = keys.read(&entry.key) else { continue };
            let endpoint: Option<EndpointRecord> = serde_json::from_slice(&entry.value).ok();
            let live = endpoint.as_ref().map(|endpoint| keys.live(&endpoint.machine));
            if let (Some(endpoint), Some(live)) = (endpoint, &live)
                && store.get(live).await?.is_some()
            {
                active.push(endpoint);
                continue;
            }
            let mut txn =
                Txn::new().if_unchanged(&entry.key, entry.mod_revision).delete(&entry.key);
            if let Some(live) = live {
                txn = txn.if_absent(live);
            }
            self.commit(txn).await?;
        }
        if active.is_empty() { Ok(()) } else { Err(RemoveError::Active(active)) }
    }

    /// Whether it is gone, or was: not if a container came on it meanwhile.
    async fn drop_network(&self, network: &Network) -> Result<bool, RemoveError> {
        let (store, keys, id) = (&self.0.store, &self.0.keys, &network.id);
        let Some(there) = store.get(&keys.network(id)).await? else { return Ok(true) };
        let mut txn = Txn::new()
            .if_unchanged(&there.key, there.mod_revision)
            .if_none_below(keys.endpoints(id))
            .delete(&there.key)
            .delete(keys.name(&network.name));
        for vni in network.vnis() {
            txn = txn.delete(keys.vni(vni));
        }
        // No block is claimed without its network.
        for below in [keys.blocks(id), keys.addresses(id), keys.all_freed(id)] {
            for entry in store.list(&below).await?.entries.into_iter().take(MOST) {
                txn = txn.delete(entry.key);
            }
        }
        Ok(self.commit(txn).await?.committed)
    }
}

/// Of each kind: a transaction of etcd has 128 writes. What stays ends with its host's session.
const MOST: usize = 36;
