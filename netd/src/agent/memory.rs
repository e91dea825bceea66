//! What is known of the cluster, kept on this host: with it an agent that starts while the store
//! is away goes on where the last one ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cni::ErrorChain;
use tokio::sync::mpsc;

use super::AgentError;
use crate::config::network::NetworkConfig;
use crate::lease::{ClusterEvent, ClusterView, Held, LeaseValue, Peer, SubnetKey};
use crate::store::{Entry, Error, Store, Txn};

/// Events of the cluster that come within this time are written together: the disk is waited for
/// once.
const TOGETHER: Duration = Duration::from_millis(200);

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
    pub(super) view: ClusterView,
}

impl Memory {
    /// That of the cluster whose keys are below flannel's `prefix`.
    pub(super) fn new(local: Arc<dyn Store>, prefix: &str) -> Self {
        Self { local, at: format!("/cluster/{}/", prefix.trim_matches('/')) }
    }

    /// All of it; `None` where something is missing or cannot be read.
    pub(super) async fn recall(&self) -> Result<Option<Remembered>, AgentError> {
        let config = self.read("config").await?;
        let held = self.read("lease").await?;
        let config = config.and_then(|bytes| NetworkConfig::parse(&bytes).ok());
        let held = held.and_then(|bytes| Held::from_bytes(&bytes));
        let (Some(config), Some(held)) = (config, held) else { return Ok(None) };
        let peers = self.peers().await.map_err(AgentError::Local)?;
        Ok(Some(Remembered { config, held, view: ClusterView { peers } }))
    }

    /// Keeps the network configuration that a lease was taken by.
    pub(super) async fn keep_config(&self, json: &[u8]) -> Result<(), AgentError> {
        self.write("config", json).await
    }

    /// Keeps this host's lease.
    pub(super) async fn keep_lease(&self, held: &Held) -> Result<(), AgentError> {
        self.write("lease", &held.to_bytes()).await
    }

    /// Keeps what happens to the other hosts, until nobody tells of it.
    pub(super) async fn follow(self, mut events: mpsc::UnboundedReceiver<ClusterEvent>) {
        while let Some(first) = events.recv().await {
            tokio::time::sleep(TOGETHER).await;
            let mut changes = Changes::default();
            changes.take(first);
            while let Ok(event) = events.try_recv() {
                changes.take(event);
            }
            if let Err(error) = self.keep_peers(changes).await {
                let error = ErrorChain(&error).to_string();
                tracing::warn!(error, "what is known of the other hosts is not kept");
            }
        }
    }

    async fn keep_peers(&self, changes: Changes) -> Result<(), Error> {
        let known = self.peers().await?;
        let mut wanted = if changes.anew { BTreeMap::new() } else { known.clone() };
        for (subnet, peer) in changes.peers {
            match peer {
                Some(peer) => drop(wanted.insert(subnet, peer)),
                None => drop(wanted.remove(&subnet)),
            }
        }
        let key = |subnet| format!("{}peers/{subnet}", self.at);
        let gone = known.keys().filter(|subnet| !wanted.contains_key(subnet));
        let mut txn = gone.fold(Txn::new(), |txn, subnet| txn.delete(key(*subnet)));
        for (subnet, peer) in &wanted {
            if known.get(subnet) != Some(peer) {
                txn = txn.put(key(*subnet), peer.value.encode(), None);
            }
        }
        if txn.writes.is_empty() { Ok(()) } else { self.local.txn(txn).await.map(drop) }
    }

    async fn peers(&self) -> Result<BTreeMap<SubnetKey, Peer>, Error> {
        let prefix = format!("{}peers/", self.at);
        let entries = self.local.list(&prefix).await?.entries;
        let peer = |entry: Entry| {
            let subnet = entry.key.strip_prefix(&prefix)?.parse().ok()?;
            let value = LeaseValue::decode(&entry.value).ok()?;
            Some((subnet, Peer { subnet, value }))
        };
        Ok(entries.into_iter().filter_map(peer).collect())
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
}

impl Changes {
    fn take(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Reset(view) => {
                self.anew = true;
                self.peers = view.peers.into_iter().map(|(key, peer)| (key, Some(peer))).collect();
            }
            ClusterEvent::Put(peer) => drop(self.peers.insert(peer.subnet, Some(peer))),
            ClusterEvent::Deleted(subnet) => drop(self.peers.insert(subnet, None)),
            ClusterEvent::Malformed { .. } | ClusterEvent::Away(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::local::Local;

    fn peer(subnet: &str, last: u8) -> Peer {
        let value = LeaseValue::new([192, 0, 2, last].into());
        Peer { subnet: subnet.parse().unwrap(), value }
    }

    fn view(peers: &[Peer]) -> ClusterView {
        ClusterView { peers: peers.iter().map(|peer| (peer.subnet, peer.clone())).collect() }
    }

    #[tokio::test]
    async fn peers_are_kept_as_they_come_change_and_go_each_cluster_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let local: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
        let memory = Memory::new(Arc::clone(&local), "/coreos.com/network");
        let (a, b, c) = (peer("10.5.1.0-24", 1), peer("10.5.2.0-24", 2), peer("10.5.3.0-24", 3));
        let (events, told) = mpsc::unbounded_channel();
        let send = |event| events.send(event).unwrap();
        send(ClusterEvent::Put(c.clone()));
        send(ClusterEvent::Reset(view(&[a.clone(), b.clone()])));
        send(ClusterEvent::Deleted(a.subnet));
        send(ClusterEvent::Put(c.clone()));
        drop(events);
        memory.clone().follow(told).await;
        assert_eq!(memory.peers().await.unwrap(), view(&[b.clone(), c.clone()]).peers);
        let moved = peer("10.5.2.0-24", 9);
        let changes = Changes { anew: false, peers: [(b.subnet, Some(moved.clone()))].into() };
        memory.keep_peers(changes).await.unwrap();
        assert_eq!(memory.peers().await.unwrap(), view(&[moved, c]).peers);
        assert!(Memory::new(local, "/other").peers().await.unwrap().is_empty());
        assert!(memory.recall().await.unwrap().is_none(), "there is no configuration and no lease");
    }
}
