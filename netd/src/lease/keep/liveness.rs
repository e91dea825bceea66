//! The sign of life of a host: apart from its lease, which outlives it by far.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::record::WITHOUT_RIGHTS;
use crate::lease::claims::{SignOfLife, encode};
use crate::lease::{LeaseValue, Leases};
use crate::store::{Backoff, Error, Fault, Session, Txn};

const TIME_TO_LIVE: Duration = SignOfLife::TIME_TO_LIVE;

/// Writes the sign of life and keeps it.
pub(super) struct Liveness {
    leases: Leases,
    published: watch::Receiver<LeaseValue>,
    /// Whether netd's own prefix may be written.
    allowed: watch::Receiver<bool>,
    session: Option<Session>,
    /// The address that it tells.
    told: Ipv4Addr,
}

impl Liveness {
    pub(super) fn new(
        leases: Leases,
        published: watch::Receiver<LeaseValue>,
        allowed: watch::Receiver<bool>,
    ) -> Self {
        Self { leases, published, allowed, session: None, told: Ipv4Addr::UNSPECIFIED }
    }

    /// Ends when it is told to.
    pub(super) async fn run(mut self, stop: oneshot::Receiver<()>) {
        tokio::select! {
            // A sender that is gone aborts this task anyway.
            _ = stop => {}
            () = self.live() => {}
        }
        if let Some(session) = self.session
            && let Err(error) = self.leases.store.revoke(session).await
        {
            let error = cni::ErrorChain(&error).to_string();
            tracing::debug!(error, "the sign of life ends by itself");
        }
    }

    async fn live(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(500), TIME_TO_LIVE / 3);
        let mut denied = Backoff::new(WITHOUT_RIGHTS.0, WITHOUT_RIGHTS.1);
        // Its sender lives in the task that is aborted with this one.
        while self.allowed.wait_for(|allowed| *allowed).await.is_ok() {
            match self.beat().await {
                Ok(()) => {
                    backoff.reset();
                    denied.reset();
                    tokio::select! {
                        () = tokio::time::sleep(TIME_TO_LIVE / 3) => {}
                        // Its sender lives as long as this task.
                        _ = self.published.changed() => {}
                    }
                }
                Err(error) if error.is_permission_denied() => {
                    let error = cni::ErrorChain(&error).to_string();
                    tracing::warn!(error, "no sign of life is given; trying again");
                    denied.wait().await;
                }
                Err(error) => {
                    let error = cni::ErrorChain(&error).to_string();
                    tracing::debug!(error, "no sign of life at present");
                    backoff.wait().await;
                }
            }
        }
    }

    async fn beat(&mut self) -> Result<(), Error> {
        let address = self.published.borrow_and_update().public_ip;
        if let Some(session) = self.session {
            let kept = if address == self.told {
                self.leases.store.keep_alive(session).await
            } else {
                self.tell(session, address).await
            };
            match kept {
                Err(Error { fault: Fault::SessionGone(_), .. }) => self.session = None,
                other => return other,
            }
        }
        let session = self.leases.store.grant(TIME_TO_LIVE).await?;
        let told = self.tell(session, address).await;
        match told {
            Ok(()) => self.session = Some(session),
            // It would end by itself, too.
            Err(_) => drop(self.leases.store.revoke(session).await),
        }
        told
    }

    async fn tell(&mut self, session: Session, public_ip: Ipv4Addr) -> Result<(), Error> {
        let Leases { store, keys, host } = &self.leases;
        let sign = SignOfLife::new(host, public_ip);
        let key = keys.live(&host.machine_id);
        store.txn(Txn::new().put(key, encode(&sign), Some(session))).await?;
        self.told = public_ip;
        Ok(())
    }
}
