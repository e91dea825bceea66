//! Endpoints of other hosts, as this host is to reach and name them. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use drivers::encryption::Peer;

use super::record::EndpointRecord;
use super::view::{Kept, View};
use crate::network::Id;

/// An endpoint of another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere<'v> {
    /// Its id.
    pub id: &'v str,
    /// What its host says of it.
    pub record: &'v EndpointRecord,
    /// Its addresses, but for those that a newer endpoint has.
    pub addresses: Vec<IpAddr>,
    /// Where its host is reached, as long as that has not ended for good.
    pub vtep: Option<IpAddr>,
    /// Who encrypts there.
    pub peer: Option<Peer>,
    /// Whether its host's agent runs: else it is down, and not named.
    pub live: bool,
}

impl Elsewhere<'_> {
    /// Whether its host cannot be reached from one that is known by this address: it is known by one of the
    /// other family.
    #[must_use]
    pub fn is_beyond(&self, own: Option<IpAddr>) -> bool {
        own.zip(self.vtep).is_some_and(|(own, vtep)| own.is_ipv4() != vtep.is_ipv4())
    }
}

impl View {
    /// The endpoints of a network on other hosts than this one. Of two with one address it is that of the host
    /// which has claimed the address, and of two such ones, or none, the newer: a container came up on
    /// another host before its end on the first one was heard of.
    #[must_use]
    pub fn elsewhere(&self, id: &Id, machine: &str) -> Vec<Elsewhere<'_>> {
        let Some(of) = self.of(id) else { return Vec::new() };
        let mut owners: BTreeMap<IpAddr, (&str, &Kept<EndpointRecord>)> = BTreeMap::new();
        for (key, endpoint) in &of.endpoints {
            for address in &endpoint.value.addresses {
                let owner = owners.entry(address.ip()).or_insert((key, endpoint));
                let rank = |it: &Kept<EndpointRecord>| {
                    (of.claimant(address.ip()) == Some(it.value.machine.as_str()), it.created)
                };
                if rank(owner.1) < rank(endpoint) {
                    *owner = (key, endpoint);
                }
            }
        }
        let others = of.endpoints.iter().filter(|(_, it)| it.value.machine != machine);
        let each = others.map(|(key, endpoint)| {
            let record = &endpoint.value;
            let is_its = |ip: &IpAddr| owners.get(ip).is_some_and(|(owner, _)| *owner == key);
            Elsewhere {
                id: key,
                record,
                addresses: record.addresses.iter().map(|net| net.ip()).filter(is_its).collect(),
                vtep: self.vtep(&record.machine),
                peer: self.peer(&record.machine),
                live: self.is_live(&record.machine),
            }
        });
        each.collect()
    }
}
