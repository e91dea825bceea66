//! What other parts of the agent are told of a network of the cluster: where addresses are taken from here,
//! and the endpoints of other hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use drivers::encryption;
use ipnetwork::IpNetwork;

use super::Registry;
use crate::dns;
use crate::global::{Cluster, Elsewhere};
use crate::network::Id;
use crate::registry::overlay::Remote;

/// What is in force here, by network.
pub(in crate::registry) type InForce = BTreeMap<Id, OfNetwork>;

/// What is in force here of a network.
#[derive(Debug, Default)]
pub(in crate::registry) struct OfNetwork {
    names: BTreeMap<dns::EndpointKey, dns::Endpoint>,
    blocks: Option<Vec<IpNetwork>>,
    remotes: Option<Vec<Remote>>,
}

impl Registry {
    /// Tells what has changed of a network that is there.
    pub(super) fn tell_of(&self, cluster: &Cluster, id: &Id, in_force: &mut InForce) {
        let of = in_force.entry(id.clone()).or_default();
        self.put_own(id, own(cluster, id, &self.used(id)), of);
        let (remotes, names) = cluster.look(|view| {
            let all = view.elsewhere(id, cluster.machine());
            let named = all.iter().filter(|it| it.live && !it.addresses.is_empty());
            let named = named.map(|it| name(id, it)).map(|it| (it.key.clone(), it));
            let network = view.of(id).and_then(|of| of.network.as_ref());
            let encrypted = network.is_some_and(|network| network.value.is_encrypted());
            let remotes = all.iter().flat_map(|it| remotes(it, encrypted));
            (remotes.collect::<Vec<_>>(), named.collect())
        });
        if of.remotes.as_ref() != Some(&remotes) {
            self.put_remotes(id, remotes.clone());
            of.remotes = Some(remotes);
        }
        self.put_names(&mut of.names, names);
    }

    /// From now on addresses are taken there.
    pub(super) fn put_own(&self, id: &Id, blocks: Vec<IpNetwork>, in_force: &mut OfNetwork) {
        if in_force.blocks.as_ref() != Some(&blocks) {
            self.put_blocks(id, blocks.clone());
            in_force.blocks = Some(blocks);
        }
    }

    /// Forgets a network that is gone.
    pub(super) fn forget_in_force(&self, id: &Id, in_force: &mut InForce) {
        if let Some(mut of) = in_force.remove(id) {
            self.put_names(&mut of.names, BTreeMap::new());
        }
    }

    /// Those that are down have no names.
    fn put_names(
        &self,
        before: &mut BTreeMap<dns::EndpointKey, dns::Endpoint>,
        now: BTreeMap<dns::EndpointKey, dns::Endpoint>,
    ) {
        for key in before.keys().filter(|key| !now.contains_key(*key)) {
            self.0.dns.remove_endpoint(key);
        }
        for (_, endpoint) in now.iter().filter(|(key, it)| before.get(*key) != Some(it)) {
            self.0.dns.put_endpoint(endpoint.clone());
        }
        *before = now;
    }
}

/// Where this host may take addresses.
pub(super) fn own(cluster: &Cluster, id: &Id, used: &BTreeSet<IpAddr>) -> Vec<IpNetwork> {
    // There are none of a network that is gone.
    cluster.share(id, used, |share| share.own()).unwrap_or_default()
}

/// What leads to an endpoint, also to one that is down: its container may run. Nothing does to one of an encrypted
/// overlay whose host does not encrypt.
fn remotes(elsewhere: &Elsewhere<'_>, encrypted: bool) -> Vec<Remote> {
    let peer = elsewhere.peer.filter(|_| encrypted);
    let vtep = match encrypted {
        true => peer.map(|peer| encryption::address(&peer.key).into()),
        false => elsewhere.vtep,
    };
    let Some(vtep) = vtep else { return Vec::new() };
    let mac = elsewhere.record.mac;
    let addresses = elsewhere.addresses.iter();
    addresses.map(|address| Remote { address: *address, mac, vtep, peer }).collect()
}

/// A container of another host is nobody who asks here: one of this host may have its id.
fn name(id: &Id, elsewhere: &Elsewhere<'_>) -> dns::Endpoint {
    let record = elsewhere.record;
    dns::Endpoint {
        key: dns::EndpointKey {
            network: id.to_string(),
            container: format!("{}/{}", record.machine, record.container),
            interface: record.interface.clone(),
        },
        names: record.names.iter().cloned().chain(dns::names_of(&record.container)).collect(),
        addresses: elsewhere.addresses.clone(),
    }
}
