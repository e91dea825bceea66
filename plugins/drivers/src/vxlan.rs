//! The VXLAN overlay of a cluster, as flannel lays it out: on every host one VXLAN device for each
//! IP family, and for each other host (a peer) three entries that lead to it.
//!
//! There is no learning and no flooding: which host a packet goes to is decided by a route, the
//! next hop's link-layer address by a permanent neighbour, and the host's address by a forwarding
//! entry. A peer is reached by the base address of its subnet (10.5.9.0), which its own device
//! bears. Routes carry [`ROUTE_PROTOCOL`], so that those of peers that are gone can be told from
//! everybody else's.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{
    Addr, Fdb, Link, LinkKind, LinkName, LinkRef, Mac, NameError, Neigh, NetState, Ns, Route,
    Scope, SysctlKey, Vxlan,
};

use crate::ruleset::Ip;
use crate::{devices, host_gw};

/// `RTPROT_*` of every route to a peer. iproute2's list of protocols
/// (`/usr/share/iproute2/rt_protos`) leaves the number free; flannel's routes say 3 ("boot"), as
/// an administrator's do.
pub const ROUTE_PROTOCOL: u8 = 78;

/// The VXLAN device of one IP family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As [`name`] makes it.
    pub name: LinkName,
    /// VXLAN network identifier, 1 to 16,777,215.
    pub vni: u32,
    /// UDP port; the kernel's own default (8472) where `None`.
    pub port: Option<u16>,
    /// Largest inner packet in bytes: see [`mtu`].
    pub mtu: u32,
    /// Whether the kernel learns where inner addresses are from what comes in.
    pub learning: bool,
    /// Whether the group policy extension is spoken; for good, from birth on.
    pub gbp: bool,
    /// Whether checksums of inner packets are left to the parent's hardware; as it is found where
    /// `None`.
    pub tx_checksum: Option<bool>,
    /// The link by which the host reaches the other hosts.
    pub parent: LinkName,
    /// The parent's address: the source of outer packets. It must be an address of this host, or
    /// all packets are dropped; of the device's family.
    pub local: IpAddr,
    /// Link-layer address: as published to the peers. `None` leaves it to the kernel, and as it is.
    pub mac: Option<Mac>,
    /// This host's subnet. Its base address goes on the device.
    pub subnet: IpNetwork,
    /// Whether this host has IPv6 at all: without, there is no `accept_ra` to turn off.
    pub has_ipv6: bool,
}

impl Device {
    /// Whether the kernel has an `accept_ra` of it.
    fn has_router_advertisements(&self) -> bool {
        self.has_ipv6 && crate::carries_ipv6(Some(self.mtu))
    }
}

/// Another host, as seen by the device of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its subnet.
    pub subnet: IpNetwork,
    /// Its address on the network under the overlay.
    pub public_ip: IpAddr,
    /// Link-layer address of its device.
    pub mac: Mac,
    /// It is on the same link as this host and gets a plain route, not encapsulated.
    pub direct: bool,
}

/// The name of the device of a family: `flannel.<VNI>` or `flannel-v6.<VNI>`.
///
/// # Errors
/// Where it is too long: a VNI above 9,999,999, or above 9,999 for IPv6.
pub fn name(vni: u32, ip: Ip) -> Result<LinkName, NameError> {
    LinkName::new(match ip {
        Ip::V4 => format!("flannel.{vni}"),
        Ip::V6 => format!("flannel-v6.{vni}"),
    })
}

/// Bytes that encapsulation adds to an inner packet: the outer IP header, UDP, VXLAN and the inner
/// Ethernet header (RFC 7348, section 5).
#[must_use]
pub fn overhead(underlay: Ip) -> u32 {
    const UDP_VXLAN_ETHERNET: u32 = 8 + 8 + 14;
    match underlay {
        Ip::V4 => 20 + UDP_VXLAN_ETHERNET,
        Ip::V6 => 40 + UDP_VXLAN_ETHERNET,
    }
}

/// Largest packet in bytes that fits through a device of a family, for a parent's MTU.
#[must_use]
pub fn mtu(parent: u32, underlay: Ip) -> u32 {
    parent.saturating_sub(overhead(underlay))
}

/// What containers are told: the smallest of the devices' MTUs, as a container has one MTU for both
/// families. `None` without devices.
#[must_use]
pub fn common_mtu<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Option<u32> {
    devices.into_iter().map(|device| device.mtu).min()
}

/// The device with the address of this host's subnet.
#[must_use]
pub fn device(device: &Device) -> NetState {
    let mut state = NetState::default();
    let name = &device.name;
    let kind = LinkKind::Vxlan(Vxlan {
        id: device.vni,
        port: device.port,
        parent: Some(LinkRef { ns: Ns::Host, name: device.parent.clone() }),
        local: Some(device.local),
        learning: device.learning,
        gbp: device.gbp,
        proxy: false,
        tx_checksum: device.tx_checksum,
    });
    state.add_link(Link {
        mtu: Some(device.mtu),
        mac: device.mac,
        ..Link::new(name.clone(), kind)
    });
    state.addrs.insert(Addr::new(name.clone(), host(device.subnet)));
    if device.has_router_advertisements() {
        // A peer must not configure this host by router advertisements.
        state.sysctls.insert(SysctlKey::conf("ipv6", name, "accept_ra"), "0".to_owned());
    }
    state
}

/// What leads to a peer: neighbour, forwarding entry and route, or the route alone where it is
/// reached directly.
#[must_use]
pub fn peer(device: &Device, peer: &Peer) -> NetState {
    if peer.direct {
        return host_gw::peer(&host_gw::Peer {
            subnet: peer.subnet,
            public_ip: peer.public_ip,
            parent: device.parent.clone(),
        });
    }
    let mut state = NetState::default();
    let (link, base) = (&device.name, peer.subnet.network());
    state.neighs.insert(Neigh { link: link.clone(), ip: base, mac: peer.mac });
    state.fdb.insert(Fdb { link: link.clone(), mac: peer.mac, dst: peer.public_ip });
    state.routes.insert(Route {
        via: Some(base),
        onlink: true,
        protocol: ROUTE_PROTOCOL,
        ..Route::new(network(peer.subnet), link.clone())
    });
    state
}

/// All that a host with these devices owns: the devices with everything on them, and the routes of
/// [`ROUTE_PROTOCOL`].
#[must_use]
pub fn scope<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Scope {
    let all: Vec<&Device> = devices.into_iter().collect();
    let mut scope = devices::scope(all.iter().map(|device| &device.name));
    scope.neighbours = true;
    for device in all.iter().filter(|device| device.has_router_advertisements()) {
        scope.sysctls.insert((Ns::Host, SysctlKey::conf("ipv6", &device.name, "accept_ra")));
    }
    scope
}

/// The network itself, with its host bits zero.
pub(crate) fn network(net: IpNetwork) -> IpNetwork {
    IpNetwork::new(net.network(), net.prefix()).unwrap_or(net)
}

/// The base address as an address of its own.
fn host(net: IpNetwork) -> IpNetwork {
    net.network().into()
}

#[cfg(test)]
mod tests;
