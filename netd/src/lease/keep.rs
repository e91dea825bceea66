//! Keeping a lease: one sign of life per third of its time to live, and watching that nobody
//! takes it away.

mod again;
mod keeper;
mod liveness;
mod record;
mod schedule;
mod standing;

pub use keeper::{Keeper, Status};
pub(super) use standing::Standing;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

use super::{Held, LeaseValue, Leases};
use crate::store::{Backoff, Change, Error, Fault, Followed, Txn, follow};
use liveness::Liveness;
use record::Recording;
use schedule::Schedule;

/// How often a host that lost its lease looks whether it is to be had.
const LOST_LOOK: Duration = Duration::from_secs(5);

/// The task that keeps a lease.
pub(super) struct Keeping {
    leases: Leases,
    held: Held,
    standing: Standing,
    /// Whether news contradict what is known.
    doubted: bool,
    /// What the key holds, as far as is known.
    stored: Vec<u8>,
    publish: watch::Receiver<LeaseValue>,
    status: watch::Sender<Status>,
    schedule: Schedule,
    recording: Recording,
    backoff: Backoff,
}

impl Keeping {
    pub(super) fn spawn(leases: Leases, held: Held, standing: Standing) -> Keeper {
        let (publish, of_agent) = watch::channel(held.value.clone());
        let (status, of_lease) = watch::channel(standing.status(&held));
        let (followed, of_store) = mpsc::channel(16);
        let own = leases.keys.subnet(&held.subnet);
        let recording = Recording::new(held.recorded);
        let (stop, stopped) = oneshot::channel();
        let begin = if held.is_remembered() { Schedule::overdue } else { Schedule::new };
        let life = Liveness::new(leases.clone(), of_agent.clone(), recording.allowed());
        let alive = Some((stop, tokio::spawn(life.run(stopped).in_current_span())));
        let keeping = Self {
            standing,
            doubted: false,
            stored: held.value.encode(),
            publish: of_agent,
            status,
            schedule: begin(held.time_to_live, since_boot()),
            recording,
            backoff: Backoff::new(Duration::from_secs(1), schedule::LOOK_EVERY),
            leases: leases.clone(),
            held,
        };
        tokio::spawn(follow(Arc::clone(&leases.store), own, followed).in_current_span());
        let keeping = tokio::spawn(keeping.run(of_store).in_current_span());
        Keeper { status: of_lease, publish, keeping, alive }
    }

    async fn run(mut self, mut own: mpsc::Receiver<Followed>) {
        let mut pause = self.pause();
        loop {
            tokio::select! {
                followed = own.recv() => match followed {
                    Some(followed) => self.take(followed),
                    None => return,
                },
                published = self.publish.changed() => if published.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
            let settled = self.settle().await;
            // Also where it could not be put right: others go by what they see.
            self.tell();
            pause = match settled {
                Ok(()) => {
                    self.backoff.reset();
                    self.pause()
                }
                Err(error) => {
                    self.recording.note(&error);
                    let error = cni::ErrorChain(&error).to_string();
                    tracing::warn!(subnet = %self.held.subnet, error, "the lease is not kept yet");
                    self.backoff.pause()
                }
            };
        }
    }

    /// What is known of our key by the store's news.
    fn take(&mut self, news: Followed) {
        let key = self.leases.keys.subnet(&self.held.subnet);
        match news {
            Followed::Listed(listing) | Followed::Anew(listing)
                if listing.revision >= self.held.revision =>
            {
                // In a store that was built anew, what is later may be of a lower revision.
                self.held.revision = 0;
                let entry = listing.entries.into_iter().find(|entry| entry.key == key);
                self.note(
                    entry.map_or(Change::Deleted { key, revision: listing.revision }, Change::Put),
                );
            }
            Followed::Changed(changes) => {
                let ours = |change: &Change| change.key() == key;
                changes.into_iter().filter(ours).for_each(|change| self.note(change));
            }
            // Listed before our last write, or a store that was built anew: asked in `settle`.
            Followed::Listed(_) | Followed::Anew(_) => self.doubted = true,
        }
    }

    fn note(&mut self, change: Change) {
        // News of before our last write say nothing of it.
        if change.revision() < self.held.revision {
            return;
        }
        self.standing = Standing::of(&self.held, &change);
        if let (Standing::Ours, Change::Put(entry)) = (&self.standing, change) {
            self.held.created = entry.create_revision;
            self.held.revision = entry.mod_revision;
            self.held.session = entry.session;
            self.stored = entry.value;
        }
    }

    /// Does what there is to do.
    async fn settle(&mut self) -> Result<(), Error> {
        if self.doubted {
            self.look().await?;
            self.doubted = false;
        }
        match self.standing.clone() {
            Standing::Ours => {
                self.renew().await?;
                self.update().await?;
                self.record().await?;
            }
            Standing::Absent => self.take_again().await?,
            Standing::Other(_) => self.look_for_way().await?,
        }
        Ok(())
    }

    /// Reads our key, whatever was known of it.
    async fn look(&mut self) -> Result<(), Error> {
        let key = self.leases.keys.subnet(&self.held.subnet);
        let entry = self.leases.store.get(&key).await?;
        self.held.revision = 0;
        self.note(entry.map_or(Change::Deleted { key, revision: 0 }, Change::Put));
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), Error> {
        let Some(session) = self.held.session else { return Ok(()) };
        if !self.schedule.is_due(since_boot()) {
            return Ok(());
        }
        match self.leases.store.keep_alive(session).await {
            Ok(()) => {
                self.schedule.kept(since_boot());
                tracing::debug!(subnet = %self.held.subnet, "the lease lives on");
                Ok(())
            }
            Err(Error { fault: Fault::SessionGone(_), .. }) => {
                self.standing = Standing::Absent;
                self.take_again().await
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the value that is to be published, if it is another one.
    async fn update(&mut self) -> Result<(), Error> {
        self.held.value = self.publish.borrow_and_update().clone();
        let value = self.held.value.encode();
        if self.standing != Standing::Ours || value == self.stored {
            return Ok(());
        }
        let key = self.leases.keys.subnet(&self.held.subnet);
        let mut txn = Txn::new().if_unchanged(&key, self.held.revision);
        txn = txn.put(key, value.clone(), self.held.session);
        if self.recording.is_allowed() {
            txn = self.leases.put_record(txn, &self.held.subnet, self.held.session);
        }
        let outcome = self.leases.store.txn(txn).await?;
        // Where it was not committed, news of our key are on their way.
        if outcome.committed {
            self.held.revision = outcome.revision;
            self.stored = value;
        }
        Ok(())
    }

    fn tell(&self) {
        let status = self.standing.status(&self.held);
        self.status.send_if_modified(|before| {
            let differs = *before != status;
            *before = status;
            differs
        });
    }

    /// How long there is nothing to do if nothing happens.
    fn pause(&self) -> Duration {
        let now = since_boot();
        let pause = self.schedule.pause(now).min(self.recording.pause(now));
        match self.standing {
            Standing::Other(_) => LOST_LOOK,
            Standing::Ours | Standing::Absent => pause,
        }
    }
}

/// The time since boot, with the time that the host slept.
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}
