//! One host's own store: a file.
//!
//! Times are the wall clock's, because sessions outlive the process. Watches reach back to the
//! last changes of this process; older ones are told to list anew.

mod damage;
mod feed;
mod file;
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
use file::State;
use tables::Writing;

/// One host's own store: a file, of which one process at a time has the use.
#[derive(Clone)]
pub struct Local(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// Held while writing: changes are told in the order they happened.
    state: Mutex<State>,
    revision: watch::Sender<Revision>,
}

impl Local {
    /// Opens the store at `path`, or makes it. What has expired meanwhile is deleted.
    ///
    /// # Errors
    /// [`Fault::File`] when the file cannot be used, as when another process has it, or it is damaged:
    /// it stays as it is then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::opened(path).map_err(|error| {
            let reason = match damage::is(&error) {
                true => format!("{error}; it is damaged: `netd run` sets it aside, and forgets it"),
                false => error.to_string(),
            };
            Error::new(format_args!("open {}", path.display()), Fault::File(reason))
        })
    }

    fn opened(path: &Path) -> Result<Self, redb::Error> {
        let state = State::open(path)?;
        let inner = Inner {
            path: path.to_owned(),
            revision: watch::Sender::new(state.feed.position().revision),
            state: Mutex::new(state),
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
            let next = match self.0.state().feed.since(&after, prefix) {
                Since::Ended(event) => return Some((Ok(event), None)),
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
    fn state(&self) -> MutexGuard<'_, State> {
        // Its feed is changed only after everything that can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the file.
    fn with<T>(
        &self,
        work: impl FnOnce(&Database, &mut Feed) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut state = self.state();
        if state.is_to_be_opened() {
            *state = State::open(&self.path)?;
            self.revision.send_replace(state.feed.position().revision);
        }
        state.with(work)
    }

    /// Writes, and tells of it.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut Writing) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with(|database, feed| {
            let mut writing = Writing::begin(database)?;
            let done = work(&mut writing)?;
            let (revision, next_end) = writing.state()?;
            let changes = writing.commit()?;
            feed.push(revision, next_end, changes);
            self.revision.send_replace(revision);
            Ok(done)
        })
    }

    /// Ends the sessions whose time is over.
    fn expire(&self) -> Result<(), redb::Error> {
        if self.state().feed.next_end().is_none_or(|end| end > now()) {
            return Ok(());
        }
        match self.write(|writing| Ok(writing.expire(now())?)) {
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
            inner.with(|database, feed| {
                let entries = tables::list(database, &wanted)?;
                let Position { revision, history, .. } = feed.position();
                Ok(Listing { revision, history, entries })
            })
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let wanted = key.to_owned();
        self.blocking(format!("read {key}"), move |inner| {
            inner.with(|database, _| Ok(tables::get(database, &wanted)?))
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
        let life =
            move |inner: &Inner| inner.with(|database, _| Ok(tables::life(database, session)?));
        let life = self.blocking(action, life).await?;
        Ok(life.map(|(granted, end)| TimeToLive { granted, remaining: end.saturating_sub(now()) }))
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
