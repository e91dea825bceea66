//! Networks on disk.

use std::path::Path;
use std::sync::Arc;

use ipnetwork::IpNetwork;

use super::OpenError;
use crate::network::{Id, Network, host_network};
use crate::store::local::{Damaged, Local};
use crate::store::{Error, Store, Txn, random};

/// Where the networks are in the file: each by its id, as JSON.
const NETWORKS: &str = "/networks/";
/// The host's own part of fd00::/8.
const LOCAL: &str = "/host/unique-local";

/// The file.
#[derive(Debug)]
pub(super) struct Book(Arc<dyn Store>);

impl Book {
    /// Opens the file, or makes it; gives the networks in it. One that is damaged is set aside: a
    /// host without networks is of more use than one without an agent, and bridges stay.
    pub(super) async fn open(path: &Path) -> Result<(Self, Vec<Network>), OpenError> {
        let (local, damaged) = Local::open_or_anew_beside_others(path).map_err(OpenError::File)?;
        if let Some(Damaged { aside, reason }) = damaged {
            tracing::error!(
                file = %path.display(), reason, aside = %aside.display(),
                "the file of this host's networks is damaged, and was set aside: create them again; \
                 bridges of before stay, are named below, and nobody keeps them"
            );
        }
        let book = Self(Arc::new(local));
        let listing = book.0.list(NETWORKS).await.map_err(OpenError::File)?;
        let mut networks = Vec::new();
        for entry in listing.entries {
            match serde_json::from_slice(&entry.value) {
                Ok(network) => networks.push(network),
                Err(error) => {
                    tracing::error!(key = entry.key, %error, "a network cannot be read; it stays");
                }
            }
        }
        Ok((book, networks))
    }

    /// The host's own part of fd00::/8, the same for ever.
    pub(super) async fn local_network(&self) -> Result<Option<IpNetwork>, Error> {
        if let Some(entry) = self.0.get(LOCAL).await? {
            return Ok(String::from_utf8_lossy(&entry.value).parse().ok());
        }
        let network = host_network(random());
        if let Some(network) = network {
            self.0.txn(Txn::new().put(LOCAL, network.to_string().into_bytes(), None)).await?;
        }
        Ok(network)
    }

    /// Writes networks, all or none. When this returns they outlast a crash of the host.
    pub(super) async fn write(&self, networks: &[Network]) -> Result<(), Error> {
        let mut txn = Txn::new();
        for network in networks {
            // Its keys are text, so there is a JSON form.
            let json = serde_json::to_vec(network).unwrap_or_default();
            txn = txn.put(key(&network.id), json, None);
        }
        self.0.txn(txn).await.map(drop)
    }

    /// Forgets a network.
    pub(super) async fn forget(&self, id: &Id) -> Result<(), Error> {
        self.0.txn(Txn::new().delete(key(id))).await.map(drop)
    }
}

fn key(id: &Id) -> String {
    format!("{NETWORKS}{id}")
}
