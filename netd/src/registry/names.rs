//! What the DNS server is told of networks, and of containers on them.

use drivers::bridge::Standing;
use drivers::overlay;
use ipnetwork::IpNetwork;

use crate::dns::{self, Gateway};
use crate::endpoint::Endpoint;
use crate::network::{Device, Driver, Network, Segment};

/// A network. On one that has no names nobody listens; it leads out all the same.
pub(super) fn network(network: &Network) -> dns::Network {
    let named = network.has_names();
    let apart = network.driver == Driver::Overlay;
    let gateways = if apart { of_segments(network) } else { of_bridge(network) };
    dns::Network {
        id: network.id.to_string(),
        name: network.name.clone(),
        internal: network.internal,
        named,
        gateways: gateways.into_iter().filter(|_| named).collect(),
        apart,
        subnets: network.subnets.iter().map(|subnet| subnet.net).collect(),
    }
}

fn of_bridge(network: &Network) -> Vec<Gateway> {
    // What it is was checked when the network was made.
    let device = Device::of(network).ok().flatten();
    let Some(Standing { name, gateways, .. }) = device.as_ref().and_then(Device::bridge) else {
        return Vec::new();
    };
    gateways.iter().map(|net| Gateway { device: name.clone(), ip: net.ip() }).collect()
}

/// An overlay has a bridge for each segment.
fn of_segments(network: &Network) -> Vec<Gateway> {
    let of = |(number, segment): (usize, Segment<'_>)| {
        let device = overlay::bridge(number).ok();
        let ips = segment.subnets.iter().filter_map(|subnet| subnet.gateway);
        let at = ips.filter_map(|ip| Some(Gateway { device: device.clone()?, ip }));
        at.collect::<Vec<_>>()
    };
    network.segments().into_iter().enumerate().flat_map(of).collect()
}

/// A container on a network.
pub(super) fn endpoint(endpoint: &Endpoint) -> dns::Endpoint {
    dns::Endpoint {
        key: key(endpoint),
        names: endpoint.names.clone(),
        addresses: endpoint.addresses.iter().map(IpNetwork::ip).collect(),
    }
}

/// Which one.
pub(super) fn key(endpoint: &Endpoint) -> dns::EndpointKey {
    dns::EndpointKey {
        network: endpoint.network.to_string(),
        container: endpoint.container.clone(),
        interface: endpoint.ifname.to_string(),
    }
}
