//! Addresses, neighbours and forwarding entries.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netstate::{Addr, Fdb, Neigh};

/// `NUD_NOARP | NUD_PERMANENT` (`include/uapi/linux/neighbour.h`), as `bridge fdb` sends it.
const FDB_PERMANENT: u16 = 0x40 | 0x80;

/// An address, for `RTM_NEWADDR` and `RTM_DELADDR`.
pub(crate) fn addr(index: u32, addr: &Addr) -> AddressMessage {
    let mut message = addrs_of(index, family(addr.net.ip()));
    message.header.prefix_len = addr.net.prefix();
    let ip = addr.net.ip();
    if ip.is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    message.attributes.push(AddressAttribute::Local(ip));
    message.attributes.push(AddressAttribute::Address(ip));
    match addr.net {
        IpNetwork::V4(net) => {
            message.attributes.extend(broadcast(net).map(AddressAttribute::Broadcast));
        }
        IpNetwork::V6(_) if !addr.dad => {
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        IpNetwork::V6(_) => {}
    }
    message
}

/// The addresses of a link, for a dump that the kernel filters.
pub(crate) fn addrs_of(index: u32, family: AddressFamily) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family;
    message.header.index = index;
    message
}

/// A permanent neighbour, for `RTM_NEWNEIGH` and `RTM_DELNEIGH`.
pub(crate) fn neigh(index: u32, neigh: &Neigh) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(neigh.ip);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::Destination(address(neigh.ip)));
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(neigh.mac.0.to_vec()));
    message
}

/// A forwarding entry of a VXLAN link itself.
pub(crate) fn fdb(index: u32, fdb: &Fdb) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Own;
    message.header.state = NeighbourState::Other(FDB_PERMANENT);
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(fdb.mac.0.to_vec()));
    message.attributes.push(NeighbourAttribute::Destination(address(fdb.dst)));
    message
}

/// The neighbours (of a family) or, with [`AddressFamily::Bridge`], the forwarding entries of a
/// link, for a dump that the kernel filters.
pub(crate) fn neighs_of(index: u32, family: AddressFamily) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::IfIndex(index));
    message
}

/// The family of an address.
pub(super) fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address(ip: IpAddr) -> NeighbourAddress {
    match ip {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    }
}

/// As `ip addr add ... brd +` computes it; prefixes of 31 and 32 bits have none (RFC 3021).
fn broadcast(net: Ipv4Network) -> Option<Ipv4Addr> {
    (net.prefix() < 31 && !net.ip().is_loopback()).then(|| net.broadcast())
}
