//! One host's own store: a file.
//!
//! Times are the wall clock's, because sessions outlive the process. Watches reach back to the
//! last changes of this process; older ones are told to list anew.

mod damage;
mod feed;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use redb::Database;
use tokio::sync::watch;

use super::{
    Entry, Error, Event, Fault, Listing, Outcome, Position, Revision, Session, Store, TimeToLive,
    Txn,
};
pub use damage::Damaged;
pub(crate) use damage::aside;
use feed::{Feed, Since};
use tables::Writing;

/// One host's own store: a file, of which one process at a time has the use.
#[derive(Clone)]
pub struct Local(Arc<Inner>);

struct Inner {
    path: PathBuf,
    database: Database,
    /// Held while writing: changes are told in the order they happened.
    feed: Mutex<Feed>,
    revision: watch::Sender<Revision>,
}

impl Local {
    /// Opens the store at `path`, or makes it. What has expired meanwhile is deleted.
    ///
    /// # Errors
    /// [`Fault::File`] when the file cannot be used, as when another process has it, or it is
    /// damaged: it stays as it is then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::opened(path).map_err(|error| {
            let reason = match damage::is(&error) {
                true => format!("{error}; it is damaged: `netd run` sets it aside, and forgets it"),
                false => error.to_string(),
            };
            Error::new(format_args!("open {}", path.display()), Fault::File(reason))
        })
    }

    /// As [`Self::open`]; a file that is damaged is set aside, and an empty one made in its place.
    ///
    /// # Errors
    /// As [`Self::open`], and when it cannot be set aside.
    pub fn open_or_anew(path: &Path) -> Result<(Self, Option<Damaged>), Error> {
        let damaged = match Self::opened(path) {
            Ok(store) => return Ok((store, None)),
            Err(error) if damage::is(&error) => damage::set_aside(path, &error)?,
            Err(_) => return Self::open(path).map(|store| (store, None)),
        };
        Ok((Self::open(path)?, Some(damaged)))
    }

    /// Every page is looked at: of a damaged one redb would make a panic later, which ends the
    /// process.
    fn opened(path: &Path) -> Result<Self, redb::Error> {
        let database = Database::builder().set_check_integrity_on_open(true).create(path)?;
        let mut writing = Writing::begin(&database)?;
        let history = writing.history()?;
        let (revision, next) = writing.state()?;
        writing.commit()?;
        let inner = Inner {
            path: path.to_owned(),
            database,
            feed: Mutex::new(Feed::new(history, revision, next)),
            revision: watch::Sender::new(revision),
        };
        inner.expire()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Does something with the file, on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        action: String,
        work: impl FnOnce(&Inner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        let worked = tokio::task::spawn_blocking(move || {
            inner.expire().map_err(Failure::from)?;
            work(&inner)
        });
        let fault = match worked.await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(Failure::Fault(fault))) => fault,
            Ok(Err(Failure::File(error))) => {
                Fault::File(format!("{}: {error}", self.0.path.display()))
            }
            Err(stopped) => Fault::File(format!("{}: {stopped}", self.0.path.display())),
        };
        Err(Error::new(action, fault))
    }

    /// The next event of a watch, and the revision that the one after it follows; `None` at its
    /// end.
    async fn next_event(
        &self,
        prefix: &str,
        after: Option<Position>,
    ) -> Option<(Result<Event, Error>, Option<Position>)> {
        let after = after?;
        let mut revision = self.0.revision.subscribe();
        loop {
            let next = match self.0.feed().since(after, prefix) {
                Since::Resync(reason) => return Some((Ok(Event::Resync(reason)), None)),
                Since::Changes { revision, changes } => {
                    let told = Position { revision, ..after };
                    return Some((Ok(Event::Changes { revision, changes }), Some(told)));
                }
                Since::Nothing { next_end } => next_end,
            };
            let end = async {
                match next {
                    Some(end) => tokio::time::sleep(end.saturating_sub(now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = revision.changed() => changed.ok()?,
                () = end => {
                    let expired = self.blocking(format!("watch {prefix}"), |_| Ok(())).await;
                    if let Err(error) = expired {
                        return Some((Err(error), None));
                    }
                }
            }
        }
    }
}

/// Why something was not done with the file.
enum Failure {
    Fault(Fault),
    File(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::File(error.into())
    }
}

impl Inner {
    fn feed(&self) -> MutexGuard<'_, Feed> {
        // It is changed only after everything that can fail.
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, and tells of it.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut Writing) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut feed = self.feed();
        let mut writing = Writing::begin(&self.database)?;
        let done = work(&mut writing)?;
        let (revision, next_end) = writing.state()?;
        let changes = writing.commit()?;
        feed.push(revision, next_end, changes);
        self.revision.send_replace(revision);
        Ok(done)
    }

    /// Ends the sessions whose time is over.
    fn expire(&self) -> Result<(), redb::Error> {
        if self.feed().next_end().is_none_or(|end| end > now()) {
            return Ok(());
        }
        let expired = self.write(|writing| Ok(writing.expire(now())?));
        match expired {
            Ok(()) | Err(Failure::Fault(_)) => Ok(()),
            Err(Failure::File(error)) => Err(error),
        }
    }
}

/// Since the beginning of 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[async_trait]
impl Store for Local {
    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let wanted = prefix.to_owned();
        self.blocking(format!("list {prefix}"), move |inner| {
            // The feed is held so that the revision is that of the entries.
            let feed = inner.feed();
            let entries = tables::list(&inner.database, &wanted)?;
            let Position { revision, history } = feed.position();
            Ok(Listing { revision, history, entries })
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let wanted = key.to_owned();
        self.blocking(format!("read {key}"), move |inner| {
            Ok(tables::get(&inner.database, &wanted)?)
        })
        .await
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        self.blocking(txn.action(), move |inner| {
            inner.write(|writing| {
                for write in &txn.writes {
                    if let super::Write::Put { session: Some(session), .. } = write
                        && writing.session(*session)?.is_none()
                    {
                        return Err(Failure::Fault(Fault::SessionGone(*session)));
                    }
                }
                let committed = writing.holds(&txn.conditions)?;
                if committed {
                    writing.apply(&txn.writes)?;
                }
                let listed = txn.list.as_deref().map(|prefix| writing.list(prefix)).transpose()?;
                let (revision, _) = writing.state()?;
                Ok(Outcome { committed, revision, listed: listed.unwrap_or_default() })
            })
        })
        .await
    }

    fn watch(&self, prefix: &str, after: Position) -> BoxStream<'static, Result<Event, Error>> {
        let start = (self.clone(), prefix.to_owned(), Some(after));
        stream::unfold(start, |(store, prefix, after)| async move {
            let (event, after) = store.next_event(&prefix, after).await?;
            Some((event, (store, prefix, after)))
        })
        .boxed()
    }

    async fn grant(&self, time_to_live: Duration) -> Result<Session, Error> {
        self.blocking("begin a session".to_owned(), move |inner| {
            inner.write(|writing| Ok(writing.grant(time_to_live, now())?))
        })
        .await
    }

    async fn keep_alive(&self, session: Session) -> Result<(), Error> {
        self.blocking(format!("keep session {session} alive"), move |inner| {
            inner.write(|writing| match writing.keep_alive(session, now())? {
                true => Ok(()),
                false => Err(Failure::Fault(Fault::SessionGone(session))),
            })
        })
        .await
    }

    async fn time_to_live(&self, session: Session) -> Result<Option<TimeToLive>, Error> {
        let action = format!("read the time to live of session {session}");
        let life = self.blocking(action, move |inner| Ok(tables::life(&inner.database, session)?));
        Ok(life
            .await?
            .map(|(granted, end)| TimeToLive { granted, remaining: end.saturating_sub(now()) }))
    }

    async fn revoke(&self, session: Session) -> Result<(), Error> {
        self.blocking(format!("end session {session}"), move |inner| {
            inner.write(|writing| Ok(writing.end(session)?))
        })
        .await
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Local").field(&self.0.path).finish()
    }
}

#[cfg(test)]
mod tests;
