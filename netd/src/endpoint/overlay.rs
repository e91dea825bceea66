//! A container on an overlay: what it is a port of is in the network's namespace, and its way out is another
//! interface.

use attach::Namespace;
use cni::AddResult;
use drivers::bridge::Port;
use drivers::container::RouteSpec;
use drivers::overlay;
use ipnetwork::IpNetwork;
use netstate::{LinkName, Ns};
use serde::{Deserialize, Serialize};

use super::state::interface;
use super::{Endpoint, Parts};
use crate::network::{Network, NetworkError, Segment, Span};

/// What an endpoint on an overlay has beside others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnOverlay {
    /// The network's namespace on this host.
    pub netns: Namespace,
    /// The largest packet, in bytes, as it was when the container was attached.
    pub mtu: u32,
}

impl Parts {
    /// A veth pair between the container and the network's namespace. On the host there is nothing.
    pub(super) fn on_overlay(
        endpoint: &Endpoint,
        network: &Network,
        on: &OnOverlay,
        has_ipv6: bool,
    ) -> Result<Self, NetworkError> {
        let mut inside = interface(endpoint, network, Some(on.mtu), has_ipv6);
        inside.routes.extend(to_other_segments(endpoint, network));
        let port = Port {
            host_link: endpoint.host_link.clone(),
            ifname: endpoint.ifname.clone(),
            mac: Some(endpoint.mac),
            mtu: Some(on.mtu),
            hairpin: false,
            isolated: false,
            vlans: None,
            leave_down: false,
        };
        let links =
            port.desired_in(&Ns::Overlay, &endpoint.owner(), &bridge(endpoint, network)?, &inside);
        let servers = segment(endpoint, network).map(|(_, segment)| {
            segment.subnets.iter().filter_map(|subnet| subnet.gateway).collect()
        });
        Ok(Self { servers: servers.unwrap_or_default(), ..Self::of_links(links) })
    }
}

/// What was made of a container on an overlay, together with its way out.
#[must_use]
pub fn joined(mut made: AddResult, way_out: AddResult) -> AddResult {
    let before = made.interfaces.len();
    let AddResult { interfaces, ips, routes, .. } = way_out;
    made.interfaces.extend(interfaces);
    made.ips.extend(ips.into_iter().map(|mut ip| {
        ip.interface = ip.interface.map(|at| at + before);
        ip
    }));
    made.routes.extend(routes);
    made
}

/// The bridge that an endpoint is a port of.
fn bridge(endpoint: &Endpoint, network: &Network) -> Result<LinkName, NetworkError> {
    let name = segment(endpoint, network).and_then(|(number, _)| overlay::bridge(number).ok());
    name.ok_or_else(|| NetworkError::Driver(network.driver.name().to_owned()))
}

/// The segment that an endpoint is in, with its number.
fn segment<'n>(endpoint: &Endpoint, network: &'n Network) -> Option<(usize, Segment<'n>)> {
    let has_one = |one: &Segment<'_>| endpoint.addresses.iter().any(|net| has(one, *net));
    network.segments().into_iter().enumerate().find(|(_, one)| has_one(one))
}

/// An interface is in one segment; the others are reached by the gateway.
fn to_other_segments(endpoint: &Endpoint, network: &Network) -> Vec<RouteSpec> {
    let segments = network.segments();
    let mut routes = Vec::new();
    for address in &endpoint.addresses {
        let (own, others): (Vec<_>, Vec<_>) =
            segments.iter().partition(|segment| has(segment, *address));
        let own = own.iter().flat_map(|segment| &segment.subnets);
        let gateway = own.filter_map(|subnet| subnet.gateway).find(|ip| same_family(ip, address));
        let nets = others.iter().flat_map(|segment| &segment.subnets).map(|subnet| subnet.net);
        let nets = nets.filter(|net| net.is_ipv4() == address.is_ipv4());
        routes.extend(nets.map(|net| RouteSpec::new(net, gateway)));
    }
    routes
}

fn same_family(ip: &std::net::IpAddr, address: &IpNetwork) -> bool {
    ip.is_ipv4() == address.is_ipv4()
}

fn has(segment: &Segment<'_>, address: IpNetwork) -> bool {
    segment.subnets.iter().any(|subnet| Span::of(subnet.net).has(address.ip()))
}
