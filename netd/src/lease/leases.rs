//! A host's access to the leases of its cluster.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Instrument;

use super::acquire::Acquiring;
use super::keep::{Keeping, Standing};
use super::{
    AcquireError, ConfigError, Held, Host, Keeper, Keyspace, Lease, LeaseValue, Leased, Owner,
    SubnetKey,
};
use crate::config::network::NetworkConfig;
use crate::store::{self, Change, Followed, Store, follow};

/// How long flannel's leases live without a sign of life.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(24 * 3600);

/// How many configurations may wait for the agent.
const WAITING_EVENTS: usize = 4;

/// A host's access to the leases of its cluster.
#[derive(Clone, Debug)]
pub struct Leases {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: Keyspace,
    pub(super) host: Host,
}

/// What a host wants a subnet for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What it publishes with it.
    pub value: LeaseValue,
    /// The subnet it had before, out of subnet.env: taken again if nobody else has it.
    pub previous: Option<SubnetKey>,
    /// Containers have addresses of that one: no other will do.
    pub is_used: bool,
    /// Subnets of hosts that are missing in a store that was built anew: they are not free.
    pub missing: BTreeSet<SubnetKey>,
    /// How long the subnet stays the host's when its agent is gone; flannel's is
    /// [`TIME_TO_LIVE`].
    pub time_to_live: Duration,
    /// Whether an agent keeps it from now on: the sign of life that is given with it stays.
    pub is_kept: bool,
}

impl Wanted {
    /// The subnet that containers have addresses of, where the network still gives it out.
    pub(super) fn used(&self, config: &NetworkConfig) -> Option<SubnetKey> {
        let used = self.previous.filter(|_| self.is_used)?;
        config.subnets.contains(used.v4.into()).then_some(used)
    }
}

impl Leases {
    /// Access of `host` to what is at `keys` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keys: Keyspace, host: Host) -> Self {
        Self { store, keys, host }
    }

    /// Reads the network configuration.
    ///
    /// # Errors
    /// When there is none, it is wrong, or the store does not answer.
    pub async fn config(&self) -> Result<NetworkConfig, ConfigError> {
        self.config_text().await.map(|(config, _)| config)
    }

    /// The same, with the bytes it is read from.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub async fn config_text(&self) -> Configured {
        let key = self.keys.config();
        let entry = self.store.get(&key).await.map_err(ConfigError::Store)?;
        let Some(entry) = entry else { return Err(ConfigError::Absent { key }) };
        parse(key, entry.value)
    }

    /// Tells what the network configuration is, now and whenever somebody writes it, until the
    /// receiver is dropped. Needs a tokio runtime.
    #[must_use]
    pub fn follow_config(&self) -> mpsc::Receiver<Configured> {
        let (news, receiver) = mpsc::channel(WAITING_EVENTS);
        let (followed, mut of_store) = mpsc::channel(WAITING_EVENTS);
        let key = self.keys.config();
        let following = follow(Arc::clone(&self.store), key.clone(), followed);
        tokio::spawn(following.in_current_span());
        let telling = async move {
            loop {
                let followed = tokio::select! {
                    followed = of_store.recv() => followed,
                    () = news.closed() => None,
                };
                let Some(followed) = followed else { return };
                for configured in configured(&key, followed) {
                    if news.send(configured).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::spawn(telling.in_current_span());
        receiver
    }

    /// Connects to the store anew, as an address of this host is gone.
    pub fn reconnect(&self) {
        self.store.reconnect();
    }

    /// Leases a subnet: the one this host has, else the previous one, else a free one at random.
    ///
    /// The one it has is that which its own record proves; without rights to netd's prefix, or
    /// where flanneld leased it, the one with its address. Written is only what changes, and only
    /// where nobody else wrote meanwhile.
    ///
    /// # Errors
    /// When no subnet is free, others were faster too often, another host has the same machine
    /// id, or the store does not do it. Nothing is left behind in the store then, if it can still
    /// be reached.
    pub async fn acquire(
        &self,
        config: &NetworkConfig,
        wanted: &Wanted,
    ) -> Result<Held, AcquireError> {
        Acquiring::new(self, config, wanted).run().await
    }

    /// Keeps a lease until the keeper is dropped or stopped, and says how it is. Needs a tokio
    /// runtime.
    #[must_use]
    pub fn keep(&self, held: Held) -> Keeper {
        Keeping::spawn(self.clone(), held, Standing::Ours)
    }

    /// The same for a lease that is not ours at present, with the reason: it becomes ours when its
    /// subnet is free.
    #[must_use]
    pub fn keep_lost(&self, held: Held, reason: String) -> Keeper {
        Keeping::spawn(self.clone(), held, Standing::Other(reason))
    }

    /// Whether this host has a lease of another subnet than this one, which it lost: by its record,
    /// or, where nobody proves it, by its address, if it was made after the subnet was lost.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn has_another_than(
        &self,
        lost: &SubnetKey,
        public_ip: Ipv4Addr,
    ) -> Result<bool, store::Error> {
        let leases = self.overview().await?.leases;
        let all = || leases.iter().map(|(lease, _)| lease);
        let ours = |(lease, owner): &(Lease, Option<Owner>)| match owner {
            Some(owner) => owner.machine_id == self.host.machine_id,
            None => lease.is_of(public_ip) && lease.is_in_place_of(lost, all()),
        };
        Ok(leases.iter().any(|one| one.0.subnet != *lost && ours(one)))
    }

    /// Lists all leases, ours too.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Leased, store::Error> {
        let listing = self.store.list(&self.keys.subnets()).await?;
        Ok(Leased::read(&self.keys, listing.entries))
    }
}

/// The network configuration with its bytes, or why there is none.
pub type Configured = Result<(NetworkConfig, Vec<u8>), ConfigError>;

fn configured(key: &str, news: Followed) -> Vec<Configured> {
    let absent = || Err(ConfigError::Absent { key: key.to_owned() });
    match news {
        Followed::Listed(listing) | Followed::Anew(listing) => {
            let entry = listing.entries.into_iter().find(|entry| entry.key == key);
            vec![entry.map_or_else(absent, |entry| parse(key.to_owned(), entry.value))]
        }
        Followed::Changed(changes) => changes
            .into_iter()
            .filter(|change| change.key() == key)
            .map(|change| match change {
                Change::Put(entry) => parse(key.to_owned(), entry.value),
                Change::Deleted { .. } => absent(),
            })
            .collect(),
    }
}

fn parse(key: String, json: Vec<u8>) -> Configured {
    match NetworkConfig::parse(&json) {
        Ok(config) => Ok((config, json)),
        Err(source) => Err(ConfigError::Invalid { key, source }),
    }
}
