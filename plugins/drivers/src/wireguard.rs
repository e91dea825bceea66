//! The WireGuard overlay of a cluster, as flannel lays it out: on every host one device for each IP
//! family, or one for both, and for each other host one peer, which is let in from its subnets alone.
//!
//! flannel leads the whole network into the device; here a route leads to each peer's subnet, so that
//! what is for nobody is not encrypted first, and an address between hosts may lie in the network.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ipnetwork::IpNetwork;
use netstate::{
    LinkKind, LinkName, NetState, PublicKey, Route, RouteScope, Scope, Secret, WgPeer, WireGuard,
};

use crate::devices::{self, bearing};
use crate::ruleset::Ip;
use crate::vxlan::{ROUTE_PROTOCOL, network};

/// Bytes that encapsulation adds at most: an IPv6 header, UDP, and 32 bytes of WireGuard's
/// (`MESSAGE_MINIMUM_LENGTH`, `drivers/net/wireguard/messages.h`). flannel takes it for IPv4, too.
pub const OVERHEAD: u32 = 40 + 8 + 32;

/// A device of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As [`name`] makes it.
    pub name: LinkName,
    /// Largest inner packet in bytes.
    pub mtu: u32,
    /// This host's private key, of which peers know the public half.
    pub key: Secret,
    /// UDP port that peers send to.
    pub port: u16,
    /// This host's subnets that the device is for: their base addresses go on it.
    pub subnets: Vec<IpNetwork>,
}

/// Another host, as seen by a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its public key.
    pub key: PublicKey,
    /// Where its device listens.
    pub endpoint: SocketAddr,
    /// Its subnets that this device leads to.
    pub subnets: BTreeSet<IpNetwork>,
    /// The secret that all hosts of the cluster have.
    pub preshared: Option<Secret>,
    /// Seconds between packets that keep a translation of addresses alive; 0 for none.
    pub keepalive: u16,
}

/// The name of the device of a family, or of both: flannel's.
#[must_use]
pub fn name(ip: Ip) -> LinkName {
    LinkName::fixed(match ip {
        Ip::V4 => "flannel-wg",
        Ip::V6 => "flannel-wg-v6",
    })
}

/// The device with the addresses of this host's subnets.
#[must_use]
pub fn device(device: &Device) -> NetState {
    let own = WireGuard { key: Some(device.key.clone()), port: Some(device.port) };
    let kind = LinkKind::WireGuard(own);
    bearing(&device.name, device.mtu, kind, device.subnets.iter().map(IpNetwork::network))
}

/// What leads to a peer: the peer itself, and a route to each of its subnets.
#[must_use]
pub fn peer(device: &Device, peer: &Peer) -> NetState {
    let mut state = NetState::default();
    let subnets: BTreeSet<IpNetwork> = peer.subnets.iter().map(|net| network(*net)).collect();
    for subnet in &subnets {
        let scope = if subnet.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
        let route = Route::new(*subnet, device.name.clone());
        state.routes.insert(Route { protocol: ROUTE_PROTOCOL, scope, ..route });
    }
    state.put_wg_peer(WgPeer {
        link: device.name.clone(),
        key: peer.key,
        endpoint: Some(peer.endpoint),
        allowed: subnets,
        preshared: peer.preshared.clone(),
        keepalive: peer.keepalive,
        alive: false,
    });
    state
}

/// All that a host with these devices owns: the devices with their peers and everything on them, and
/// the routes of [`ROUTE_PROTOCOL`].
#[must_use]
pub fn scope<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Scope {
    let names = devices.into_iter().map(|device| &device.name);
    Scope { neighbours: true, ..devices::scope(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Device {
        Device {
            name: name(Ip::V4),
            mtu: 1420,
            key: Secret([1; 32]),
            port: 51820,
            subnets: ["10.5.1.77/24", "fd05:0:0:1::/64"].map(|net| net.parse().unwrap()).into(),
        }
    }

    #[test]
    fn a_device_of_both_families_bears_both_base_addresses() {
        let state = device(&here());
        let addrs: Vec<String> = state.addrs.iter().map(|addr| addr.net.to_string()).collect();
        assert_eq!(addrs, ["10.5.1.0/32", "fd05:0:0:1::/128"]);
        let own = WireGuard { key: Some(Secret([1; 32])), port: Some(51820) };
        assert_eq!(state.links[&name(Ip::V4)].kind, LinkKind::WireGuard(own));
    }

    #[test]
    fn a_peer_may_send_from_its_subnets_and_routes_lead_to_them() {
        let subnets = ["10.5.9.1/24", "fd05:0:0:9::/64"].map(|net| net.parse().unwrap());
        let peer = peer(
            &here(),
            &Peer {
                key: PublicKey([9; 32]),
                endpoint: "192.0.2.9:51820".parse().unwrap(),
                subnets: subnets.into(),
                preshared: None,
                keepalive: 0,
            },
        );
        let there = peer.wg_peers.values().next().unwrap();
        let allowed: Vec<String> = there.allowed.iter().map(ToString::to_string).collect();
        assert_eq!(allowed, ["10.5.9.0/24", "fd05:0:0:9::/64"]);
        let routes: BTreeSet<_> = peer.routes.iter().map(|route| route.dst).collect();
        assert_eq!(routes, there.allowed);
        assert!(peer.routes.iter().all(|r| r.via.is_none() && r.dev == Some(name(Ip::V4))));
    }
}
