//! What is known of the store, kept on this host: a start, and an attach, without etcd go on with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cni::ErrorChain;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::session::Confirmed;
use crate::lease::since_boot;
use crate::store::{Change, Entry, Error, Followed, Listing, Revision, Store, Txn};

/// Where it is in the host's own store: each key of the shared one below it.
const ENTRIES: &str = "/global/entries/";
/// When this host's session was confirmed last, in seconds since 1970.
const CONFIRMED: &str = "/global/confirmed";
/// What comes within this time is written together: the disk is waited for once.
const TOGETHER: Duration = Duration::from_millis(500);
/// After so long what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the snapshot is.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    local: Arc<dyn Store>,
    /// What is in it.
    kept: BTreeMap<String, Vec<u8>>,
}

/// An entry of the shared store.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    value: String,
    created: Revision,
    changed: Revision,
}

impl Snapshot {
    /// Reads it: what the store held when it was heard of last, and how long ago this host's
    /// session was confirmed.
    pub(super) async fn open(
        local: Arc<dyn Store>,
    ) -> Result<(Self, Listing, Option<Duration>), Error> {
        let there = local.list(ENTRIES).await?.entries.into_iter();
        let name = |key: &str| key.strip_prefix(ENTRIES).unwrap_or_default().to_owned();
        let kept: BTreeMap<String, Vec<u8>> =
            there.map(|entry| (name(&entry.key), entry.value)).collect();
        let entries = kept.iter().filter_map(|(key, bytes)| entry(key, bytes)).collect();
        let at = local.get(CONFIRMED).await?;
        let at = at.and_then(|entry| String::from_utf8_lossy(&entry.value).parse().ok());
        let listing = Listing { entries, ..Listing::default() };
        Ok((
            Self { local, kept },
            listing,
            at.map(|at| now().saturating_sub(Duration::from_secs(at))),
        ))
    }

    /// Keeps one entry at once.
    pub(super) async fn put(&self, entry: Entry) -> Result<(), Error> {
        let (key, value) = stored(entry);
        self.local.txn(Txn::new().put(format!("{ENTRIES}{key}"), value, None)).await.map(drop)
    }

    /// Keeps what is heard, until nobody tells of it.
    pub(super) async fn follow(
        mut self,
        mut news: mpsc::UnboundedReceiver<Followed>,
        mut confirmed: watch::Receiver<Confirmed>,
    ) {
        let mut wanted = self.kept.clone();
        let mut at = None;
        loop {
            tokio::select! {
                told = news.recv() => match told {
                    Some(told) => take(&mut wanted, told),
                    None => return,
                },
                // Its sender lives as long as the news do.
                Ok(()) = confirmed.changed() => {}
            }
            sleep(TOGETHER).await;
            loop {
                while let Ok(told) = news.try_recv() {
                    take(&mut wanted, told);
                }
                let now = confirmed.borrow_and_update().at;
                match self.write(&wanted, now.filter(|_| now != at)).await {
                    Ok(()) => {
                        at = now;
                        break;
                    }
                    Err(error) => {
                        let error = ErrorChain(&error).to_string();
                        tracing::warn!(error, "networks of the cluster are not kept; trying again");
                        sleep(AGAIN).await;
                    }
                }
            }
        }
    }

    /// Keeps a listing alone.
    #[cfg(test)]
    pub(super) async fn keep(
        &mut self,
        listing: Listing,
        confirmed: Option<Duration>,
    ) -> Result<(), Error> {
        self.write(&listing.entries.into_iter().map(stored).collect(), confirmed).await
    }

    /// Writes what differs.
    async fn write(
        &mut self,
        wanted: &BTreeMap<String, Vec<u8>>,
        confirmed: Option<Duration>,
    ) -> Result<(), Error> {
        let mut txn = Txn::new();
        for (key, value) in wanted.iter().filter(|(key, value)| self.kept.get(*key) != Some(value))
        {
            txn = txn.put(format!("{ENTRIES}{key}"), value.clone(), None);
        }
        for key in self.kept.keys().filter(|key| !wanted.contains_key(*key)) {
            txn = txn.delete(format!("{ENTRIES}{key}"));
        }
        if let Some(at) = confirmed {
            let by_clock = now().saturating_sub(since_boot().saturating_sub(at));
            txn = txn.put(CONFIRMED, by_clock.as_secs().to_string().into_bytes(), None);
        }
        if txn.writes.is_empty() {
            return Ok(());
        }
        self.local.txn(txn).await?;
        self.kept.clone_from(wanted);
        Ok(())
    }
}

fn take(wanted: &mut BTreeMap<String, Vec<u8>>, news: Followed) {
    match news {
        Followed::Listed(listing) | Followed::Anew(listing) => {
            *wanted = listing.entries.into_iter().map(stored).collect();
        }
        Followed::Changed(changes) => {
            for change in changes {
                match change {
                    Change::Put(entry) => wanted.extend([stored(entry)]),
                    Change::Deleted { key, .. } => drop(wanted.remove(&key)),
                }
            }
        }
    }
}

fn stored(entry: Entry) -> (String, Vec<u8>) {
    let stored = Stored {
        value: String::from_utf8_lossy(&entry.value).into_owned(),
        created: entry.create_revision,
        changed: entry.mod_revision,
    };
    (entry.key, serde_json::to_vec(&stored).unwrap_or_default())
}

fn entry(key: &str, bytes: &[u8]) -> Option<Entry> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    Some(Entry {
        key: key.to_owned(),
        value: stored.value.into_bytes(),
        create_revision: stored.created,
        mod_revision: stored.changed,
        session: None,
    })
}

/// Since the beginning of 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
