//! The IPIP overlay of a cluster, as flannel lays it out: on every host one tunnel end without a far
//! end, and for each other host a route whose next hop is that host's address, which the tunnel takes
//! for the outer destination. IPv4 only.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use netstate::{Ipip, LinkKind, LinkName, NetState, Route, Scope};

use crate::devices::{self, bearing};
use crate::host_gw;
use crate::vxlan::{ROUTE_PROTOCOL, network};

/// Bytes that the outer IPv4 header adds (RFC 2003, section 3.1).
pub const OVERHEAD: u32 = 20;

/// The tunnel end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As [`name`] says.
    pub name: LinkName,
    /// Largest inner packet in bytes.
    pub mtu: u32,
    /// The link by which the host reaches the other hosts: peers that are reached directly.
    pub parent: LinkName,
    /// The source of outer packets: an address of this host.
    pub local: Ipv4Addr,
    /// This host's subnet. Its base address goes on the device.
    pub subnet: Ipv4Network,
}

/// Another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its subnet.
    pub subnet: Ipv4Network,
    /// Its address on the network under the overlay.
    pub public_ip: Ipv4Addr,
    /// It is on the same link as this host and gets a plain route, not encapsulated.
    pub direct: bool,
}

/// The device's name, which is flannel's.
#[must_use]
pub fn name() -> LinkName {
    LinkName::fixed("flannel.ipip")
}

/// The device with the address of this host's subnet.
#[must_use]
pub fn device(device: &Device) -> NetState {
    let kind = LinkKind::Ipip(Ipip { local: Some(device.local), remote: None });
    bearing(&device.name, device.mtu, kind, [device.subnet.network().into()])
}

/// The route to a peer.
#[must_use]
pub fn peer(device: &Device, peer: &Peer) -> NetState {
    let (subnet, public_ip) = (peer.subnet.into(), peer.public_ip.into());
    if peer.direct {
        let parent = device.parent.clone();
        return host_gw::peer(&host_gw::Peer { subnet, public_ip, parent });
    }
    let mut state = NetState::default();
    state.routes.insert(Route {
        via: Some(public_ip),
        onlink: true,
        protocol: ROUTE_PROTOCOL,
        ..Route::new(network(subnet), device.name.clone())
    });
    state
}

/// All that a host with this device owns: the device with everything on it, and the routes of
/// [`ROUTE_PROTOCOL`].
#[must_use]
pub fn scope(device: &Device) -> Scope {
    devices::scope([&device.name])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Device {
        Device {
            name: name(),
            mtu: 1480,
            parent: LinkName::fixed("eth0"),
            local: [192, 0, 2, 1].into(),
            subnet: "10.5.1.77/24".parse().unwrap(),
        }
    }

    fn far(direct: bool) -> Peer {
        let subnet = "10.5.9.1/24".parse().unwrap();
        Peer { subnet, public_ip: [192, 0, 2, 9].into(), direct }
    }

    #[test]
    fn the_device_bears_the_base_address_of_the_subnet() {
        let state = device(&here());
        let link = state.links.get(&name()).unwrap();
        let kind = LinkKind::Ipip(Ipip { local: Some([192, 0, 2, 1].into()), remote: None });
        assert_eq!((&link.kind, link.mtu, link.up), (&kind, Some(1480), true));
        assert_eq!(state.addrs.first().unwrap().net.to_string(), "10.5.1.0/32");
    }

    #[test]
    fn a_peer_is_a_route_by_its_address_that_the_tunnel_takes_for_on_link() {
        let route = peer(&here(), &far(false)).routes.pop_first().unwrap();
        assert_eq!(route.dst.to_string(), "10.5.9.0/24");
        assert_eq!((route.via, route.onlink), (Some([192, 0, 2, 9].into()), true));
        assert_eq!(route.dev, Some(name()));
    }

    #[test]
    fn a_direct_peer_is_a_plain_route() {
        let route = peer(&here(), &far(true)).routes.pop_first().unwrap();
        assert_eq!((route.via, route.onlink), (Some([192, 0, 2, 9].into()), false));
        assert_eq!(route.dev.unwrap().as_str(), "eth0");
    }
}
