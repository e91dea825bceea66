//! Keeping a lease.

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Held, LeaseValue};

/// How the lease is.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// It is ours.
    Held(Held),
    /// It is not ours at present: it was deleted and could not be taken again. It is tried again
    /// all the time, and `Held` follows if it succeeds.
    Lost {
        /// Who has it, or what else is in the way.
        reason: String,
    },
}

/// Keeps a lease in a task of its own until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    /// How the lease is; the first value is `Held`.
    pub status: watch::Receiver<Status>,
    pub(super) publish: watch::Sender<LeaseValue>,
    pub(super) task: JoinHandle<()>,
}

impl Keeper {
    /// Publishes another value with the lease, as soon as the store answers. The same value again
    /// writes nothing.
    pub fn publish(&self, value: LeaseValue) {
        self.publish.send_replace(value);
    }
}

impl Drop for Keeper {
    /// The lease stays, for its time to live: a restart finds it again.
    fn drop(&mut self) {
        self.task.abort();
    }
}
