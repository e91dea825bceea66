//! Routes and policy rules.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric,
    RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netstate::{Route, RouteKind, Rule};

use super::addr::family;

/// A route, for `RTM_NEWROUTE` and `RTM_DELROUTE`.
pub(crate) fn route(dev: Option<u32>, route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.dst.ip());
    message.header.destination_prefix_length = route.dst.prefix();
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.kind = match route.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    };
    if route.dst.is_ipv4() {
        message.header.scope = RouteScope::from(route.scope.number());
    }
    if route.onlink {
        message.header.flags = RouteFlags::Onlink;
    }
    set_table(&mut message, route.table);
    let attributes = &mut message.attributes;
    if route.dst.prefix() > 0 {
        attributes.push(RouteAttribute::Destination(route.dst.ip().into()));
    }
    attributes.extend(route.via.map(|ip| RouteAttribute::Gateway(ip.into())));
    attributes.extend(dev.map(RouteAttribute::Oif));
    attributes.extend(route.src.map(|ip| RouteAttribute::PrefSource(ip.into())));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    let mut metrics = Vec::new();
    metrics.extend(route.mtu.map(RouteMetric::Mtu));
    metrics.extend(route.advmss.map(RouteMetric::Advmss));
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    message
}

/// All unicast routes through a link, in whichever table, for a dump that the kernel filters.
pub(crate) fn routes_of(family: AddressFamily, dev: u32) -> RouteMessage {
    let mut message = routes(family, RouteType::Unicast);
    message.attributes.push(RouteAttribute::Oif(dev));
    message
}

/// All routes, of any type, made by a protocol number, for a dump that the kernel filters.
pub(crate) fn routes_by(family: AddressFamily, protocol: u8) -> RouteMessage {
    let mut message = routes(family, RouteType::Unspec);
    message.header.protocol = RouteProtocol::from(protocol);
    message
}

/// All routes, of any type, of a table, for a dump that the kernel filters.
pub(crate) fn routes_in(family: AddressFamily, table: u32) -> RouteMessage {
    let mut message = routes(family, RouteType::Unspec);
    set_table(&mut message, table);
    message
}

/// Asks which way a packet to an address would go.
pub(crate) fn local_query(to: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(to);
    message.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(to)));
    message
}

/// Asks for the entry of the routing table that decides about an address, not for the way itself.
pub(crate) fn match_query(to: IpAddr) -> RouteMessage {
    let mut message = local_query(to);
    message.header.flags = RouteFlags::FibMatch;
    message
}

/// A rule, for `RTM_NEWRULE` and `RTM_DELRULE`.
pub(crate) fn rule(rule: &Rule) -> RuleMessage {
    let is_v6 = rule.from.or(rule.to).is_some_and(|net| net.is_ipv6());
    let mut message = RuleMessage::default();
    message.header.family = if is_v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.action = RuleAction::ToTable;
    message.header.table = u8::try_from(rule.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    message.header.src_len = rule.from.map_or(0, |net| net.prefix());
    message.header.dst_len = rule.to.map_or(0, |net| net.prefix());
    let whole = |net: IpNetwork| (net.prefix() > 0).then(|| net.ip());
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    attributes.push(RuleAttribute::Table(rule.table));
    attributes.extend(rule.from.and_then(whole).map(RuleAttribute::Source));
    attributes.extend(rule.to.and_then(whole).map(RuleAttribute::Destination));
    message
}

/// All rules of a family, for a dump; the kernel has no filter for them.
pub(crate) fn rules_of(family: AddressFamily) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family;
    message
}

fn routes(family: AddressFamily, kind: RouteType) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.kind = kind;
    message
}

/// Numbers above 255 only fit the attribute.
fn set_table(message: &mut RouteMessage, table: u32) {
    message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    if message.header.table == RouteHeader::RT_TABLE_UNSPEC {
        message.attributes.push(RouteAttribute::Table(table));
    }
}
