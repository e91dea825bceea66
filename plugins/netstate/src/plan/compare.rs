//! When two objects are the same, and how a link is changed into another.

use std::net::IpAddr;

use crate::addr::Addr;
use crate::link::{BridgePort, Link, LinkChange, LinkKind};
use crate::name::LinkName;
use crate::nft::Element;
use crate::route::{IPV6_METRIC, Route, RouteScope};
use crate::tunnel::Vxlan;
use crate::vlan;

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rigour {
    /// What is wanted must be there; what else is there does not matter.
    Contained,
    /// Nothing else must be there.
    Exact,
}

/// Whether a link of kind `have` can be made into `want` without making it anew.
pub(crate) fn same_kind(have: &LinkKind, want: &LinkKind) -> bool {
    match (have, want) {
        (LinkKind::Bridge { .. }, LinkKind::Bridge { .. }) => true,
        (
            LinkKind::MacVlan { parent, mode, bc_queue_len },
            LinkKind::MacVlan { parent: want_parent, mode: want_mode, bc_queue_len: want_len },
        ) => {
            parent == want_parent
                && mode == want_mode
                && (want_len.is_none() || bc_queue_len == want_len)
        }
        (LinkKind::Vxlan(have), LinkKind::Vxlan(want)) => same_tunnel(have, want),
        (LinkKind::Ipip(have), LinkKind::Ipip(want)) => have.remote == want.remote,
        (LinkKind::WireGuard(_), LinkKind::WireGuard(_)) => true,
        _ => have == want,
    }
}

/// Whether what cannot be changed is the same: of the source address its family, of the parent its
/// namespace, and that there is one.
fn same_tunnel(have: &Vxlan, want: &Vxlan) -> bool {
    let same_family = |ip: IpAddr| have.local.is_some_and(|h| h.is_ipv4() == ip.is_ipv4());
    let can_move = match (&have.parent, &want.parent) {
        (Some(have), Some(want)) => have.ns == want.ns,
        (Some(_), None) => false,
        (None, _) => true,
    };
    have.id == want.id
        && have.gbp == want.gbp
        && have.proxy == want.proxy
        && (want.port.is_none() || have.port == want.port)
        && want.local.is_none_or(same_family)
        && can_move
}

/// The changes that make `have` into `want`; none if it is that already.
pub(crate) fn link_changes(have: &Link, want: &Link, rigour: Rigour) -> Vec<LinkChange> {
    // What was not made by us is never stripped of what others gave it.
    let strip = rigour == Rigour::Exact && want.kind.is_made();
    changes(have, want, rigour, strip)
}

impl Link {
    /// The changes that make this link, as it is, into `want` where both are of one kind:
    /// everything `want` says, and no master, promiscuity or being up where it does not say so.
    #[must_use]
    pub fn changes_to(&self, want: &Self) -> Vec<LinkChange> {
        changes(self, want, Rigour::Exact, true)
    }
}

/// Whether a route is the one wanted.
pub(crate) fn same_route(have: &Route, want: &Route, rigour: Rigour) -> bool {
    let optional = |have: Option<u32>, want: Option<u32>| {
        have == want || (want.is_none() && rigour == Rigour::Contained)
    };
    same_route_key(have, want)
        && have.kind == want.kind
        && have.via == want.via
        && (want.dev.is_none() || have.dev == want.dev)
        && have.protocol == want.protocol
        && scope(have) == scope(want)
        && (have.src == want.src || (want.src.is_none() && rigour == Rigour::Contained))
        && optional(have.mtu, want.mtu)
        && optional(have.advmss, want.advmss)
}

/// Whether only one of two routes can be there (`fib_table_insert()`, `net/ipv4/fib_trie.c`;
/// `fib6_add_rt2node()`, `net/ipv6/ip6_fib.c`).
pub(crate) fn same_route_key(a: &Route, b: &Route) -> bool {
    a.dst == b.dst && a.table == b.table && metric(a) == metric(b)
}

/// Whether the kernel, and not a person or program, made the route: `RTPROT_KERNEL`, `RTPROT_RA`.
pub(super) fn is_kernel_route(route: &Route) -> bool {
    matches!(route.protocol, 2 | 9)
}

/// Whether the kernel gives the address by itself: link-local ones, and those of `lo`.
pub(super) fn is_kernel_addr(addr: &Addr) -> bool {
    let ip = addr.net.ip();
    let link_local = matches!(ip, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local || (addr.link == LinkName::lo() && ip.is_loopback())
}

/// Whether only one of two addresses can be on their link (`ipv6_add_addr()`,
/// `net/ipv6/addrconf.c`).
pub(crate) fn same_addr_key(a: &Addr, b: &Addr) -> bool {
    a.link == b.link
        && (a.net == b.net || (a.net.is_ipv6() && b.net.is_ipv6() && a.net.ip() == b.net.ip()))
}

/// Whether both elements are at the same place of their set, and of the same owner: a removal must
/// not hit what another claimed.
pub(super) fn same_claim(a: &Element, b: &Element) -> bool {
    a.key == b.key && a.comment == b.comment
}

/// In this order: a tunnel end's MTU is bounded by its parent's; a bridge takes its MTU and address from the ports that join it, so a port has its
/// own before; and it is up when all else is right.
fn changes(have: &Link, want: &Link, rigour: Rigour, strip: bool) -> Vec<LinkChange> {
    let mut changes = tunnel_changes(&have.kind, &want.kind);
    changes.extend(differing(have.mtu, want.mtu).map(LinkChange::Mtu));
    changes.extend(differing(have.mac, want.mac).map(LinkChange::Mac));
    if have.promisc != want.promisc && (want.promisc || strip) {
        changes.push(LinkChange::Promisc(want.promisc));
    }
    let alias = differing(have.alias.as_deref(), want.alias.as_deref());
    changes.extend(alias.map(|alias| LinkChange::Alias(alias.to_owned())));
    let mut port = have.port.clone().unwrap_or_default();
    if have.master != want.master && (want.master.is_some() || strip) {
        changes.push(LinkChange::Master(want.master.clone()));
        port = BridgePort::as_born();
    }
    if let Some(want) = &want.port {
        push_port_changes(&mut changes, &port, want, rigour);
    }
    if let (
        LinkKind::Bridge { vlan_filtering },
        LinkKind::Bridge { vlan_filtering: Some(want_filtering) },
    ) = (&have.kind, &want.kind)
        && *vlan_filtering != Some(*want_filtering)
    {
        changes.push(LinkChange::VlanFiltering(*want_filtering));
    }
    if have.up != want.up && (want.up || strip) {
        changes.push(LinkChange::Up(want.up));
    }
    changes
}

fn tunnel_changes(have: &LinkKind, want: &LinkKind) -> Vec<LinkChange> {
    let (have, want) = match (have, want) {
        (LinkKind::Vxlan(have), LinkKind::Vxlan(want)) => (have, want),
        (LinkKind::Ipip(have), LinkKind::Ipip(want)) => {
            return differing(have.local, want.local).map(LinkChange::Source).into_iter().collect();
        }
        (LinkKind::WireGuard(have), LinkKind::WireGuard(want)) => {
            let port = differing(have.port, want.port).map(LinkChange::ListenPort);
            let key = differing(have.key.clone(), want.key.clone()).map(LinkChange::PrivateKey);
            return port.into_iter().chain(key).collect();
        }
        _ => return Vec::new(),
    };
    let mut changes = Vec::new();
    changes.extend(differing(have.parent.clone(), want.parent.clone()).map(LinkChange::Parent));
    changes.extend(differing(have.local, want.local).map(LinkChange::Local));
    if have.learning != want.learning {
        changes.push(LinkChange::Learning(want.learning));
    }
    changes.extend(differing(have.tx_checksum, want.tx_checksum).map(LinkChange::TxChecksum));
    changes
}

fn push_port_changes(
    changes: &mut Vec<LinkChange>,
    have: &BridgePort,
    want: &BridgePort,
    rigour: Rigour,
) {
    changes.extend(differing(have.hairpin, want.hairpin).map(LinkChange::Hairpin));
    changes.extend(differing(have.isolated, want.isolated).map(LinkChange::Isolated));
    if let Some(want) = &want.vlans {
        let have = have.vlans.as_deref().unwrap_or_default();
        if rigour == Rigour::Exact {
            changes.extend(vlan::extra(have, want).into_iter().map(LinkChange::DelVlan));
        }
        changes.extend(vlan::missing(have, want).into_iter().map(LinkChange::AddVlan));
    }
}

fn differing<T: PartialEq>(have: Option<T>, want: Option<T>) -> Option<T> {
    if have == want { None } else { want }
}

/// IPv4 routes have metric 0 where nothing is said, IPv6 routes [`IPV6_METRIC`], which also is what
/// 0 means there.
fn metric(route: &Route) -> u32 {
    match route.metric {
        Some(0) | None if route.dst.is_ipv6() => IPV6_METRIC,
        metric => metric.unwrap_or(0),
    }
}

fn scope(route: &Route) -> RouteScope {
    if route.dst.is_ipv6() { RouteScope::Universe } else { route.scope }
}
