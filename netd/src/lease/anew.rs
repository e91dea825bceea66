//! Whether the store is the one of before: one that was built anew on an empty disk knows neither
//! the hosts nor their subnets, though their containers run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::claims::encode;
use super::{Leases, SubnetKey};
use crate::store::{Entry, Error, Session, Txn, random};

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
        Ok(entry.and_then(|entry| name_of(&entry)))
    }

    /// Names the store; `None` where another host was faster. A name that is there stays: its host
    /// remembers it, and would take the store for another one.
    pub(super) async fn name_store(&self) -> Result<Option<String>, Error> {
        let name = format!("{:016x}{:016x}", random(), random());
        let value = encode(&Name { name: name.clone(), host: self.host.name.clone() });
        // One that cannot be read is nobody's.
        let key = self.keys.cluster();
        let mut txn = Txn::new();
        txn = match self.store.get(&key).await? {
            Some(entry) if name_of(&entry).is_some() => return Ok(None),
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
        let prefix = self.keys.missing();
        let listing = match self.store.list(&prefix).await {
            Err(error) if error.is_permission_denied() => return Ok(Vec::new()),
            other => other?,
        };
        // Below a host's name is another network's, whose prefix begins with this one.
        let is_hosts =
            |key: &str| key.strip_prefix(&prefix).is_some_and(|host| !host.contains('/'));
        let entries = listing.entries.into_iter().filter(|entry| is_hosts(&entry.key));
        Ok(entries.filter_map(|entry| serde_json::from_slice(&entry.value).ok()).collect())
    }

    /// Says what this host misses, as long as a session lives.
    pub(super) async fn miss(
        &self,
        subnets: &BTreeSet<SubnetKey>,
        session: Session,
    ) -> Result<(), Error> {
        let subnets = subnets.iter().map(ToString::to_string).collect();
        let value = encode(&Missing { host: self.host.name.clone(), subnets });
        let txn = Txn::new().put(self.key_of_word(), value, Some(session));
        self.store.txn(txn).await.map(drop)
    }

    /// What this host says is missing.
    pub(super) async fn own_word(&self) -> Result<Option<Entry>, Error> {
        self.store.get(&self.key_of_word()).await
    }

    /// Says nothing any more.
    pub(super) async fn no_word(&self) -> Result<(), Error> {
        self.store.txn(Txn::new().delete(self.key_of_word())).await.map(drop)
    }

    fn key_of_word(&self) -> String {
        format!("{}{}", self.keys.missing(), self.host.machine_id)
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

/// `None` where it cannot be read.
fn name_of(entry: &Entry) -> Option<String> {
    serde_json::from_slice(&entry.value).ok().map(|name: Name| name.name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lease::{Host, Keyspace};
    use crate::store::Store;
    use crate::store::local::Local;

    fn host(store: &Arc<dyn Store>, name: &str) -> Leases {
        let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
        let host = Host { machine_id: name.into(), boot_id: name.into(), name: name.into() };
        Leases::new(Arc::clone(store), keys, host)
    }

    #[tokio::test]
    async fn of_two_hosts_that_name_a_store_at_once_the_second_has_the_name_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
        let (one, two) = (host(&store, "one"), host(&store, "two"));
        // Each has seen it without a name.
        assert_eq!(
            (one.store_name().await.unwrap(), two.store_name().await.unwrap()),
            (None, None)
        );
        let name = one.name_store().await.unwrap();
        assert!(name.is_some());
        assert_eq!(two.name_store().await.unwrap(), None, "the first was faster");
        assert_eq!(
            (one.store_name().await.unwrap(), two.store_name().await.unwrap()),
            (name.clone(), name)
        );
        // One that cannot be read is nobody's.
        let key = one.keys.cluster();
        store.txn(Txn::new().put(key, "{", None)).await.unwrap();
        assert!(two.name_store().await.unwrap().is_some());
    }
}
