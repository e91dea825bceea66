//! The ways by which a network leads out.

use std::net::IpAddr;

use drivers::container::RouteSpec;
use ipnetwork::IpNetwork;
use netstate::{Route, RouteScope};

use super::Endpoint;
use crate::network::{BridgeOptions, Direct, Driver, GatewayMode, Network, Span};

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Whether it is of IPv6.
    pub v6: bool,
    /// The gateway; without one everything is on the link, as on a macvlan whose gateway nobody named.
    pub via: Option<IpAddr>,
}

/// The ways out of a network for who has an address on it.
pub fn ways_out(network: &Network, addresses: &[IpNetwork]) -> impl Iterator<Item = Way> {
    addresses.iter().filter_map(|address| way_out(network, *address))
}

/// The way out of a network for an address.
pub(super) fn way_out(network: &Network, address: IpNetwork) -> Option<Way> {
    let v6 = address.is_ipv6();
    let of = network.subnets.iter().find(|subnet| Span::of(subnet.net).has(address.ip()));
    let gateway = of.and_then(|subnet| subnet.gateway);
    let via = match network.driver {
        _ if network.internal => return None,
        Driver::Bridge => {
            let options = BridgeOptions::read(&network.options).ok()?;
            let mode = if v6 { options.gateway_v6 } else { options.gateway_v4 };
            Some(gateway.filter(|_| mode != GatewayMode::Isolated)?)
        }
        Driver::Macvlan | Driver::Ipvlan => {
            let direct = Direct::of(network).ok().flatten()?;
            gateway.filter(|_| !direct.options.mode.is_routed())
        }
        // The way out of an overlay is another interface.
        Driver::Overlay | Driver::Null | Driver::Host => return None,
    };
    Some(Way { v6, via })
}

/// The default routes that were given to an endpoint.
pub(super) fn default_routes(network: &Network, endpoint: &Endpoint) -> Vec<RouteSpec> {
    let ways = ways_out(network, &endpoint.addresses);
    let ways = ways.filter(|way| endpoint.default_routes.has(way.v6));
    ways.filter_map(|way| Some(RouteSpec::new(everything(way.v6)?, way.via))).collect()
}

/// The default route of a family by an endpoint, if its network leads out.
#[must_use]
pub fn default_route(network: &Network, endpoint: &Endpoint, v6: bool) -> Option<Route> {
    let way = way_out(network, endpoint.address(v6)?)?;
    let route = Route::new(everything(v6)?, endpoint.ifname.clone());
    let scope = if way.via.is_none() && !v6 { RouteScope::Link } else { route.scope };
    Some(Route { via: way.via, scope, ..route })
}

/// `0.0.0.0/0` or `::/0`.
pub(super) fn everything(v6: bool) -> Option<IpNetwork> {
    let zero = if v6 { IpAddr::from([0_u16; 8]) } else { IpAddr::from([0_u8; 4]) };
    IpNetwork::new(zero, 0).ok()
}
