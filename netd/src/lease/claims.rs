//! What netd's hosts say of themselves, below netd's own prefix: which lease is theirs, and that
//! they are alive.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Host, Keyspace, SubnetKey};
use crate::store::{Entry, Session};

/// A host's own word on its lease: the proof that it is its own. It is written with the lease in
/// one transaction and ends with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// The last element of the lease's key.
    pub(super) subnet: String,
    /// The store's lease that the key is tied to, in hexadecimal digits; a reservation has none.
    pub(super) lease: Option<String>,
    /// The host's name, for people.
    pub(super) host: String,
}

/// A host's sign of life, tied to a store's lease of 30 s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignOfLife {
    /// The boot id: two hosts with one machine id differ in it.
    pub(super) boot_id: String,
    /// The host's name, for people.
    pub(super) host: String,
    /// Where it is reached.
    #[serde(rename = "publicIP")]
    pub(super) public_ip: Ipv4Addr,
}

/// What one host says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) record: Option<Record>,
    pub(super) life: Option<SignOfLife>,
}

/// What all hosts say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// By machine id.
    hosts: BTreeMap<String, Claim>,
    /// Machine ids by the subnet and the session of their records: a cluster of a thousand hosts
    /// asks for the owner of each lease.
    owners: BTreeMap<(String, Option<String>), String>,
}

/// Whose a sign of life with this host's machine id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This host's, of this boot.
    Ours,
    /// This host's of before it was booted: nobody gives it any more.
    OfBootBefore,
    /// Another host's, which runs.
    Twins,
}

impl SignOfLife {
    /// How long it outlives the agent.
    pub(super) const TIME_TO_LIVE: Duration = Duration::from_secs(30);

    pub(super) fn new(host: &Host, public_ip: Ipv4Addr) -> Self {
        Self { boot_id: host.boot_id.clone(), host: host.name.clone(), public_ip }
    }

    /// Whose it is, where it is found at the machine id of the host that would give `ours`. Two that run
    /// with one machine id differ in name or address: else nobody could reach both.
    pub(super) fn whose(&self, ours: &Self) -> Whose {
        if self.boot_id == ours.boot_id {
            Whose::Ours
        } else if (&self.host, self.public_ip) == (&ours.host, ours.public_ip) {
            Whose::OfBootBefore
        } else {
            Whose::Twins
        }
    }
}

impl Claims {
    /// Reads a listing of [`Keyspace::hosts`]. What cannot be read proves nothing.
    pub(super) fn read(keys: &Keyspace, entries: &[Entry]) -> Self {
        let mut claims = Self::default();
        for entry in entries {
            match keys.host_of(&entry.key) {
                Some((host, "lease")) => {
                    let record = serde_json::from_slice(&entry.value).ok();
                    claims.hosts.entry(host.to_owned()).or_default().record = record;
                }
                Some((host, "live")) => {
                    let life = serde_json::from_slice(&entry.value).ok();
                    claims.hosts.entry(host.to_owned()).or_default().life = life;
                }
                Some(_) | None => {}
            }
        }
        for (machine_id, claim) in &claims.hosts {
            if let Some(record) = &claim.record {
                let lease = (record.subnet.clone(), record.lease.clone());
                claims.owners.entry(lease).or_insert_with(|| machine_id.clone());
            }
        }
        claims
    }

    pub(super) fn of(&self, machine_id: &str) -> Option<&Claim> {
        self.hosts.get(machine_id)
    }

    /// Whether a host proves a lease to be its own.
    pub(super) fn prove(
        &self,
        machine_id: &str,
        subnet: &SubnetKey,
        session: Option<Session>,
    ) -> bool {
        let record = self.of(machine_id).and_then(|claim| claim.record.as_ref());
        record.is_some_and(|record| record.proves(subnet, session))
    }

    /// The host that proves a lease to be its own.
    pub(super) fn owner(
        &self,
        subnet: &SubnetKey,
        session: Option<Session>,
    ) -> Option<(&str, &Claim)> {
        let lease = (subnet.to_string(), session.map(|session| session.to_string()));
        let (machine_id, claim) = self.hosts.get_key_value(self.owners.get(&lease)?)?;
        Some((machine_id, claim))
    }
}

impl Record {
    pub(super) fn new(subnet: &SubnetKey, session: Option<Session>, host: &str) -> Self {
        Self {
            subnet: subnet.to_string(),
            lease: session.map(|session| session.to_string()),
            host: host.to_owned(),
        }
    }

    /// Whether it is of this very lease, and not of one that had the subnet before.
    pub(super) fn proves(&self, subnet: &SubnetKey, session: Option<Session>) -> bool {
        self.subnet == subnet.to_string()
            && self.lease == session.map(|session| session.to_string())
    }
}

/// The bytes of a record or a sign of life.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // Writing to memory cannot fail, and these have only strings.
    serde_json::to_vec(value).unwrap_or_default()
}
