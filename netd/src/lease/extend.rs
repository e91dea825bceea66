//! An IPv6 subnet beside the IPv4 one that a host has.

use std::time::Duration;

use ipnetwork::IpNetwork;

use super::acquire::{creation, earlier_overlap};
use super::choose::pick;
use super::leased::Leased;
use super::{AcquireError, Held, LeaseValue, Leases, SubnetKey};
use crate::config::network::NetworkConfig;
use crate::store::{Backoff, Txn, random};

/// How often other hosts may be faster before this one gives up.
const ATTEMPTS: u32 = 20;

impl Leases {
    /// Gives a lease the IPv6 subnet that a configuration asks for beside the IPv4 one, which stays:
    /// its key is replaced in one transaction, and lives by the same session. Nothing is written
    /// where the configuration has no IPv6 or the lease has a subnet of it.
    ///
    /// Who keeps the lease must be stopped before, or would take the old key again.
    ///
    /// # Errors
    /// When no subnet is free, others were faster too often, the key is not this host's any more,
    /// or the store does not do it. The lease may have been extended in the last case.
    pub async fn extend(
        &self,
        config: &NetworkConfig,
        held: &Held,
        value: &LeaseValue,
    ) -> Result<Held, AcquireError> {
        let Some((network, pool)) = &config.ipv6 else { return Ok(held.clone()) };
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let mut now = held.clone();
        for _ in 0..ATTEMPTS {
            let listing =
                self.store.list(&self.keys.subnets()).await.map_err(AcquireError::Store)?;
            let leased = Leased::read(&self.keys, listing.entries);
            let mut leases = leased.leases.iter();
            let own = leases.find(|lease| {
                lease.subnet.v4 == held.subnet.v4 && lease.entry.session == held.session
            });
            let Some(own) = own else { return Err(AcquireError::NotOurs(held.subnet)) };
            let taken: Vec<IpNetwork> = leased
                .leases
                .iter()
                .filter(|lease| lease.entry.key != own.entry.key)
                .filter_map(|lease| lease.subnet.v6.map(IpNetwork::from))
                .collect();
            let wish = own.subnet.v6.map(IpNetwork::from);
            let number = || u128::from(random()) << 64 | u128::from(random());
            let Some(IpNetwork::V6(v6)) = pick(pool, &taken, wish.into_iter(), &mut { number })
            else {
                let (network, total) = (network.to_string(), pool.count());
                return Err(AcquireError::Exhausted { network, total });
            };
            now.subnet = SubnetKey::new(held.subnet.v4, Some(v6));
            now.value = value.clone();
            now.created = own.entry.create_revision;
            now.revision = own.entry.mod_revision;
            if own.subnet == now.subnet {
                return Ok(now);
            }
            let value = value.encode();
            let txn = creation(&self.keys, &now.subnet, Some(own), value, held.session);
            let outcome = self.recorded(txn, &now).await?;
            // Of two hosts that take overlapping subnets the later sees the other's, and moves on.
            if outcome.committed && earlier_overlap(&self.keys, &now.subnet, &outcome).is_none() {
                now.created = outcome.revision;
                now.revision = outcome.revision;
                return Ok(now);
            }
            backoff.wait().await;
        }
        Err(AcquireError::Outrun { network: network.to_string(), attempts: ATTEMPTS })
    }

    async fn recorded(&self, txn: Txn, held: &Held) -> Result<crate::store::Outcome, AcquireError> {
        let txn = match held.recorded {
            true => self.put_record(txn, &held.subnet, held.session),
            false => txn,
        };
        self.store.txn(txn).await.map_err(AcquireError::Store)
    }
}
