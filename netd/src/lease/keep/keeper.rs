//! The handle of a lease that is kept.

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::lease::{Held, LeaseValue};

/// How the lease is.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// It is ours.
    Held(Held),
    /// It is not ours at present: it was deleted and could not be taken again, or another wrote
    /// it. `Held` follows when the subnet is free again and this host was first to take it.
    Lost {
        /// Who has it, or what else is in the way.
        reason: String,
    },
}

impl Status {
    /// The lease, where it is ours.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Lost { .. } => None,
        }
    }
}

/// Keeps a lease in tasks of its own until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    pub(super) status: watch::Receiver<Status>,
    pub(super) publish: watch::Sender<LeaseValue>,
    pub(super) keeping: JoinHandle<()>,
    pub(super) alive: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Keeper {
    /// How the lease is.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Publishes another value with the lease, as soon as the store answers. The same value again
    /// writes nothing.
    pub fn publish(&self, value: LeaseValue) {
        self.publish.send_replace(value);
    }

    /// Writes nothing from now on, as another is to keep the lease; the sign of life ends by itself.
    pub fn pause(&self) {
        self.keeping.abort();
        if let Some((_, task)) = &self.alive {
            task.abort();
        }
    }

    /// Stops, and takes the sign of life back. The lease stays, for its time to live: a restart
    /// finds it again.
    pub async fn stop(mut self) {
        if let Some((stop, task)) = self.alive.take() {
            // The task may have ended already, with that which keeps the lease.
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.pause();
    }
}
