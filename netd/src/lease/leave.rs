//! A host that leaves its cluster.

use std::net::Ipv4Addr;

use super::{AdminError, Lease, Leases, Owner, SubnetKey};
use crate::store::{self, Txn};

impl Leases {
    /// Gives back the leases that this host's record proves to be its own, with the record and the
    /// sign of life. Without a record (netd had no rights to its prefix) it is the lease of `had`
    /// if its value has this host's address. That no agent runs here is for the caller to know.
    ///
    /// Reservations stay: an administrator made them. Gives what was released, and what stays.
    ///
    /// # Errors
    /// When the store does not do it, or somebody changed a lease at the same time.
    pub async fn leave(
        &self,
        had: Option<(SubnetKey, Ipv4Addr)>,
    ) -> Result<(Vec<Lease>, Vec<Lease>), AdminError> {
        let failed = |source| AdminError::Store { action: "leave the cluster".to_owned(), source };
        let leases = self.overview().await.map_err(failed)?.leases;
        let ours = |(lease, owner): &(Lease, Option<Owner>)| match owner {
            Some(owner) => owner.machine_id == self.host.machine_id,
            None => had.is_some_and(|(subnet, ip)| lease.subnet == subnet && lease.is_of(ip)),
        };
        let (mut released, mut kept) = (Vec::new(), Vec::new());
        for (lease, owner) in leases.into_iter().filter(ours) {
            if lease.entry.session.is_none() {
                kept.push(lease);
                continue;
            }
            self.give_back(&lease, owner.is_some()).await?;
            released.push(lease);
        }
        Ok((released, kept))
    }

    async fn give_back(&self, lease: &Lease, recorded: bool) -> Result<(), AdminError> {
        let action = format!("release {}", lease.subnet);
        let failed = |source: store::Error| AdminError::Store { action: action.clone(), source };
        let (entry, machine) = (&lease.entry, &self.host.machine_id);
        let mut txn = Txn::new().if_unchanged(&entry.key, entry.mod_revision).delete(&entry.key);
        if recorded {
            txn = txn.delete(self.keys.record(machine)).delete(self.keys.live(machine));
        }
        if !self.store.txn(txn).await.map_err(failed)?.committed {
            return Err(AdminError::Changed(lease.subnet));
        }
        // The session lives on, without keys: that tells others that the lease did not just end.
        Ok(())
    }
}
