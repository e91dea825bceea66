//! Peers on the same link as this host: plain routes, nothing encapsulated.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{LinkName, NetState, Route, Scope};

use crate::vxlan::{ROUTE_PROTOCOL, network};

/// Another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its subnet.
    pub subnet: IpNetwork,
    /// Its address, of the subnet's family, on the link below.
    pub public_ip: IpAddr,
    /// The link by which this host reaches it.
    pub parent: LinkName,
}

/// The route to a peer.
#[must_use]
pub fn peer(peer: &Peer) -> NetState {
    let mut state = NetState::default();
    state.routes.insert(Route {
        via: Some(peer.public_ip),
        protocol: ROUTE_PROTOCOL,
        ..Route::new(network(peer.subnet), peer.parent.clone())
    });
    state
}

/// All that a host without devices of its own owns: the routes of [`ROUTE_PROTOCOL`].
#[must_use]
pub fn scope() -> Scope {
    Scope { route_protocol: Some(ROUTE_PROTOCOL), ..Scope::default() }
}
