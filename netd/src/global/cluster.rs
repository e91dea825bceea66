//! This host's access to what all hosts share.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netstate::Secret;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::keys::Keys;
use super::record::{Member, encode};
use super::remembered::Remembering;
use super::session::{self, Confirmed};
use super::snapshot::Snapshot;
use super::view::{Kept, Touched, View};
use crate::lease::Host;
use crate::network::{Id, Network};
use crate::store::{Change, Entry, Error, Followed, Outcome, Revision, Store, Txn, Write, follow};

/// How many groups of changes may wait to be taken up.
const WAITING: usize = 16;

/// This host's access to what all hosts share. Copies are the same.
#[derive(Clone, Debug)]
pub struct Cluster(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: Keys,
    pub(super) host: Host,
    /// Of the session that this host's claims live by.
    pub(super) time_to_live: Duration,
    key: Result<Secret, String>,
    pub(super) confirmed: watch::Sender<Confirmed>,
    /// When this was made.
    pub(super) since: Instant,
    known: Mutex<Known>,
    /// Counts what is taken up.
    news: watch::Sender<u64>,
    snapshot: Snapshot,
}

#[derive(Debug, Default)]
struct Known {
    view: View,
    /// What something has happened to that nobody has asked for yet.
    touched: Touched,
    /// Networks of a store that was built anew since.
    lost: BTreeMap<Id, Network>,
    /// What is remembered of such a store, since when.
    remembering: Option<Remembering>,
    /// The store has told everything once.
    is_told: bool,
    /// The newest of the snapshot, as long as it has not.
    newest: Revision,
}

/// Where a cluster's networks are, and who this host is there.
#[derive(Debug)]
pub struct Place {
    /// The store that all hosts share.
    pub store: Arc<dyn Store>,
    /// Where in it.
    pub keys: Keys,
    /// The file of this host's snapshot.
    pub local: Arc<dyn Store>,
    /// Who this host is.
    pub host: Host,
    /// How long what is claimed stays this host's without a sign of life.
    pub time_to_live: Duration,
    /// The key by which this host encrypts, or why it has none.
    pub key: Result<Secret, String>,
}

impl Cluster {
    /// Knows what the snapshot of the last time says. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// Where the snapshot cannot be read.
    pub async fn open(place: Place) -> Result<Self, Error> {
        let Place { store, keys, local, host, time_to_live, key } = place;
        let (snapshot, listing, age) = Snapshot::open(local).await?;
        let confirmed = Confirmed::before(age, time_to_live);
        let newest = listing.entries.iter().map(|entry| entry.mod_revision).max().unwrap_or(0);
        let mut known = Known { newest, ..Known::default() };
        known.touched = known.view.take(&keys, &Followed::Listed(listing));
        Ok(Self(Arc::new(Inner {
            store,
            keys,
            host,
            time_to_live,
            key,
            confirmed: watch::Sender::new(confirmed),
            since: Instant::now(),
            known: Mutex::new(known),
            news: watch::Sender::new(0),
            snapshot,
        })))
    }

    /// Follows the store, keeps the snapshot, and gives signs of life, until dropped. `member` is what other
    /// hosts are to know of this one. Needs a tokio runtime.
    #[must_use]
    pub fn run(&self, member: watch::Receiver<Member>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let (tell, mut told) = mpsc::channel(WAITING);
        tasks.spawn(follow(Arc::clone(&self.0.store), self.0.keys.all(), tell));
        let (keep, kept) = mpsc::unbounded_channel();
        let of_store = self.clone();
        tasks.spawn(async move {
            while let Some(news) = told.recv().await {
                of_store.take(&news);
                // It ends with this task.
                let _ = keep.send(news);
            }
        });
        tasks.spawn(self.0.snapshot.clone().follow(kept, self.0.confirmed.subscribe()));
        tasks.spawn(session::keep(self.clone(), member));
        tasks
    }

    /// Keeps a network on this host's disk: when this returns it is known after a crash, too.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub async fn keep(&self, network: &Kept<Network>) -> Result<(), Error> {
        let entry = Entry {
            key: self.0.keys.network(&network.value.id),
            value: encode(&network.value),
            create_revision: network.created,
            mod_revision: network.changed,
            session: None,
        };
        self.0.snapshot.put(entry).await
    }

    /// Who this host is in the cluster.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.0.host.machine_id
    }

    /// The key by which this host encrypts; the public half is what [`Member`] says.
    ///
    /// # Errors
    /// Why it has none.
    pub fn key(&self) -> Result<Secret, String> {
        self.0.key.clone()
    }

    /// Looks at what is known.
    pub fn look<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.lock().view)
    }

    /// An address of this host is gone: see [`Store::reconnect`].
    pub fn reconnect(&self) {
        self.0.store.reconnect();
    }

    /// Counts the news.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// The networks that something has happened to since this was called last.
    #[must_use]
    pub fn touched(&self) -> Touched {
        mem::take(&mut self.lock().touched)
    }

    /// Whether the store has told everything once.
    pub(super) fn is_told(&self) -> bool {
        self.lock().is_told
    }

    /// The networks of a store that was built anew since: they are to be made again.
    pub(super) fn lost(&self) -> Vec<Network> {
        self.lock().lost.values().cloned().collect()
    }

    /// That one is made, or cannot be.
    pub(super) fn settle(&self, network: &Network) {
        self.lock().lost.remove(&network.id);
    }

    /// Does a transaction. What it wrote is known at once.
    pub(super) async fn commit(&self, txn: Txn) -> Result<Outcome, Error> {
        let writes = txn.writes.clone();
        let outcome = self.0.store.txn(txn).await?;
        if outcome.committed {
            let changes = writes.into_iter().map(|write| change(write, &outcome)).collect();
            self.take(&Followed::Changed(changes));
        }
        Ok(outcome)
    }

    pub(super) fn take(&self, news: &Followed) {
        let mut known = self.lock();
        let is_anew = match news {
            Followed::Anew(_) => true,
            // It was built anew while no agent ran here.
            Followed::Listed(listing) => !known.is_told && listing.revision < known.newest,
            Followed::Changed(_) => false,
        };
        let anew = match news {
            Followed::Listed(listing) if is_anew => Some(Followed::Anew(listing.clone())),
            Followed::Listed(_) | Followed::Anew(_) | Followed::Changed(_) => None,
        };
        let news = anew.as_ref().unwrap_or(news);
        if is_anew {
            let networks = known.view.networks().map(|it| it.value.clone());
            let before: Vec<Network> = networks.collect();
            known.lost.extend(before.into_iter().map(|network| (network.id.clone(), network)));
            known.view.remember(&self.0.host.machine_id);
            known.remembering = Some(Remembering::begin());
        }
        let touched = known.view.take(&self.0.keys, news);
        known.touched.extend(touched);
        known.is_told |= !matches!(news, Followed::Changed(_));
        drop(known);
        self.0.news.send_modify(|count| *count += 1);
    }

    /// What is known, with what is remembered of it, and how long that may be.
    pub(super) fn with_remembering<T>(
        &self,
        work: impl FnOnce(&mut View, &mut Option<Remembering>, Duration) -> T,
    ) -> T {
        let mut known = self.lock();
        let Known { view, remembering, .. } = &mut *known;
        work(view, remembering, self.0.time_to_live)
    }

    /// Tells that something has happened to networks.
    pub(super) fn touch(&self, touched: Touched) {
        if !touched.is_empty() {
            self.lock().touched.extend(touched);
            self.0.news.send_modify(|count| *count += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Whoever has panicked has left nothing half done here.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store will tell of a write. A key that was there before has another beginning, which it will tell.
fn change(write: Write, outcome: &Outcome) -> Change {
    let revision = outcome.revision;
    match write {
        Write::Put { key, value, session } => {
            let (create_revision, mod_revision) = (revision, revision);
            Change::Put(Entry { key, value, create_revision, mod_revision, session })
        }
        Write::Delete(key) => Change::Deleted { key, revision },
    }
}
