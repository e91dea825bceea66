//! Links, addresses, routes and neighbours.

#![expect(clippy::wildcard_enum_match_arm, reason = "foreign enums that grow with the kernel")]

use std::net::IpAddr;

use drivers::vxlan::ROUTE_PROTOCOL;
use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::reconcile::Notice;

/// `NUD_PERMANENT` (`include/uapi/linux/neighbour.h`).
const PERMANENT: u16 = 0x80;

/// What a message tells, if it can matter.
pub(super) fn notice(message: &RouteNetlinkMessage) -> Option<Notice> {
    match message {
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => of_link(link),
        RouteNetlinkMessage::DelAddress(address) => of_address(address),
        RouteNetlinkMessage::DelRoute(route) => of_route(route),
        // Of our own we know.
        RouteNetlinkMessage::NewRoute(route)
            if u8::from(route.header.protocol) != ROUTE_PROTOCOL =>
        {
            of_route(route)
        }
        RouteNetlinkMessage::NewNeighbour(entry) => of_neighbour(entry, true),
        RouteNetlinkMessage::DelNeighbour(entry) => of_neighbour(entry, false),
        _ => None,
    }
}

fn of_link(link: &LinkMessage) -> Option<Notice> {
    // Of a bridge port this is about the port, not the link.
    if link.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => LinkName::new(name.clone()).ok().map(Notice::Link),
        _ => None,
    })
}

fn of_address(address: &AddressMessage) -> Option<Notice> {
    let (mut local, mut far) = (None, None);
    for attribute in &address.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => far = Some(*ip),
            _ => {}
        }
    }
    local.or(far).map(Notice::Address)
}

fn of_route(route: &RouteMessage) -> Option<Notice> {
    let dst = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(ip)) => Some(IpAddr::from(*ip)),
        RouteAttribute::Destination(RouteAddress::Inet6(ip)) => Some(IpAddr::from(*ip)),
        _ => None,
    })?;
    let net = IpNetwork::new(dst, route.header.destination_prefix_length).ok()?;
    // Addresses of hosts come and go with every container.
    (net.prefix() < if net.is_ipv4() { 32 } else { 128 }).then_some(Notice::Route(net))
}

fn of_neighbour(entry: &NeighbourMessage, there: bool) -> Option<Notice> {
    let (mut ip, mut mac) = (None, None);
    for attribute in &entry.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(to)) => ip = Some((*to).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(to)) => ip = Some((*to).into()),
            // In an entry of family AF_BRIDGE the crate knows no address family.
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => ip = any_ip(bytes),
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
            }
            _ => {}
        }
    }
    let state: NeighbourState = entry.header.state;
    let lasting = there && u16::from(state) & PERMANENT != 0;
    match entry.header.family {
        AddressFamily::Bridge => Some(Notice::Forwarding(mac?, ip.filter(|_| lasting))),
        AddressFamily::Inet | AddressFamily::Inet6 => {
            Some(Notice::Neighbour(ip?, mac.filter(|_| lasting)))
        }
        _ => None,
    }
}

fn any_ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}
