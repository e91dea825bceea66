//! What a listing of flannel's prefix means.

use std::net::Ipv4Addr;

use super::{InvalidKey, InvalidValue, Keyspace, LeaseValue, SubnetKey};
use crate::store::Entry;

/// A lease as it is in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Its subnet.
    pub subnet: SubnetKey,
    /// What its host publishes, or why that cannot be read.
    pub value: Result<LeaseValue, InvalidValue>,
    /// The key, its revisions, and the session it ends with; one without is a reservation.
    pub entry: Entry,
}

/// Everything below flannel's prefix of leases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leased {
    /// In order of keys.
    pub leases: Vec<Lease>,
    /// Keys that name no subnet, and why not.
    pub malformed: Vec<(String, InvalidKey)>,
}

impl Leased {
    /// Reads a listing. What cannot be read hurts nothing beside it.
    #[must_use]
    pub fn read(keys: &Keyspace, entries: Vec<Entry>) -> Self {
        let mut leased = Self::default();
        for entry in entries {
            match lease(keys, entry) {
                Ok(lease) => leased.leases.push(lease),
                Err(malformed) => leased.malformed.push(malformed),
            }
        }
        leased
    }

    /// The lease of a subnet.
    #[must_use]
    pub fn of(&self, subnet: &SubnetKey) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.subnet == *subnet)
    }

    /// A lease with another key that has addresses of a subnet.
    pub(super) fn overlapping(&self, subnet: &SubnetKey) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.subnet != *subnet && lease.subnet.overlaps(subnet))
    }
}

/// Reads a lease; or the key and why it is none.
pub(super) fn lease(keys: &Keyspace, entry: Entry) -> Result<Lease, (String, InvalidKey)> {
    match subnet_of(keys, &entry.key) {
        Ok(subnet) => Ok(Lease { subnet, value: LeaseValue::decode(&entry.value), entry }),
        Err(error) => Err((entry.key, error)),
    }
}

/// The subnet that a key names.
pub(super) fn subnet_of(keys: &Keyspace, key: &str) -> Result<SubnetKey, InvalidKey> {
    key.strip_prefix(&keys.subnets()).unwrap_or(key).parse()
}

impl Lease {
    /// That its host has a subnet, which this one overlaps, in words.
    pub(super) fn has(&self, subnet: &SubnetKey) -> String {
        match &self.value {
            Ok(value) if self.subnet == *subnet => {
                format!("the host at {} has it", value.public_ip)
            }
            Ok(_) | Err(_) => format!("{}, which overlaps it, is leased", self.subnet),
        }
    }

    /// Whether it was made when another host had taken a subnet: of what has that host's address, an
    /// administrator's doing, where nothing proves it.
    pub(super) fn is_in_place_of<'a>(
        &self,
        lost: &SubnetKey,
        all: impl IntoIterator<Item = &'a Self>,
    ) -> bool {
        let mut all = all.into_iter();
        let rival = all.find(|lease| lease.subnet.overlaps(lost));
        rival.is_some_and(|rival| self.entry.create_revision > rival.entry.create_revision)
    }

    /// Whether it is of a host that is reached at this address.
    pub(super) fn is_of(&self, public_ip: Ipv4Addr) -> bool {
        self.value.as_ref().is_ok_and(|value| value.public_ip == public_ip)
    }
}
