//! Whether the store is the one of before: one that was built anew on an empty disk knows neither
//! the hosts nor their subnets, though their containers run.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claims::encode;
use super::{Leases, SubnetKey};
use crate::store::{Error, Txn, random};

/// What the first host of a store calls it, at random.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Name {
    name: String,
    /// Who gave it, for people.
    host: String,
}

/// A host's word that the store was built anew and hosts are missing in it. It ends when they are
/// there again, or with their leases' time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// The host that misses them, for people.
    pub host: String,
    /// The last elements of the leases' keys.
    pub subnets: BTreeSet<String>,
}

impl Missing {
    /// The subnets.
    pub fn subnets(&self) -> impl Iterator<Item = SubnetKey> {
        self.subnets.iter().filter_map(|text| text.parse().ok())
    }
}

impl Leases {
    /// What the store is called, `None` where nobody named it yet.
    ///
    /// # Errors
    /// When the store does not answer, or this host has no rights to netd's own prefix.
    pub async fn store_name(&self) -> Result<Option<String>, Error> {
        let entry = self.store.get(&self.keys.cluster()).await?;
        let name = |value: Vec<u8>| serde_json::from_slice::<Name>(&value).ok();
        Ok(entry.and_then(|entry| name(entry.value)).map(|name| name.name))
    }

    /// Names the store, unless another host was faster.
    pub(super) async fn name_store(&self) -> Result<Option<String>, Error> {
        let name = format!("{:016x}{:016x}", random(), random());
        let value = encode(&Name { name: name.clone(), host: self.host.name.clone() });
        // One that cannot be read is nobody's.
        let key = self.keys.cluster();
        let mut txn = Txn::new();
        txn = match self.store.get(&key).await? {
            Some(entry) => txn.if_unchanged(&key, entry.mod_revision),
            None => txn.if_absent(&key),
        };
        let outcome = self.store.txn(txn.put(key, value, None)).await?;
        Ok(outcome.committed.then_some(name))
    }

    /// What hosts say is missing in a store that was built anew; nothing without rights to read it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn missing(&self) -> Result<Vec<Missing>, Error> {
        let listing = match self.store.list(&self.keys.missing()).await {
            Err(error) if error.is_permission_denied() => return Ok(Vec::new()),
            other => other?,
        };
        let read = |value: Vec<u8>| serde_json::from_slice(&value).ok();
        Ok(listing.entries.into_iter().filter_map(|entry| read(entry.value)).collect())
    }

    /// Says what this host misses, for so long; nothing any more, where that is empty.
    pub(super) async fn miss(
        &self,
        subnets: &BTreeSet<SubnetKey>,
        for_time: Duration,
    ) -> Result<(), Error> {
        let key = format!("{}{}", self.keys.missing(), self.host.machine_id);
        let txn = if subnets.is_empty() {
            Txn::new().delete(key)
        } else {
            let subnets = subnets.iter().map(ToString::to_string).collect();
            let value = encode(&Missing { host: self.host.name.clone(), subnets });
            Txn::new().put(key, value, Some(self.store.grant(for_time).await?))
        };
        self.store.txn(txn).await.map(drop)
    }

    /// Writes the network configuration into a store that has none. Gives whether it did.
    ///
    /// # Errors
    /// When the store does not do it.
    pub async fn restore_config(&self, json: &[u8]) -> Result<bool, Error> {
        let key = self.keys.config();
        let txn = Txn::new().if_absent(&key).put(key, json, None);
        self.store.txn(txn).await.map(|outcome| outcome.committed)
    }
}
