//! What is in one place, found by the order of the sets: a host may have thousands of peers.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;

use crate::addr::{Fdb, Neigh};
use crate::name::Mac;
use crate::route::{Route, RouteKind, RouteScope};
use crate::state::NetState;

const KINDS: [RouteKind; 4] =
    [RouteKind::Unicast, RouteKind::Blackhole, RouteKind::Unreachable, RouteKind::Prohibit];

/// The routes to a network.
pub(super) fn routes_to(space: &NetState, dst: IpNetwork) -> impl Iterator<Item = &Route> {
    KINDS.into_iter().flat_map(move |kind| {
        let there = space.routes.range(first_route(kind, dst)..);
        there.take_while(move |route| route.kind == kind && route.dst == dst)
    })
}

/// The neighbour of the same address on the same link.
pub(super) fn neigh<'s>(space: &'s NetState, like: &Neigh) -> Option<&'s Neigh> {
    let first = Neigh { mac: Mac([0; 6]), ..like.clone() };
    space.neighs.range(first..).next().filter(|n| n.link == like.link && n.ip == like.ip)
}

/// The forwarding entries for the same link-layer address on the same link.
pub(super) fn fdb<'s>(space: &'s NetState, like: &Fdb) -> impl Iterator<Item = &'s Fdb> {
    let first = Fdb { dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..like.clone() };
    let (link, mac) = (like.link.clone(), like.mac);
    space.fdb.range(first..).take_while(move |entry| entry.link == link && entry.mac == mac)
}

/// Before all routes of a kind to a network, in the order of [`Route`].
fn first_route(kind: RouteKind, dst: IpNetwork) -> Route {
    Route {
        kind,
        dst,
        via: None,
        dev: None,
        src: None,
        table: 0,
        protocol: 0,
        scope: RouteScope::Universe,
        metric: None,
        mtu: None,
        advmss: None,
        onlink: false,
    }
}
