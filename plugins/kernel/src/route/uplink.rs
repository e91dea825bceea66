//! Addresses and routes with what an agent chooses by.

#![expect(clippy::wildcard_enum_match_arm, reason = "foreign enums that grow with the kernel")]

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::Parseable;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};

use crate::datapath::{Destination, UplinkAddr};
use crate::netlink::wire::Attrs;

/// An address of any kind with the index of its link, from `RTM_NEWADDR`.
pub(crate) fn read_uplink_addr(body: &[u8]) -> Option<(u32, UplinkAddr)> {
    let message = AddressMessage::parse(body).ok()?;
    let (mut local, mut far) = (None, None);
    let mut flags = AddressFlags::empty();
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => far = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    let net = IpNetwork::new(local.or(far)?, message.header.prefix_len).ok()?;
    let scope = message.header.scope;
    let addr = UplinkAddr {
        net,
        global: matches!(scope, AddressScope::Universe | AddressScope::Site),
        host: scope == AddressScope::Host,
        deprecated: flags.contains(AddressFlags::Deprecated),
        permanent: flags.contains(AddressFlags::Permanent),
        temporary: flags.contains(AddressFlags::Secondary),
    };
    Some((message.header.index, addr))
}

/// Link index, next hop and source address of the answer to a question for one destination.
pub(crate) fn read_way(body: &[u8]) -> Option<(u32, Option<IpAddr>, Option<IpAddr>)> {
    let message = RouteMessage::parse(body).ok()?;
    let (mut oif, mut via, mut src) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => oif = Some(*index),
            RouteAttribute::Gateway(ip) => via = address(ip),
            RouteAttribute::PrefSource(ip) => src = address(ip),
            _ => {}
        }
    }
    Some((oif?, via, src))
}

/// The network a route leads to, and by which link; `None` of a default route.
pub(crate) fn read_destination(body: &[u8]) -> Option<Destination> {
    const DST: u16 = 1; // RTA_DST
    const OIF: u16 = 4; // RTA_OIF
    // `struct rtmsg`: the length of the destination is its second byte.
    let length = body.get(1).copied().filter(|length| *length > 0)?;
    let attributes = Attrs(body.get(12..)?);
    let bytes = attributes.get(DST)?;
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let ip = v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))?;
    let link = attributes.get(OIF).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    Some(Destination { net: IpNetwork::new(ip, length).ok()?, link })
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}
