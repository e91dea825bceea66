//! What is known of the cluster, kept on this host: with it an agent that starts while the store
//! is away goes on where the last one ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cni::ErrorChain;
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::AgentError;
use crate::config::network::NetworkConfig;
use crate::lease::{
    ClusterEvent, ClusterView, Held, Known, LeaseValue, Peer, StoreState, SubnetKey, since_boot,
};
use crate::store::local::{Damaged, Local};
use crate::store::{Entry, Error, Store, Txn};

/// Events of the cluster that come within this time are written together: the disk is waited for
/// once, and a burst of events costs little more than one.
const TOGETHER: Duration = Duration::from_secs(2);

/// When the lease had its last sign of life, in seconds since 1970.
const SIGN: &str = "sign-of-life";

/// Which store tells of the cluster.
const STORE: &str = "store";

/// What peers publish, as it is kept.
type Values = BTreeMap<SubnetKey, Vec<u8>>;

/// Where the knowledge of one cluster is kept.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    local: Arc<dyn Store>,
    at: String,
}

/// What the last agent knew.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) config: NetworkConfig,
    pub(super) held: Held,
    /// When the lease ends by the last sign of life, since boot.
    pub(super) until: Duration,
}

/// Opens the file of what is remembered. One that is damaged keeps no host down: the cluster's store
/// knows all of it but the devices' link-layer addresses, which peers are told anew.
pub(super) fn open(path: &Path) -> Result<Local, AgentError> {
    let (local, damaged) = Local::open_or_anew(path).map_err(AgentError::Local)?;
    if let Some(Damaged { aside, reason }) = damaged {
        tracing::warn!(
            file = %path.display(), reason, aside = %aside.display(),
            "the file of what this host remembers is damaged, and was set aside; configuration, lease, \
             peers and devices' addresses of before are forgotten, so this start needs etcd"
        );
    }
    Ok(local)
}

impl Memory {
    /// That of the cluster whose keys are below flannel's `prefix`.
    pub(super) fn new(local: Arc<dyn Store>, prefix: &str) -> Self {
        Self { local, at: format!("/cluster/{}/", prefix.trim_matches('/')) }
    }

    /// All of it; `None` where something is missing or cannot be read.
    pub(super) async fn recall(&self) -> Result<Option<Remembered>, AgentError> {
        let config = self.read("config").await?;
        let config = config.and_then(|bytes| NetworkConfig::parse(&bytes).ok());
        let (Some(config), Some(held)) = (config, self.lease().await?) else { return Ok(None) };
        let sign = self.text(SIGN).await?.and_then(|text| text.parse().ok());
        let end = Duration::from_secs(sign.unwrap_or(0)).saturating_add(held.time_to_live);
        // A clock that was put back lengthens no lease.
        let left = end.saturating_sub(now()).min(held.time_to_live);
        let until = since_boot().saturating_add(left);
        Ok(Some(Remembered { config, held, until }))
    }

    /// The other hosts, and the store that told of them.
    pub(super) async fn known(&self) -> Result<Known, AgentError> {
        let peers = self.peers().await.map_err(AgentError::Local)?;
        let kept = self.read(STORE).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Kept { name, until_seconds } = kept.unwrap_or_default();
        let until = until_seconds.map(Duration::from_secs).filter(|until| *until > now());
        let store = StoreState { name, until, ..StoreState::default() };
        Ok(Known { view: ClusterView { peers }, store })
    }

    /// The bytes of the network configuration in force.
    pub(super) async fn config_text(&self) -> Result<Option<Vec<u8>>, AgentError> {
        self.read("config").await
    }

    /// This host's last lease.
    pub(super) async fn lease(&self) -> Result<Option<Held>, AgentError> {
        Ok(self.read("lease").await?.and_then(|bytes| Held::from_bytes(&bytes)))
    }

    /// All networks for which iptables' FORWARD was opened.
    pub(super) async fn networks(&self) -> Result<BTreeSet<IpNetwork>, AgentError> {
        let text = self.text("networks").await?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Keeps the network configuration that a lease was taken by.
    pub(super) async fn keep_config(&self, json: &[u8]) -> Result<(), AgentError> {
        self.write("config", json).await
    }

    /// Keeps this host's lease.
    pub(super) async fn keep_lease(&self, held: &Held) -> Result<(), AgentError> {
        self.write("lease", &held.to_bytes()).await
    }

    /// When the lease had its last sign of life, since boot; it is kept by the clock, which goes on
    /// over reboots.
    pub(super) async fn keep_sign(&self, at: Option<Duration>) -> Result<(), AgentError> {
        let Some(at) = at else { return Ok(()) };
        let when = now().saturating_sub(since_boot().saturating_sub(at));
        self.write(SIGN, when.as_secs().to_string().as_bytes()).await
    }

    /// Keeps the networks that traffic is let through for. Those of before stay: a network that is
    /// made larger is opened beside the old one.
    pub(super) async fn keep_networks(&self, config: &NetworkConfig) -> Result<(), AgentError> {
        let mut networks = self.networks().await?;
        networks.insert(config.network.into());
        networks.extend(config.ipv6.map(|(network, _)| IpNetwork::from(network)));
        let text: Vec<String> = networks.iter().map(ToString::to_string).collect();
        self.write("networks", text.join("\n").as_bytes()).await
    }

    /// Keeps what happens to the other hosts, until nobody tells of it.
    pub(super) async fn follow(self, mut events: mpsc::UnboundedReceiver<ClusterEvent>) {
        let mut kept = None;
        while let Some(first) = events.recv().await {
            tokio::time::sleep(TOGETHER).await;
            let mut changes = Changes::default();
            changes.take(first);
            while let Ok(event) = events.try_recv() {
                changes.take(event);
            }
            if let Err(error) = self.keep_peers(changes, &mut kept).await {
                let error = ErrorChain(&error).to_string();
                tracing::warn!(error, "what is known of the other hosts is not kept");
                kept = None;
            }
        }
    }

    /// Writes what differs from what is `kept`, which is read where that is not known.
    async fn keep_peers(&self, changes: Changes, kept: &mut Option<Values>) -> Result<(), Error> {
        if kept.is_none() {
            *kept = Some(self.entries().await?);
        }
        let Some(kept) = kept else { return Ok(()) };
        let key = |subnet| format!("{}peers/{subnet}", self.at);
        let mut wanted = changes.peers;
        if changes.anew {
            kept.keys().for_each(|subnet| {
                wanted.entry(*subnet).or_default();
            });
        }
        let mut txn = Txn::new();
        if let Some(StoreState { name, until, .. }) = changes.store {
            let kept = Kept { name, until_seconds: until.map(|until| until.as_secs()) };
            let bytes = serde_json::to_vec(&kept).unwrap_or_default();
            txn = txn.put(format!("{}{STORE}", self.at), bytes, None);
        }
        for (subnet, peer) in wanted {
            let value = peer.map(|peer| peer.value.encode());
            if kept.get(&subnet) == value.as_ref() {
                continue;
            }
            txn = match value {
                Some(value) => {
                    kept.insert(subnet, value.clone());
                    txn.put(key(subnet), value, None)
                }
                None => {
                    kept.remove(&subnet);
                    txn.delete(key(subnet))
                }
            };
        }
        if txn.writes.is_empty() { Ok(()) } else { self.local.txn(txn).await.map(drop) }
    }

    async fn peers(&self) -> Result<BTreeMap<SubnetKey, Peer>, Error> {
        let peer = |(subnet, value): (SubnetKey, Vec<u8>)| {
            let value = LeaseValue::decode(&value).ok()?;
            Some((subnet, Peer { subnet, value, revision: 0 }))
        };
        Ok(self.entries().await?.into_iter().filter_map(peer).collect())
    }

    async fn entries(&self) -> Result<Values, Error> {
        let prefix = format!("{}peers/", self.at);
        let entries = self.local.list(&prefix).await?.entries;
        let subnet = |entry: &Entry| entry.key.strip_prefix(&prefix)?.parse().ok();
        Ok(entries.into_iter().filter_map(|e| Some((subnet(&e)?, e.value))).collect())
    }

    async fn text(&self, name: &str) -> Result<Option<String>, AgentError> {
        let bytes = self.read(name).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AgentError> {
        let entry = self.local.get(&format!("{}{name}", self.at)).await;
        entry.map(|entry| entry.map(|entry| entry.value)).map_err(AgentError::Local)
    }

    /// Nothing is written where it is kept already.
    async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), AgentError> {
        if self.read(name).await?.as_deref() == Some(bytes) {
            return Ok(());
        }
        let txn = Txn::new().put(format!("{}{name}", self.at), bytes, None);
        self.local.txn(txn).await.map(drop).map_err(AgentError::Local)
    }
}

/// What became of peers meanwhile; `None` of one that is gone.
#[derive(Debug, Default)]
struct Changes {
    /// Those that are not named are gone.
    anew: bool,
    peers: BTreeMap<SubnetKey, Option<Peer>>,
    store: Option<StoreState>,
}

/// What is kept of the store.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    name: Option<String>,
    until_seconds: Option<u64>,
}

impl Changes {
    fn take(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Reset(view) => {
                self.anew = true;
                self.peers = view.peers.into_iter().map(|(key, peer)| (key, Some(peer))).collect();
            }
            ClusterEvent::Put(peer) => drop(self.peers.insert(peer.subnet, Some(peer))),
            ClusterEvent::Replaced { old, new } => {
                self.peers.insert(old, None);
                self.peers.insert(new.subnet, Some(new));
            }
            ClusterEvent::Deleted(subnet) => drop(self.peers.insert(subnet, None)),
            ClusterEvent::Store(state) => self.store = Some(state),
            ClusterEvent::Malformed { .. } => {}
        }
    }
}

/// Since the beginning of 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
