//! The other hosts and the store that tells of them, as they are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use cni::ErrorChain;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Memory, by_clock, now};
use crate::agent::AgentError;
use crate::lease::{
    ClusterEvent, ClusterView, Known, LeaseValue, Peer, StoreState, SubnetKey, since_boot,
};
use crate::store::{Error, Session, Txn};

/// Events of the cluster that come within this time of the first one are written with it.
const GATHERING: Duration = Duration::from_millis(100);

/// What comes within this time after that is written together: the disk is waited for once, and a
/// burst of events costs little more than one.
const TOGETHER: Duration = Duration::from_secs(2);

/// After so long what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Which store tells of the cluster.
const STORE: &str = "store";

/// Below it, by subnet: what peers publish.
const PEERS: &str = "peers/";

/// Below it, by subnet: what the leases of peers live by, as a number.
const SESSIONS: &str = "sessions/";

/// What is kept of peers, by name.
pub(super) type Values = BTreeMap<String, Vec<u8>>;

impl Memory {
    /// The other hosts, and the store that told of them. Hosts that are missing in it count as there
    /// for `window` at most.
    pub(in crate::agent) async fn known(&self, window: Duration) -> Result<Known, AgentError> {
        let peers = self.peers().await.map_err(AgentError::Local)?;
        let kept = self.read(STORE).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let kept: Kept = kept.unwrap_or_default();
        Ok(Known { view: ClusterView { peers }, store: kept.state(window) })
    }

    /// Keeps what happens to the other hosts, until nobody tells of it. What cannot be written is
    /// written with what happens next, or after a while.
    pub(in crate::agent) async fn follow(self, mut events: mpsc::UnboundedReceiver<ClusterEvent>) {
        let (mut kept, mut changes) = (None, Changes::default());
        loop {
            let news = if changes.is_empty() {
                events.recv().await.map(Some)
            } else {
                let news = tokio::time::timeout(AGAIN, events.recv()).await;
                news.map_or(Some(None), |news| news.map(Some))
            };
            let Some(first) = news else { return };
            first.into_iter().for_each(|event| changes.take(event));
            tokio::time::sleep(GATHERING).await;
            while let Ok(event) = events.try_recv() {
                changes.take(event);
            }
            match self.keep_peers(&changes, &mut kept).await {
                Ok(()) => changes = Changes::default(),
                Err(error) => {
                    let error = ErrorChain(&error).to_string();
                    tracing::warn!(
                        error,
                        "what is known of the other hosts is not kept; trying again"
                    );
                    kept = None;
                }
            }
            tokio::time::sleep(TOGETHER).await;
        }
    }

    /// Writes what differs from what is `kept`, which is read where that is not known.
    pub(super) async fn keep_peers(
        &self,
        changes: &Changes,
        kept: &mut Option<Values>,
    ) -> Result<(), Error> {
        if kept.is_none() {
            *kept = Some(self.values().await?);
        }
        let Some(kept) = kept else { return Ok(()) };
        let mut txn = Txn::new();
        if let Some(state) = &changes.store {
            let bytes = serde_json::to_vec(&Kept::of(state)).unwrap_or_default();
            txn = txn.put(format!("{}{STORE}", self.at), bytes, None);
        }
        for (name, value) in changes.wanted(kept) {
            if kept.get(&name) == value.as_ref() {
                continue;
            }
            let key = format!("{}{name}", self.at);
            txn = match value {
                Some(value) => {
                    kept.insert(name, value.clone());
                    txn.put(key, value, None)
                }
                None => {
                    kept.remove(&name);
                    txn.delete(key)
                }
            };
        }
        if txn.writes.is_empty() { Ok(()) } else { self.local.txn(txn).await.map(drop) }
    }

    pub(super) async fn peers(&self) -> Result<BTreeMap<SubnetKey, Peer>, Error> {
        let values = self.values().await?;
        let session = |subnet: &str| {
            let number = std::str::from_utf8(values.get(&format!("{SESSIONS}{subnet}"))?).ok()?;
            number.parse().ok().map(Session)
        };
        let peer = |(name, value): (&String, &Vec<u8>)| {
            let text = name.strip_prefix(PEERS)?;
            let (subnet, value) = (text.parse().ok()?, LeaseValue::decode(value).ok()?);
            Some((subnet, Peer { subnet, value, revision: 0, session: session(text) }))
        };
        Ok(values.iter().filter_map(peer).collect())
    }

    async fn values(&self) -> Result<Values, Error> {
        let mut values = Values::new();
        for below in [PEERS, SESSIONS] {
            let entries = self.local.list(&format!("{}{below}", self.at)).await?.entries;
            let name = |key: &str| key.strip_prefix(&self.at).map(str::to_owned);
            values.extend(entries.into_iter().filter_map(|e| Some((name(&e.key)?, e.value))));
        }
        Ok(values)
    }
}

/// What became of peers meanwhile; `None` of one that is gone.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Those that are not named are gone.
    pub(super) anew: bool,
    pub(super) peers: BTreeMap<SubnetKey, Option<Peer>>,
    pub(super) store: Option<StoreState>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        !self.anew && self.peers.is_empty() && self.store.is_none()
    }

    pub(super) fn take(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Reset(view) => {
                self.anew = true;
                self.peers = view.peers.into_iter().map(|(key, peer)| (key, Some(peer))).collect();
            }
            ClusterEvent::Put(peer) | ClusterEvent::Renewed(peer) => {
                self.peers.insert(peer.subnet, Some(peer));
            }
            ClusterEvent::Replaced { old, new } => {
                self.peers.insert(old, None);
                self.peers.insert(new.subnet, Some(new));
            }
            ClusterEvent::Deleted(subnet) => drop(self.peers.insert(subnet, None)),
            ClusterEvent::Store(state) => self.store = Some(state),
            ClusterEvent::Malformed { .. } => {}
        }
    }

    /// What is to be kept by these names; nothing any more, where that is `None`.
    fn wanted(&self, kept: &Values) -> BTreeMap<String, Option<Vec<u8>>> {
        let gone = kept.keys().filter(|_| self.anew).map(|name| (name.clone(), None));
        let mut wanted: BTreeMap<_, _> = gone.collect();
        for (subnet, peer) in &self.peers {
            let session = peer.as_ref().and_then(|peer| peer.session);
            let session = session.map(|Session(number)| number.to_string().into_bytes());
            let value = peer.as_ref().map(|peer| peer.value.encode());
            wanted.extend([
                (format!("{PEERS}{subnet}"), value),
                (format!("{SESSIONS}{subnet}"), session),
            ]);
        }
        wanted
    }
}

/// What is kept of the store.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Kept {
    name: Option<String>,
    /// In seconds since 1970, as time goes on over reboots.
    until_seconds: Option<u64>,
    /// By subnet, the same.
    lapsed_until: BTreeMap<String, u64>,
}

impl Kept {
    fn of(state: &StoreState) -> Self {
        let lapsed = state.lapsed.iter();
        Self {
            name: state.name.clone(),
            until_seconds: state.until.map(by_clock),
            lapsed_until: lapsed.map(|(key, until)| (key.to_string(), by_clock(*until))).collect(),
        }
    }

    fn state(self, window: Duration) -> StoreState {
        // A clock that was put back lengthens nobody's time.
        let left = |end| Duration::from_secs(end).saturating_sub(now()).min(window);
        let until = self.until_seconds.map(left).filter(|left| !left.is_zero());
        let lapsed = self.lapsed_until.into_iter();
        let lapsed = lapsed.filter_map(|(key, end)| {
            Some((key.parse().ok()?, since_boot().saturating_add(left(end))))
        });
        StoreState {
            name: self.name,
            until: until.map(|left| since_boot().saturating_add(left)),
            lapsed: lapsed.collect(),
            ..StoreState::default()
        }
    }
}
