//! Leases that harm whoever follows them, whatever the backend. flannel makes routes of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use super::{Overlay, UnusablePeer};
use crate::lease::Peer;

impl Overlay {
    /// With addresses that no route to a peer may lead away: the store's, and the gateways to it.
    #[must_use]
    pub fn guarding(self, guarded: BTreeSet<IpAddr>) -> Self {
        Self { guarded, ..self }
    }

    /// Those addresses.
    #[must_use]
    pub fn guarded(&self) -> &BTreeSet<IpAddr> {
        &self.guarded
    }

    /// Whether what a peer publishes can be true, and its route would lead nothing away.
    pub(super) fn fits(&self, peer: &Peer) -> Result<(), UnusablePeer> {
        for (key, ip) in addresses(peer) {
            if !may_be_a_host(ip) {
                return Err(UnusablePeer::NoHost { key, ip });
            }
        }
        if let Some(net) = self.led_away(peer) {
            return Err(UnusablePeer::InTheWay(net));
        }
        let taken = |special: &IpNetwork| peer.subnet.networks().any(|net| overlap(*special, net));
        special().find(taken).map_or(Ok(()), |net| Err(UnusablePeer::Special(net)))
    }

    /// What a route to a peer's subnet would lead away: a part of this host's own subnets (a longer
    /// prefix wins over the bridge's route), an address between the two hosts (the tunnel would lead
    /// into itself), or the store's or a gateway's: that the lease is gone would not be heard of.
    fn led_away(&self, peer: &Peer) -> Option<IpNetwork> {
        let own = self.subnets().find(|own| peer.subnet.networks().any(|net| overlap(*own, net)));
        let here = &self.underlay;
        let ours = std::iter::once(here.v4.into()).chain(here.v6.map(IpAddr::from));
        let theirs = addresses(peer).map(|(_, ip)| ip);
        let mut between = ours.chain(theirs).chain(self.guarded.iter().copied());
        own.or_else(|| {
            let inside = |ip: &IpAddr| peer.subnet.networks().any(|net| net.contains(*ip));
            between.find(inside).map(IpNetwork::from)
        })
    }
}

/// By which a peer is reached, and the key of its lease that says so.
fn addresses(peer: &Peer) -> impl Iterator<Item = (&'static str, IpAddr)> {
    let v4 = ("PublicIP", peer.value.public_ip.into());
    let v6 = peer.value.public_ipv6.map(|ip| ("PublicIPv6", ip.into()));
    std::iter::once(v4).chain(v6)
}

fn may_be_a_host(ip: IpAddr) -> bool {
    !ip.is_unspecified()
        && !ip.is_loopback()
        && !ip.is_multicast()
        && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Networks that are this host's own, a link's, or nobody's (RFC 6890): this host, loopback,
/// link-local, multicast, broadcast.
fn special() -> impl Iterator<Item = IpNetwork> {
    let v4 = [
        (Ipv4Addr::UNSPECIFIED, 8),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        (Ipv4Addr::BROADCAST, 32),
    ];
    let v6 = [
        (Ipv6Addr::UNSPECIFIED, 127),
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
        (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    ];
    let v4 = v4.into_iter().filter_map(|(ip, len)| Ipv4Network::new(ip, len).ok());
    let v6 = v6.into_iter().filter_map(|(ip, len)| Ipv6Network::new(ip, len).ok());
    v4.map(IpNetwork::from).chain(v6.map(IpNetwork::from))
}

/// Whether two networks have an address in common.
pub(crate) fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}

#[cfg(test)]
mod tests;
