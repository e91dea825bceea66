//! Our own record, where the rights to write it came after the lease, or went.

use std::time::Duration;

use tokio::sync::watch;

use super::{Keeping, since_boot};
use crate::lease::choose::twin;
use crate::lease::claims::Claims;
use crate::store::{Backoff, Error, Txn};

/// Between attempts to write without rights, from the first to the longest.
pub(super) const WITHOUT_RIGHTS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(300));

/// Whether netd's own prefix may be written.
pub(super) struct Recording {
    allowed: watch::Sender<bool>,
    backoff: Backoff,
    /// When writing is tried again, since boot.
    due: Duration,
}

impl Recording {
    pub(super) fn new(allowed: bool) -> Self {
        let backoff = Backoff::new(WITHOUT_RIGHTS.0, WITHOUT_RIGHTS.1);
        let due = since_boot() + WITHOUT_RIGHTS.0;
        Self { allowed: watch::Sender::new(allowed), backoff, due }
    }

    /// For others that write there.
    pub(super) fn allowed(&self) -> watch::Receiver<bool> {
        self.allowed.subscribe()
    }

    pub(super) fn is_allowed(&self) -> bool {
        *self.allowed.borrow()
    }

    /// What an error says of rights: a transaction with the record in it is tried without it next.
    pub(super) fn note(&mut self, error: &Error) {
        if error.is_permission_denied() && self.is_allowed() {
            self.allowed.send_replace(false);
            self.later();
        }
    }

    /// How long until there is something to do.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        if self.is_allowed() { Duration::MAX } else { self.due.saturating_sub(now) }
    }

    fn later(&mut self) {
        self.due = since_boot() + self.backoff.pause();
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.allowed.send_replace(true);
    }
}

impl Keeping {
    /// Writes our record if it is not there and another attempt is due. Want of rights is no
    /// error.
    pub(super) async fn record(&mut self) -> Result<(), Error> {
        if !self.recording.pause(since_boot()).is_zero() {
            return Ok(());
        }
        self.recording.later();
        match self.try_record().await {
            Ok(false) => Ok(()),
            Ok(true) => {
                tracing::info!(subnet = %self.held.subnet, "this host's record is written now");
                self.recording.succeeded();
                Ok(())
            }
            Err(error) if error.is_permission_denied() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether it is written; not where another host says that it is this one, or where our key
    /// was changed meanwhile.
    async fn try_record(&self) -> Result<bool, Error> {
        let crate::lease::Leases { store, keys, host } = &self.leases;
        let ours = format!("{}{}/", keys.hosts(), host.machine_id);
        let claims = Claims::read(keys, &store.list(&ours).await?.entries);
        if let Some(twin) = twin(&claims, host, self.held.value.public_ip) {
            let (other, at) = (&twin.host, twin.public_ip);
            tracing::warn!(other, %at, "another host has this one's machine id: no record is written");
            return Ok(false);
        }
        let key = keys.subnet(&self.held.subnet);
        let txn = Txn::new().if_unchanged(key, self.held.revision);
        let txn = self.leases.put_record(txn, &self.held.subnet, self.held.session);
        store.txn(txn).await.map(|outcome| outcome.committed)
    }
}
