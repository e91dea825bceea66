//! Addresses, routes, neighbours and rules as the kernel tells them. `None` is what the model has
//! no word for (multipath routes, say) and what the kernel made of its own accord.

#![expect(clippy::wildcard_enum_match_arm, reason = "foreign enums that grow with the kernel")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::settle::Detection;
use ipnetwork::IpNetwork;
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netstate::{Addr, Fdb, LinkName, Mac, Neigh, Route, RouteKind, RouteScope, Rule};

/// `NUD_PERMANENT` (`include/uapi/linux/neighbour.h`).
const PERMANENT: u16 = 0x80;
/// Priority of an IPv6 route that was given none (`IP6_RT_PRIO_USER`).
const IP6_DEFAULT_METRIC: u32 = 1024;

/// An address with the index of its link, from `RTM_NEWADDR`; not the link-local address that
/// comes with a link.
pub(crate) fn read_addr(body: &[u8], name: &LinkName) -> Option<(u32, Addr)> {
    let message = AddressMessage::parse(body).ok()?;
    let attributes = &message.attributes;
    let local = attributes
        .iter()
        .find_map(|a| if let AddressAttribute::Local(ip) = a { Some(*ip) } else { None });
    let far = attributes
        .iter()
        .find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None });
    let flags = attributes
        .iter()
        .find_map(|a| if let AddressAttribute::Flags(f) = a { Some(*f) } else { None })
        .unwrap_or(AddressFlags::empty());
    let protocol = attributes
        .iter()
        .find_map(|a| if let AddressAttribute::Protocol(p) = a { Some(*p) } else { None });
    let ip = local.or(far)?;
    let dad = ip.is_ipv6() && !flags.contains(AddressFlags::Nodad);
    if is_link_local(ip) && protocol.map_or(dad, |p| p == AddressProtocol::LinkLocal) {
        return None;
    }
    let net = IpNetwork::new(ip, message.header.prefix_len).ok()?;
    Some((message.header.index, Addr { link: name.clone(), net, dad }))
}

/// An IPv6 address with the index of its link and what is known of duplicates, from
/// `RTM_NEWADDR`.
pub(crate) fn read_detection(body: &[u8]) -> Option<(u32, IpAddr, Detection)> {
    let message = AddressMessage::parse(body).ok()?;
    let (mut ip, mut flags) = (None, AddressFlags::empty());
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Address(there) => ip = Some(there),
            AddressAttribute::Flags(there) => flags = there,
            _ => {}
        }
    }
    let state = if flags.contains(AddressFlags::Dadfailed) {
        Detection::Duplicate
    } else if flags.contains(AddressFlags::Tentative) {
        Detection::Tentative
    } else {
        Detection::Passed
    };
    Some((message.header.index, ip?, state))
}

/// A unicast or blackhole route with the index of its link, from `RTM_NEWROUTE`.
pub(crate) fn read_route(body: &[u8]) -> Option<(Option<u32>, Route)> {
    route_of(&RouteMessage::parse(body).ok()?)
}

/// The same, where each next hop of an IPv6 route that has several is a route: the kernel makes one
/// of those that were added with equal destination and metric (`fib6_add_rt2node()`,
/// net/ipv6/ip6_fib.c), as two networks of one container add their default routes.
pub(crate) fn read_routes(body: &[u8]) -> Vec<(Option<u32>, Route)> {
    let Ok(mut message) = RouteMessage::parse(body) else { return Vec::new() };
    let mut hops = Vec::new();
    if message.header.address_family == AddressFamily::Inet6 {
        message.attributes.retain(|attribute| match attribute {
            RouteAttribute::MultiPath(several) => {
                hops.clone_from(several);
                false
            }
            _ => true,
        });
    }
    let Some((index, route)) = route_of(&message) else { return Vec::new() };
    if hops.is_empty() {
        return vec![(index, route)];
    }
    let one = |hop: &RouteNextHop| Route {
        via: hop.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(ip) => address(ip),
            _ => None,
        }),
        onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        ..route.clone()
    };
    hops.iter().map(|hop| (Some(hop.interface_index), one(hop))).collect()
}

fn route_of(message: &RouteMessage) -> Option<(Option<u32>, Route)> {
    let header = &message.header;
    if header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let kind = match header.kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Prohibit => RouteKind::Prohibit,
        _ => return None,
    };
    let zero = unspecified(header.address_family)?;
    let mut route = Route {
        kind,
        dst: IpNetwork::new(zero, 0).ok()?,
        via: None,
        dev: None,
        src: None,
        table: header.table.into(),
        protocol: header.protocol.into(),
        scope: RouteScope::from_number(header.scope.into()),
        metric: None,
        mtu: None,
        advmss: None,
        onlink: header.flags.contains(RouteFlags::Onlink),
    };
    let mut index = None;
    for attribute in &message.attributes {
        take_route_attribute(&mut route, &mut index, attribute, header.destination_prefix_length)?;
    }
    // An IPv6 route that drops leads to `lo` (`ip6_validate_gw()`, net/ipv6/route.c).
    let index = index.filter(|_| kind == RouteKind::Unicast);
    if zero.is_ipv6() {
        route.scope = RouteScope::Universe;
        route.metric = route.metric.filter(|m| *m != IP6_DEFAULT_METRIC);
    }
    Some((index, route))
}

/// The index of the link that a route (of any type) leads to, from `RTM_NEWROUTE`.
pub(crate) fn read_oif(body: &[u8]) -> Option<u32> {
    let message = RouteMessage::parse(body).ok()?;
    let oif = |a: &RouteAttribute| if let RouteAttribute::Oif(i) = a { Some(*i) } else { None };
    message.attributes.iter().find_map(oif)
}

/// A permanent neighbour with the index of its link, from `RTM_NEWNEIGH`.
pub(crate) fn read_neigh(body: &[u8], name: &LinkName) -> Option<(u32, Neigh)> {
    let (message, mac, dst) = neighbour(body)?;
    let permanent = message.header.state == NeighbourState::Permanent;
    permanent.then_some((message.header.ifindex, Neigh { link: name.clone(), ip: dst?, mac }))
}

/// A permanent forwarding entry of a VXLAN link with its index, from `RTM_NEWNEIGH`.
pub(crate) fn read_fdb(body: &[u8], name: &LinkName) -> Option<(u32, Fdb)> {
    let (message, mac, dst) = neighbour(body)?;
    let permanent = u16::from(message.header.state) & PERMANENT != 0;
    permanent.then_some((message.header.ifindex, Fdb { link: name.clone(), mac, dst: dst? }))
}

/// A rule that looks up a table, from `RTM_NEWRULE`; not one with other conditions than ours.
pub(crate) fn read_rule(body: &[u8]) -> Option<Rule> {
    let message = RuleMessage::parse(body).ok()?;
    if message.header.action != RuleAction::ToTable {
        return None;
    }
    let net = |ip: &IpAddr, prefix| IpNetwork::new(*ip, prefix).ok();
    let mut rule = Rule { priority: 0, from: None, to: None, table: message.header.table.into() };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Source(ip) => rule.from = net(ip, message.header.src_len),
            RuleAttribute::Destination(ip) => rule.to = net(ip, message.header.dst_len),
            RuleAttribute::Iifname(_) | RuleAttribute::Oifname(_) | RuleAttribute::FwMark(_) => {
                return None;
            }
            _ => {}
        }
    }
    Some(rule)
}

/// The number by which the asking namespace knows another, from `RTM_NEWNSID`.
pub(crate) fn read_nsid(body: &[u8]) -> Option<i32> {
    let message = NsidMessage::parse(body).ok()?;
    let id = message
        .attributes
        .iter()
        .find_map(|a| if let NsidAttribute::Id(id) = a { Some(*id) } else { None })?;
    (id >= 0).then_some(id)
}

fn take_route_attribute(
    route: &mut Route,
    index: &mut Option<u32>,
    attribute: &RouteAttribute,
    prefix: u8,
) -> Option<()> {
    match attribute {
        RouteAttribute::Destination(ip) => route.dst = IpNetwork::new(address(ip)?, prefix).ok()?,
        RouteAttribute::Gateway(ip) => route.via = Some(address(ip)?),
        RouteAttribute::Oif(oif) => *index = Some(*oif),
        RouteAttribute::PrefSource(ip) => route.src = Some(address(ip)?),
        RouteAttribute::Table(table) => route.table = *table,
        RouteAttribute::Priority(metric) => route.metric = Some(*metric).filter(|m| *m != 0),
        RouteAttribute::Metrics(metrics) => {
            for metric in metrics {
                match metric {
                    RouteMetric::Mtu(mtu) => route.mtu = Some(*mtu),
                    RouteMetric::Advmss(advmss) => route.advmss = Some(*advmss),
                    _ => {}
                }
            }
        }
        RouteAttribute::MultiPath(_) => return None,
        _ => {}
    }
    Some(())
}

fn neighbour(body: &[u8]) -> Option<(NeighbourMessage, Mac, Option<IpAddr>)> {
    let message = NeighbourMessage::parse(body).ok()?;
    let (mut mac, mut dst) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => dst = Some((*ip).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => {
                dst = Some((*ip).into());
            }
            // In an entry of family AF_BRIDGE the crate knows no address family.
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => dst = ip(bytes),
            _ => {}
        }
    }
    Some((message, mac?, dst))
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

fn unspecified(family: AddressFamily) -> Option<IpAddr> {
    match family {
        AddressFamily::Inet => Some(Ipv4Addr::UNSPECIFIED.into()),
        AddressFamily::Inet6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
