//! Which peers' subnets hold the addresses by which other peers are reached.
//!
//! The route to such a subnet would lead the tunnel to the other host away. Who is refused depends
//! on nothing but the leases there are: as a rule the one whose subnet holds the address; inside
//! the network, where a wrong address may as well be in a right subnet, the later of the two.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::places::Claim;
use crate::backend::UnusablePeer;
use crate::lease::{Peer, SubnetKey};

/// The addresses and subnets of all peers that the backend can use.
#[derive(Debug, Default)]
pub(super) struct Between {
    /// The networks that hosts' subnets are taken from.
    networks: Vec<IpNetwork>,
    addresses: BTreeMap<IpAddr, BTreeSet<Claim>>,
    subnets: BTreeMap<IpNetwork, BTreeSet<Claim>>,
}

impl Between {
    pub(super) fn new(networks: Vec<IpNetwork>) -> Self {
        Self { networks, ..Self::default() }
    }

    pub(super) fn of_networks(&mut self, networks: Vec<IpNetwork>) {
        self.networks = networks;
    }

    pub(super) fn add(&mut self, peer: &Peer) {
        let claim = claim(peer);
        for ip in addresses(peer) {
            self.addresses.entry(ip).or_default().insert(claim);
        }
        for net in peer.subnet.networks() {
            self.subnets.entry(net).or_default().insert(claim);
        }
    }

    pub(super) fn remove(&mut self, peer: &Peer) {
        let claim = claim(peer);
        addresses(peer).for_each(|ip| forget(&mut self.addresses, ip, claim));
        peer.subnet.networks().for_each(|net| forget(&mut self.subnets, net, claim));
    }

    pub(super) fn has_address_in(&self, net: IpNetwork) -> bool {
        self.addresses.range(net.network()..=net.broadcast()).next().is_some()
    }

    /// The others whose subnet holds an address of a peer's, or the other way round.
    pub(super) fn touched(&self, peer: &Peer) -> BTreeSet<SubnetKey> {
        let held = self.held_by(peer).map(|(_, other)| other);
        let all = held.chain(self.holders_of(peer).map(|(_, other)| other));
        all.map(|(_, key)| key).filter(|key| *key != peer.subnet).collect()
    }

    /// Why a peer is refused for another's sake.
    pub(super) fn judge(&self, peer: &Peer) -> Option<UnusablePeer> {
        let own = claim(peer);
        let is_other = |(_, other): &(IpAddr, Claim)| other.1 != own.1;
        let refused = |(ip, other): &(IpAddr, Claim)| !self.is_in_the_network(*ip) || *other < own;
        let holds = self.held_by(peer).filter(is_other).find(refused);
        let is_held = || {
            let mut held = self.holders_of(peer).filter(is_other);
            held.find(|(ip, other)| self.is_in_the_network(*ip) && *other < own)
        };
        holds
            .map(|(ip, (_, of))| UnusablePeer::HoldsHost { ip, of })
            .or_else(|| is_held().map(|(ip, (_, of))| UnusablePeer::InSubnet { ip, of }))
    }

    /// The addresses that are in a peer's subnet, and whose they are.
    fn held_by(&self, peer: &Peer) -> impl Iterator<Item = (IpAddr, Claim)> {
        peer.subnet.networks().flat_map(|net| {
            let inside = self.addresses.range(net.network()..=net.broadcast());
            inside.flat_map(|(ip, claims)| claims.iter().map(|claim| (*ip, *claim)))
        })
    }

    /// The subnets that hold an address of a peer's: whose, and which address.
    fn holders_of(&self, peer: &Peer) -> impl Iterator<Item = (IpAddr, Claim)> {
        addresses(peer).flat_map(|ip| {
            let claims = around(ip).filter_map(|net| self.subnets.get(&net));
            claims.flatten().map(move |claim| (ip, *claim))
        })
    }

    fn is_in_the_network(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(ip))
    }
}

fn claim(peer: &Peer) -> Claim {
    (peer.revision, peer.subnet)
}

fn addresses(peer: &Peer) -> impl Iterator<Item = IpAddr> + use<> {
    let v6 = peer.value.public_ipv6.map(IpAddr::from);
    std::iter::once(peer.value.public_ip.into()).chain(v6)
}

/// All networks that an address is in, the largest first.
fn around(ip: IpAddr) -> impl Iterator<Item = IpNetwork> {
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    (0..=longest).filter_map(move |prefix| {
        let net = IpNetwork::new(ip, prefix).ok()?;
        IpNetwork::new(net.network(), prefix).ok()
    })
}

fn forget<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Claim>>, key: K, claim: Claim) {
    if let Some(claims) = index.get_mut(&key) {
        claims.remove(&claim);
        if claims.is_empty() {
            index.remove(&key);
        }
    }
}
