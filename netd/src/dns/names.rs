//! What the server is told of networks and containers.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::LinkName;

/// All there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The networks.
    pub networks: Vec<Network>,
    /// What is attached to them.
    pub endpoints: Vec<Endpoint>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its identity; it stays.
    pub id: String,
    /// Its name: containers are also found by `NAME.NETWORK`.
    pub name: String,
    /// Nothing leads out of it: a container that has only such networks asks no resolver of the host.
    pub internal: bool,
    /// Containers are found by name on it. Not so on Docker's default bridge.
    pub named: bool,
    /// Where the server listens. A network without any (macvlan) has names all the same, for containers
    /// that can ask on another of their networks.
    pub gateways: Vec<Gateway>,
    /// Its bridges are in a namespace of its own; which one is told by [`super::Server::put_namespace`].
    pub apart: bool,
    /// Its subnets: an address of these that nobody has is asked of no resolver.
    pub subnets: Vec<IpNetwork>,
}

/// A bridge of a network, and an address of this host on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// The bridge.
    pub device: LinkName,
    /// The address.
    pub ip: IpAddr,
}

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Which one.
    pub key: EndpointKey,
    /// Its names, the one first that an address is shown as: hostname, K8S_POD_NAME, aliases. The
    /// container's id, and the first 12 digits of one that is hexadecimal, are added by the server.
    pub names: Vec<String>,
    /// Its addresses on this network.
    pub addresses: Vec<IpAddr>,
}

/// Which container, on which network, by which of its interfaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointKey {
    /// The network's id.
    pub network: String,
    /// The container's id, the same on all its networks.
    pub container: String,
    /// The interface in the container.
    pub interface: String,
}
