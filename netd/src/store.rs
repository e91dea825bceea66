//! A store of keys that hosts share, or that one host keeps for itself.
//!
//! One trait, [`Store`], and one meaning, etcd's: every change of the store has a revision, one
//! higher than the change before; a [`Txn`] happens as a whole or not at all; a watch tells of
//! every change after a revision, or says that it cannot; keys can be tied to a session and
//! vanish when nobody keeps it alive. [`etcd`] speaks etcd v3, [`local`] keeps a file.

mod backoff;
mod error;
pub mod etcd;
mod follow;
#[cfg(feature = "inject")]
pub(crate) mod inject;
pub mod local;
mod position;
mod txn;

pub use backoff::Backoff;
pub(crate) use backoff::random;
pub use error::{Error, Fault};
pub use follow::{Followed, follow};
pub use position::{Position, Witness};
pub use txn::{Condition, Expected, Outcome, Target, Txn, Write};

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

/// Counts the changes of a store. 0 is before the first.
pub type Revision = i64;

/// A lease of the store's: keys tied to it are deleted when it has not been kept alive for its
/// time to live. The number is etcd's lease id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub i64);

/// A key, what it holds and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key. Bytes of a foreign key that are no UTF-8 are U+FFFD here.
    pub key: String,
    /// What it holds.
    pub value: Vec<u8>,
    /// The revision that created it, after it did not exist.
    pub create_revision: Revision,
    /// The revision of the last change of it.
    pub mod_revision: Revision,
    /// The session it vanishes with; without one it stays.
    pub session: Option<Session>,
}

/// All keys below a prefix, as they were at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The store's revision.
    pub revision: Revision,
    /// As in [`Position`].
    pub history: u64,
    /// In order of keys.
    pub entries: Vec<Entry>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It holds a (new) value.
    Put(Entry),
    /// It is gone.
    Deleted {
        /// The key.
        key: String,
        /// The revision that deleted it.
        revision: Revision,
    },
}

impl Change {
    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Deleted { key, .. } => key,
        }
    }

    /// The revision that changed it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        match self {
            Self::Put(entry) => entry.mod_revision,
            Self::Deleted { revision, .. } => *revision,
        }
    }
}

/// What a watch tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Changes up to and including a revision; none, where the store only says how far it is.
    Changes {
        /// A watch that follows this one may begin after it.
        revision: Revision,
        /// In order.
        changes: Vec<Change>,
    },
    /// Changes were missed: list, and watch from there. Nothing follows it.
    Resync(String),
    /// The same, as the store has another history than the point to begin after: it was built anew.
    Anew(String),
}

/// How long a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    /// From one sign of life to the end.
    pub granted: Duration,
    /// From now on.
    pub remaining: Duration,
}

/// A store.
///
/// Every call returns within a bound. One that failed may have happened all the same.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Lists all keys that begin with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Listing, Error>;

    /// Reads one key.
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// Does all the writes if all the conditions hold, else none.
    async fn txn(&self, txn: Txn) -> Result<Outcome, Error>;

    /// Tells of all changes after a point to keys that begin with `prefix`. The stream ends with
    /// the first error, and after [`Event::Resync`] or [`Event::Anew`].
    fn watch(&self, prefix: &str, after: Position) -> BoxStream<'static, Result<Event, Error>>;

    /// Begins a session.
    async fn grant(&self, time_to_live: Duration) -> Result<Session, Error>;

    /// Gives a session its whole time again; [`Fault::SessionGone`] when it has ended.
    async fn keep_alive(&self, session: Session) -> Result<(), Error>;

    /// How long a session lives; `None` when it has ended.
    async fn time_to_live(&self, session: Session) -> Result<Option<TimeToLive>, Error>;

    /// Ends a session: its keys are deleted. One that has ended is no error.
    async fn revoke(&self, session: Session) -> Result<(), Error>;

    /// Connects anew: an address of this host is gone, and what was connected by it hears nothing
    /// any more. Calls and watches that wait fail as where the store does not answer.
    fn reconnect(&self) {}
}

impl fmt::Display for Session {
    /// As etcdctl prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({self})")
    }
}
