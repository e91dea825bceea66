//! What an administrator does with leases.

use std::net::Ipv4Addr;

use super::acquire::{creation, earlier_overlap};
use super::claims::{Claims, Record, encode};
use super::{InvalidKey, Lease, LeaseValue, Leased, Leases, SubnetKey};
use crate::config::network::NetworkConfig;
use crate::store::{self, Txn};

/// All leases and whose they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// In order of keys.
    pub leases: Vec<(Lease, Option<Owner>)>,
    /// Keys that name no subnet, and why not.
    pub malformed: Vec<(String, InvalidKey)>,
}

/// A netd host that proves a lease to be its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its machine id.
    pub machine_id: String,
    /// Its name.
    pub host: String,
    /// Whether its agent was alive in the last 30 s.
    pub alive: bool,
}

/// What an administrator wanted cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such lease.
    #[error("{0} is not leased: `netd lease list` shows what is")]
    NotLeased(SubnetKey),
    /// Its host would take it again.
    #[error(
        "the host {host} has {subnet} and is alive: stop netd there first, or it takes it again"
    )]
    InUse {
        /// The subnet.
        subnet: SubnetKey,
        /// Its host.
        host: String,
    },
    /// A reservation is for somebody.
    #[error("{0} is not leased: name the host it is to be for with --public-ip")]
    ForNobody(SubnetKey),
    /// It is for somebody else.
    #[error("{subnet} is leased by the host at {has}, not {wanted}: release it first")]
    ForAnother {
        /// The subnet.
        subnet: SubnetKey,
        /// Its host.
        has: Ipv4Addr,
        /// Whom it was to be for.
        wanted: Ipv4Addr,
    },
    /// flannel's hosts would not use it.
    #[error(
        "{0} is no subnet that the network configuration gives out: `netd config show` shows which \
         are"
    )]
    Unfit(SubnetKey),
    /// Its value cannot be read, so nobody could be told to whom it belongs.
    #[error("the lease of {0} cannot be read: release it first")]
    Unreadable(SubnetKey),
    /// Another lease has addresses of it.
    #[error("{other}, which overlaps {subnet}, is leased: release it first")]
    Overlap {
        /// The subnet.
        subnet: SubnetKey,
        /// The lease in the way.
        other: SubnetKey,
    },
    /// Somebody else changed it at the same time.
    #[error("{0} was changed by somebody else meanwhile: look again, and try again")]
    Changed(SubnetKey),
    /// The store does not do it.
    #[error("{action}")]
    Store {
        /// What was to be done.
        action: String,
        /// Why not.
        #[source]
        source: store::Error,
    },
}

impl Leases {
    /// Lists all leases and whose they are. Without rights to netd's own prefix they are nobody's.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn overview(&self) -> Result<Overview, store::Error> {
        let claims = match self.store.list(&self.keys.hosts()).await {
            Ok(listing) => Claims::read(&self.keys, &listing.entries),
            Err(error) if error.is_permission_denied() => Claims::default(),
            Err(error) => return Err(error),
        };
        let Leased { leases, malformed } = self.list().await?;
        let owned = |lease: Lease| {
            let owner = claims.owner(&lease.subnet, lease.entry.session);
            let owner = owner.and_then(|(machine_id, claim)| {
                let host = claim.record.as_ref()?.host.clone();
                Some(Owner { machine_id: machine_id.to_owned(), host, alive: claim.life.is_some() })
            });
            (lease, owner)
        };
        Ok(Overview { leases: leases.into_iter().map(owned).collect(), malformed })
    }

    /// The subnet that is this host's by its record, or by its address where no other host proves it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn subnet_of(&self, public_ip: Ipv4Addr) -> Result<Option<SubnetKey>, store::Error> {
        let ours = |(lease, owner): &(Lease, Option<Owner>)| match owner {
            Some(owner) => owner.machine_id == self.host.machine_id,
            None => lease.is_of(public_ip),
        };
        let leases = self.overview().await?.leases;
        Ok(leases.into_iter().find(ours).map(|(lease, _)| lease.subnet))
    }

    /// How long a lease lives; `None` for a reservation, and when it has just ended.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn time_to_live(
        &self,
        lease: &Lease,
    ) -> Result<Option<store::TimeToLive>, store::Error> {
        match lease.entry.session {
            Some(session) => self.store.time_to_live(session).await,
            None => Ok(None),
        }
    }

    /// Releases a subnet: its key is deleted.
    ///
    /// # Errors
    /// Where there is no such lease, or its host is alive.
    pub async fn release(&self, subnet: &SubnetKey) -> Result<Lease, AdminError> {
        let failed = |source| AdminError::Store { action: format!("release {subnet}"), source };
        let (lease, owner) =
            self.found(subnet).await.map_err(failed)?.ok_or(AdminError::NotLeased(*subnet))?;
        if let Some(Owner { host, alive: true, .. }) = owner {
            return Err(AdminError::InUse { subnet: *subnet, host });
        }
        let entry = &lease.entry;
        let mut txn = Txn::new().if_unchanged(&entry.key, entry.mod_revision).delete(&entry.key);
        if let Some(owner) = &owner {
            txn = txn.delete(self.keys.record(&owner.machine_id));
        }
        self.commit(subnet, txn).await?;
        // The session lives on, without keys: that tells others that the lease did not just end.
        Ok(lease)
    }

    /// Reserves a subnet for the host at `public_ip`, or for the one that has leased it: its key
    /// stays for ever.
    ///
    /// # Errors
    /// Where it is leased by another host, overlaps another lease, or is no subnet of the
    /// configuration.
    pub async fn reserve(
        &self,
        config: &NetworkConfig,
        subnet: &SubnetKey,
        public_ip: Option<Ipv4Addr>,
    ) -> Result<(), AdminError> {
        let failed = |source| AdminError::Store { action: format!("reserve {subnet}"), source };
        let Some((lease, owner)) = self.found(subnet).await.map_err(failed)? else {
            let public_ip = public_ip.ok_or(AdminError::ForNobody(*subnet))?;
            return self.reserve_new(config, subnet, public_ip).await;
        };
        let Ok(value) = &lease.value else { return Err(AdminError::Unreadable(*subnet)) };
        if let Some(wanted) = public_ip.filter(|wanted| *wanted != value.public_ip) {
            let has = value.public_ip;
            return Err(AdminError::ForAnother { subnet: *subnet, has, wanted });
        }
        let Some(session) = lease.entry.session else { return Ok(()) };
        let entry = &lease.entry;
        let mut txn = Txn::new().if_unchanged(&entry.key, entry.mod_revision);
        txn = txn.put(&entry.key, entry.value.clone(), None);
        if let Some(owner) = &owner {
            let record = Record::new(subnet, None, &owner.host);
            txn = txn.put(self.keys.record(&owner.machine_id), encode(&record), None);
        }
        self.commit(subnet, txn).await?;
        if owner.is_some() {
            self.store.revoke(session).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn reserve_new(
        &self,
        config: &NetworkConfig,
        subnet: &SubnetKey,
        public_ip: Ipv4Addr,
    ) -> Result<(), AdminError> {
        if !config.gives_out(subnet) {
            return Err(AdminError::Unfit(*subnet));
        }
        let failed = |source| AdminError::Store { action: format!("reserve {subnet}"), source };
        let value = LeaseValue::new(public_ip).encode();
        let txn = creation(&self.keys, subnet, None, value, None);
        let outcome = self.store.txn(txn).await.map_err(failed)?;
        let earlier = earlier_overlap(&self.keys, subnet, &outcome);
        match (outcome.committed, earlier) {
            (true, None) => Ok(()),
            (committed, Some(other)) => {
                if committed {
                    self.withdraw(subnet, outcome.revision, false).await.map_err(failed)?;
                }
                Err(AdminError::Overlap { subnet: *subnet, other })
            }
            (false, None) => Err(AdminError::Changed(*subnet)),
        }
    }

    async fn found(
        &self,
        subnet: &SubnetKey,
    ) -> Result<Option<(Lease, Option<Owner>)>, store::Error> {
        let leases = self.overview().await?.leases;
        Ok(leases.into_iter().find(|(lease, _)| lease.subnet == *subnet))
    }

    async fn commit(&self, subnet: &SubnetKey, txn: Txn) -> Result<(), AdminError> {
        let action = txn.action();
        match self.store.txn(txn).await {
            Ok(outcome) if outcome.committed => Ok(()),
            Ok(_) => Err(AdminError::Changed(*subnet)),
            Err(source) => Err(AdminError::Store { action, source }),
        }
    }
}
