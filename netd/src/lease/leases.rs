//! A host's access to the leases of its cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    AcquireError, ClusterEvent, ConfigError, Held, Host, Keeper, Keyspace, LeaseValue, SubnetKey,
};
use crate::config::network::NetworkConfig;
use crate::store::Store;

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
    /// How long the subnet stays the host's when its agent is gone; flannel's is 24 h.
    pub time_to_live: Duration,
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
        todo!()
    }

    /// Leases a subnet: the one this host has, else the previous one, else a free one at random.
    ///
    /// # Errors
    /// When no subnet is free, others were faster too often, or the store does not do it. Nothing
    /// is left behind in the store then.
    pub async fn acquire(
        &self,
        config: &NetworkConfig,
        wanted: &Wanted,
    ) -> Result<Held, AcquireError> {
        todo!("{config:?}{wanted:?}")
    }

    /// Keeps a lease until the keeper is dropped or stopped, and says how it is. Needs a tokio
    /// runtime.
    #[must_use]
    pub fn keep(&self, held: Held) -> Keeper {
        todo!("{held:?}")
    }

    /// Tells what happens to all other hosts, until the receiver is dropped; first comes a
    /// [`ClusterEvent::Reset`]. Needs a tokio runtime.
    #[must_use]
    pub fn watch(&self, own: SubnetKey) -> mpsc::Receiver<ClusterEvent> {
        todo!("{own:?}")
    }
}
