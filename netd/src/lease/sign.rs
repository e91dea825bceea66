//! A host says who it is before it takes anything: of two that start at once with one machine id
//! or one address, the second knows of the first.

use super::acquire::Acquiring;
use super::claims::{SignOfLife, Whose, encode};
use super::{AcquireError, Leases};
use crate::store::{Error, Session, Txn};

/// How often the sign may come and go while it is asked for.
const ATTEMPTS: usize = 8;

impl Acquiring<'_> {
    /// Gives the first sign of life, which the keeper goes on with.
    ///
    /// # Errors
    /// Where a running host has this machine id, or the store does not answer. Want of rights is
    /// noted.
    pub(super) async fn sign(&mut self) -> Result<(), AcquireError> {
        let sign = SignOfLife::new(&self.leases.host, self.wanted.value.public_ip);
        match give(self.leases, &sign).await {
            Ok(Given::Now(session)) => {
                self.sign = Some(session);
                Ok(())
            }
            Ok(Given::Before) => Ok(()),
            Ok(Given::ByAnother(twin)) => Err(self.twin(&twin)),
            Err(error) if error.is_permission_denied() => {
                self.without_record(&error);
                Ok(())
            }
            Err(error) => Err(AcquireError::Store(error)),
        }
    }

    pub(super) fn twin(&self, twin: &SignOfLife) -> AcquireError {
        AcquireError::Twin {
            machine_id: self.leases.host.machine_id.clone(),
            host: twin.host.clone(),
            public_ip: twin.public_ip,
        }
    }
}

/// Who gives a sign of life for this machine id.
enum Given {
    /// This host, from now on.
    Now(Session),
    /// This host, since before: its agent, or one that was killed.
    Before,
    /// Another host.
    ByAnother(SignOfLife),
}

/// Writes a sign of life where there is none, or this host's of the boot before: after a crash that is
/// there for as long as it lives.
async fn give(leases: &Leases, sign: &SignOfLife) -> Result<Given, Error> {
    let Leases { store, keys, host } = leases;
    let key = keys.live(&host.machine_id);
    for _ in 0..ATTEMPTS {
        let free = match store.get(&key).await? {
            None => Txn::new().if_absent(&key),
            Some(entry) => {
                let there: Option<SignOfLife> = serde_json::from_slice(&entry.value).ok();
                let Some(there) = there else { return Ok(Given::Before) };
                match there.whose(sign) {
                    Whose::Ours => return Ok(Given::Before),
                    Whose::Twins => return Ok(Given::ByAnother(there)),
                    Whose::OfBootBefore => Txn::new().if_unchanged(&key, entry.mod_revision),
                }
            }
        };
        let session = store.grant(SignOfLife::TIME_TO_LIVE).await?;
        let txn = free.put(&key, encode(sign), Some(session));
        let written = store.txn(txn).await;
        if written.as_ref().is_ok_and(|outcome| outcome.committed) {
            return Ok(Given::Now(session));
        }
        // It would end by itself, too.
        let _ = store.revoke(session).await;
        written?;
    }
    Ok(Given::Before)
}
