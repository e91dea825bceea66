//! What is known of the cluster, kept on this host: with it an agent that starts while the store
//! is away goes on where the last one ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cni::ErrorChain;
use ipnetwork::IpNetwork;
use tokio::sync::mpsc;

use super::AgentError;
use crate::config::network::NetworkConfig;
use crate::lease::{ClusterEvent, ClusterView, Held, LeaseValue, Peer, SubnetKey, since_boot};
use crate::store::{Entry, Error, Store, Txn};

/// Events of the cluster that come within this time are written together: the disk is waited for
/// once, and a burst of events costs little more than one.
const TOGETHER: Duration = Duration::from_secs(2);

/// When the lease had its last sign of life, in seconds since 1970.
const SIGN: &str = "sign-of-life";

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
    pub(super) view: ClusterView,
    /// When the lease ends by the last sign of life, since boot.
    pub(super) until: Duration,
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
        let peers = self.peers().await.map_err(AgentError::Local)?;
        let sign = self.text(SIGN).await?.and_then(|text| text.parse().ok());
        let end = Duration::from_secs(sign.unwrap_or(0)).saturating_add(held.time_to_live);
        // A clock that was put back lengthens no lease.
        let left = end.saturating_sub(now()).min(held.time_to_live);
        let until = since_boot() + left;
        Ok(Some(Remembered { config, held, view: ClusterView { peers }, until }))
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
            ClusterEvent::Malformed { .. } => {}
        }
    }
}

/// Since the beginning of 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::local::Local;

    fn peer(subnet: &str, last: u8) -> Peer {
        let value = LeaseValue::new([192, 0, 2, last].into());
        Peer { subnet: subnet.parse().unwrap(), value, revision: 0 }
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
        let (mut changes, mut kept) = (Changes::default(), None);
        let mut send = |event| changes.take(event);
        send(ClusterEvent::Put(c.clone()));
        send(ClusterEvent::Reset(view(&[a.clone(), b.clone()])));
        send(ClusterEvent::Deleted(a.subnet));
        send(ClusterEvent::Put(c.clone()));
        memory.keep_peers(changes, &mut kept).await.unwrap();
        assert_eq!(memory.peers().await.unwrap(), view(&[b.clone(), c.clone()]).peers);
        let moved = peer("10.5.2.0-24", 9);
        let changes = Changes { anew: false, peers: [(b.subnet, Some(moved.clone()))].into() };
        memory.keep_peers(changes, &mut kept).await.unwrap();
        assert_eq!(memory.peers().await.unwrap(), view(&[moved, c]).peers);
        assert!(Memory::new(local, "/other").peers().await.unwrap().is_empty());
        assert!(memory.recall().await.unwrap().is_none(), "there is no configuration and no lease");
    }

    #[tokio::test]
    async fn a_remembered_lease_ends_its_time_after_its_last_sign_of_life() {
        let dir = tempfile::tempdir().unwrap();
        let local: Arc<dyn Store> = Arc::new(Local::open(&dir.path().join("a")).unwrap());
        let memory = Memory::new(local, "/coreos.com/network");
        let network = |text: &str| NetworkConfig::parse(text.as_bytes()).unwrap();
        let (small, large) = (r#"{"Network":"10.5.0.0/24"}"#, r#"{"Network":"10.4.0.0/15"}"#);
        memory.keep_config(small.as_bytes()).await.unwrap();
        memory.keep_networks(&network(small)).await.unwrap();
        memory.keep_networks(&network(large)).await.unwrap();
        let networks: Vec<_> =
            memory.networks().await.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.4.0.0/15", "10.5.0.0/24"]);
        let lease = r#"{"subnet":"10.5.1.0-24","value":"{\"PublicIP\":\"192.0.2.1\"}",
            "session":7,"timeToLiveSeconds":60,"recorded":true}"#;
        memory.keep_lease(&Held::from_bytes(lease.as_bytes()).unwrap()).await.unwrap();
        let left = async || {
            let until = memory.recall().await.unwrap().unwrap().until;
            until.saturating_sub(since_boot()).as_secs()
        };
        assert_eq!(left().await, 0, "no sign of life is known");
        memory.keep_sign(Some(since_boot().saturating_sub(Duration::from_secs(20)))).await.unwrap();
        assert!((35..=40).contains(&left().await), "{}", left().await);
    }
}
