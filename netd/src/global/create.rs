//! Making a network of the cluster.

use super::cluster::Cluster;
use super::record::encode;
use crate::network::Network;
use crate::store::{Error, Revision, Txn};

/// The networks there are, and whose turn it is to make another.
#[derive(Clone, Debug)]
pub struct Commit {
    /// All of them.
    pub networks: Vec<Network>,
    turn: Option<Revision>,
}

impl Cluster {
    /// The networks there are now, by the store.
    ///
    /// # Errors
    /// Where it does not say.
    pub async fn prepare(&self) -> Result<Commit, Error> {
        let (store, keys) = (&self.0.store, &self.0.keys);
        // First the turn: what is listed is at least what there was then.
        let turn = store.get(&keys.turn()).await?.map(|entry| entry.mod_revision);
        let listing = store.list(&keys.networks()).await?;
        let mut networks = Vec::new();
        for entry in listing.entries {
            match serde_json::from_slice(&entry.value) {
                Ok(network) => networks.push(network),
                Err(error) => {
                    tracing::error!(key = entry.key, %error, "a network in etcd cannot be read");
                }
            }
        }
        Ok(Commit { networks, turn })
    }

    /// Makes a network, if none was made since `prepared`: gives whether it is made.
    ///
    /// # Errors
    /// Where the store does not do it, or does not say whether it did.
    pub async fn make(&self, prepared: &Commit, network: &Network) -> Result<bool, Error> {
        let (keys, id) = (&self.0.keys, &network.id);
        let as_id = || id.as_str().as_bytes();
        let txn = match prepared.turn {
            None => Txn::new().if_absent(keys.turn()),
            Some(turn) => Txn::new().if_unchanged(keys.turn(), turn),
        };
        let mut txn = txn
            .if_absent(keys.network(id))
            .if_absent(keys.name(&network.name))
            .put(keys.turn(), as_id(), None)
            .put(keys.network(id), encode(network), None)
            .put(keys.name(&network.name), as_id(), None);
        for vni in network.vnis() {
            txn = txn.if_absent(keys.vni(vni)).put(keys.vni(vni), as_id(), None);
        }
        self.commit(txn).await.map(|outcome| outcome.committed)
    }

    /// Makes the networks again that were in a store which was built anew since. Every host that knew them
    /// tries; the first one does it.
    ///
    /// # Errors
    /// Where the store does not answer; it is to be tried again then.
    pub(super) async fn restore(&self) -> Result<(), Error> {
        for network in self.lost() {
            let prepared = self.prepare().await?;
            let is_there = prepared.networks.iter().any(|there| there.id == network.id);
            if is_there || self.make(&prepared, &network).await? {
                tracing::warn!(network = network.name, "made again in a store that was built anew");
            } else {
                tracing::error!(
                    network = network.name,
                    "not made again in a store that was built anew: name, VNI or turn are another's"
                );
            }
            self.settle(&network);
        }
        Ok(())
    }
}
