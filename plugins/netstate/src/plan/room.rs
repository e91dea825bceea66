//! Whether what goes makes room for what comes in one message, or has to go before.

use std::net::{IpAddr, Ipv4Addr};

use super::compare::same_route_key;
use crate::addr::Fdb;
use crate::link::{Link, LinkKind, LinkRef};
use crate::route::Route;
use crate::state::NetState;

/// Whether the only route of its key makes room for the only one wanted by being replaced: one of
/// several of a key could not be told from the others.
pub(super) fn makes_room(route: &Route, there: &[&Route], wanted: &[&Route]) -> bool {
    let of_key = |all: &[&Route]| all.iter().filter(|r| same_route_key(r, route)).count();
    of_key(there) == 1 && of_key(wanted) == 1
}

/// Whether the only destination of a link-layer address makes room for the only one wanted. The
/// all-zero address is a list, which grows by one that is added.
pub(super) fn entry_makes_room(have: &NetState, want: &NetState, entry: &Fdb) -> bool {
    let lowest = Fdb { dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..entry.clone() };
    let destinations = |state: &NetState| {
        let from = state.fdb.range(lowest.clone()..);
        from.take_while(|e| e.link == entry.link && e.mac == entry.mac).count()
    };
    !entry.is_list() && destinations(have) == 1 && destinations(want) == 1
}

/// Whether a tunnel end gets a parent in another namespace than its own: no command names one there,
/// so the link is made anew.
pub(super) fn moves_afar(at: &LinkRef, have: &Link, want: &Link) -> bool {
    matches!(want.kind, LinkKind::Vxlan(_))
        && want
            .kind
            .parent()
            .is_some_and(|parent| parent.ns != at.ns && have.kind.parent() != Some(parent))
}
