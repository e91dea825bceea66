//! A lease that is gone: it is taken again where that is possible.

use super::{Keeping, Standing, since_boot};
use crate::lease::Leases;
use crate::lease::acquire::{creation, earlier_overlap};
use crate::lease::leased::Leased;
use crate::store::{Change, Error, Fault, Outcome, Session};

impl Keeping {
    /// Takes the subnet again where nothing is in its way any more: of another key that overlaps ours
    /// there is no news.
    pub(super) async fn look_for_way(&mut self) -> Result<(), Error> {
        let leased = self.leases.list().await?;
        if leased.overlapping(&self.held.subnet).is_some() {
            return self.give_way(&leased).await;
        }
        let key = self.leases.keys.subnet(&self.held.subnet);
        if leased.leases.iter().any(|lease| lease.entry.key == key) {
            return Ok(());
        }
        self.standing = Standing::Absent;
        self.create().await
    }

    /// Creates the key again, unless another host has taken of the subnet.
    pub(super) async fn take_again(&mut self) -> Result<(), Error> {
        let leased = self.leases.list().await?;
        if let Some(other) = leased.overlapping(&self.held.subnet) {
            let reason = format!("{} was leased meanwhile", other.subnet);
            self.give_way(&leased).await?;
            self.standing = Standing::Other(reason);
            return Ok(());
        }
        self.create().await
    }

    /// Creates the key, and gives way to who was earlier.
    async fn create(&mut self) -> Result<(), Error> {
        let session = self.living_session().await?;
        self.held.session = Some(session);
        self.held.value = self.publish.borrow_and_update().clone();
        let Leases { keys, store, .. } = &self.leases;
        let value = self.held.value.encode();
        let subnet = self.held.subnet;
        let mut txn = creation(keys, &subnet, None, value.clone(), Some(session));
        if self.recording.is_allowed() {
            txn = self.leases.put_record(txn, &subnet, Some(session));
        }
        let outcome = store.txn(txn).await?;
        self.held.revision = outcome.revision;
        self.standing = if !outcome.committed {
            self.in_the_way(&outcome)
        } else if let Some(earlier) = earlier_overlap(keys, &subnet, &outcome) {
            self.leases.withdraw(&subnet, outcome.revision, self.recording.is_allowed()).await?;
            // The news of what was created and taken back are none.
            self.held.revision = outcome.revision.saturating_add(1);
            Standing::Other(format!("{earlier}, which overlaps it, was leased meanwhile"))
        } else {
            tracing::warn!(%subnet, "the lease was gone; it is taken again");
            self.held.created = outcome.revision;
            self.stored = value;
            self.schedule.kept(since_boot());
            Standing::Ours
        };
        Ok(())
    }

    /// Takes back a key of ours that could not be taken back when it was created.
    async fn give_way(&self, leased: &Leased) -> Result<(), Error> {
        let subnet = self.held.subnet;
        let Some(lease) = leased.of(&subnet) else { return Ok(()) };
        if lease.entry.session.is_none() || lease.entry.session != self.held.session {
            return Ok(());
        }
        let (revision, recorded) = (lease.entry.mod_revision, self.recording.is_allowed());
        self.leases.withdraw(&subnet, revision, recorded).await
    }

    async fn living_session(&self) -> Result<Session, Error> {
        let store = &self.leases.store;
        if let Some(session) = self.held.session {
            match store.keep_alive(session).await {
                Ok(()) => return Ok(session),
                Err(Error { fault: Fault::SessionGone(_), .. }) => {}
                Err(error) => return Err(error),
            }
        }
        store.grant(self.held.time_to_live).await
    }

    /// Whose lease kept ours from being created; ours, if an attempt before this one did it after
    /// all.
    fn in_the_way(&mut self, outcome: &Outcome) -> Standing {
        let leased = Leased::read(&self.leases.keys, outcome.listed.clone());
        let subnet = self.held.subnet;
        if let Some(lease) = leased.of(&subnet) {
            let standing = Standing::of(&self.held, &Change::Put(lease.entry.clone()));
            if standing == Standing::Ours {
                self.stored.clone_from(&lease.entry.value);
                self.held.created = lease.entry.create_revision;
                self.held.revision = lease.entry.mod_revision;
            }
            return standing;
        }
        Standing::Other(match leased.overlapping(&subnet) {
            Some(other) => format!("{} was leased meanwhile", other.subnet),
            None => "its key is in use in a form that cannot be read".to_owned(),
        })
    }
}
