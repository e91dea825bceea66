//! What an endpoint's state is, by the drivers.

use std::net::IpAddr;

use attach::direct::host_route;
use drivers::bridge::Port;
use drivers::container::{Address, Interface, Notify};
use drivers::direct::Upper;
use drivers::firewall::{self, IngressPolicy, Outside};
use drivers::masquerade;
use drivers::ports::{self, Mapping, Snat};
use drivers::ruleset::Ip;
use ipnetwork::IpNetwork;
use netstate::{Desired, LinkName, Ns, SysctlKey};

use super::way::{default_routes, everything};
use super::{Endpoint, Families};
use crate::network::{BridgeOptions, Device, Direct, GatewayMode, Network, NetworkError};

/// The least MTU of a link that carries IPv6 (RFC 8200, section 5).
const IPV6_MIN_MTU: u32 = 1280;

/// The parts of an endpoint's state, in the order in which they are made.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The network's bridge on the host; none where containers are on a parent directly, or on an overlay.
    pub bridge: Option<LinkName>,
    /// Elements that all of the network share, and what the bridge must allow.
    pub shared: Desired,
    /// Its own elements.
    pub elements: Desired,
    /// Those of them that are not its published ports'.
    pub guards: Desired,
    /// The veth pair, or the link on a parent, and what the container's end carries.
    pub links: Desired,
    /// Its published ports as mappings.
    pub mappings: Vec<Mapping>,
    /// The host's addresses on the network, for which it forwards.
    pub gateways: Vec<IpNetwork>,
    /// Who is asked for names there.
    pub servers: Vec<IpAddr>,
}

impl Parts {
    /// Of an endpoint of a network.
    ///
    /// # Errors
    /// [`NetworkError`], of options that no network has that was made by netd.
    pub fn of(
        endpoint: &Endpoint,
        network: &Network,
        has_ipv6: bool,
    ) -> Result<Self, NetworkError> {
        let mut parts = match (&endpoint.overlay, Direct::of(network)?) {
            (Some(on), _) => Self::on_overlay(endpoint, network, on, has_ipv6)?,
            (None, Some(direct)) => Self::on_parent(endpoint, network, &direct, has_ipv6),
            (None, None) => Self::on_bridge(endpoint, network, has_ipv6)?,
        };
        // They were checked when they were asked for.
        let own = endpoint.sysctls.iter();
        let own = own.filter_map(|(key, value)| Some((SysctlKey::new(key).ok()?, value.clone())));
        parts.links.0.ns_mut(Ns::Container).sysctls.extend(own);
        Ok(parts)
    }

    /// A link in the container, and where the host reaches containers its routes.
    fn on_parent(endpoint: &Endpoint, network: &Network, direct: &Direct, has_ipv6: bool) -> Self {
        let upper = Upper {
            ifname: endpoint.ifname.clone(),
            kind: direct.kind(),
            mtu: direct.options.mtu,
            mac: Some(endpoint.mac).filter(|_| direct.options.mode.has_mac()),
        };
        let inside = interface(endpoint, network, direct.options.mtu, has_ipv6);
        let mut links = upper.desired(&endpoint.owner(), &inside);
        if let Some(link) = &direct.host_link {
            let routes = endpoint.addresses.iter().map(|net| host_route(net.ip(), link));
            links.0.ns_mut(Ns::Host).routes.extend(routes);
        }
        Self::of_links(links)
    }

    /// Of one that has links alone: no rules are about it.
    pub(super) fn of_links(links: Desired) -> Self {
        Self {
            bridge: None,
            shared: Desired::default(),
            elements: Desired::default(),
            guards: Desired::default(),
            links,
            mappings: Vec::new(),
            gateways: Vec::new(),
            servers: Vec::new(),
        }
    }

    fn on_bridge(
        endpoint: &Endpoint,
        network: &Network,
        has_ipv6: bool,
    ) -> Result<Self, NetworkError> {
        let options = BridgeOptions::read(&network.options)?;
        let bridge = Device::name_of(network)?
            .ok_or_else(|| NetworkError::Driver(network.driver.name().to_owned()))?;
        let owner = endpoint.owner();
        let policy = Policy { network, options: &options };
        let leading = endpoint.leading();
        let mut mappings = Vec::new();
        let (mut elements, mut shared) = (Desired::default(), Desired::default());
        for net in &endpoint.addresses {
            let ip = net.ip();
            if policy.is_masqueraded(ip) {
                masquerade::add(&mut elements, &owner, &bridge, &[ip]);
            }
            if let Some(host) = policy.leaves_as(ip) {
                masquerade::leave_as(&mut elements, &owner, &bridge, ip, host);
            }
            let guard = firewall::guard(&owner, policy.ingress(ip), &bridge, &[ip]);
            elements.0.join(guard.0);
            let own = leading.iter().filter(|one| one.families.has(ip.is_ipv6()));
            let own = own.filter_map(|one| one.port.to(ip, options.host_binding));
            let own: Vec<Mapping> = own.collect();
            firewall::from_outside(&mut elements, &owner, ip, &policy.outside(ip, &own));
            if policy.translates(ip) {
                mappings.extend(own);
            }
        }
        let guards = elements.clone();
        let all = ports::desired(&owner, &mappings, &bridge, Snat::Needed, &[]);
        elements.0.join(all.0);
        shared.0.join(firewall::bridge_member(&bridge).0);
        if network.internal {
            shared.0.join(firewall::internal(&bridge).0);
        }
        if mappings.iter().any(|mapping| mapping.container_ip.is_ipv4()) {
            // Flows from this host's loopback addresses come by this link.
            let key = SysctlKey::conf("ipv4", &bridge, "route_localnet");
            shared.0.ns_mut(Ns::Host).sysctls.insert(key, "1".to_owned());
        }
        let port = Port {
            host_link: endpoint.host_link.clone(),
            ifname: endpoint.ifname.clone(),
            mac: Some(endpoint.mac),
            mtu: options.mtu,
            // A container may reach itself by a published port.
            hairpin: !mappings.is_empty(),
            isolated: !options.icc,
            vlans: None,
            leave_down: false,
        };
        let inside = interface(endpoint, network, options.mtu, has_ipv6);
        let links = port.desired(&owner, &bridge, &inside);
        let device = Device::of(network)?;
        let gateways = device.as_ref().and_then(Device::bridge).map(|it| it.gateways.clone());
        let gateways = gateways.unwrap_or_default();
        let servers = gateways.iter().filter(|_| network.has_names()).map(IpNetwork::ip).collect();
        let bridge = Some(bridge);
        Ok(Self { bridge, shared, elements, guards, links, mappings, gateways, servers })
    }

    /// All of it, as it is checked.
    #[must_use]
    pub fn all(&self) -> Desired {
        let mut all = self.links.clone();
        all.0.join(self.elements.clone().0);
        all.0.join(self.shared.clone().0);
        all
    }

    /// Whether it is forwarded for a family: the host is its gateway, and something leads out.
    pub fn forwarded(&self) -> impl Iterator<Item = Ip> {
        let gateways: Vec<Ip> = self.gateways.iter().map(|net| Ip::of(net.ip())).collect();
        Ip::BOTH.into_iter().filter(move |ip| gateways.contains(ip))
    }
}

/// The families of which host ports lead to containers of a network.
pub(super) fn translations(network: &Network) -> Families {
    // What they are was checked when the network was made.
    let Ok(options) = BridgeOptions::read(&network.options) else { return Families::default() };
    let policy = Policy { network, options: &options };
    let [v4, v6] =
        [false, true].map(|v6| everything(v6).is_some_and(|net| policy.translates(net.ip())));
    Families { v4, v6 }
}

/// What a network's options say about who reaches whom.
pub(super) struct Policy<'a> {
    pub(super) network: &'a Network,
    pub(super) options: &'a BridgeOptions,
}

impl Policy<'_> {
    fn mode(&self, ip: IpAddr) -> GatewayMode {
        if ip.is_ipv6() { self.options.gateway_v6 } else { self.options.gateway_v4 }
    }

    /// Whether its containers appear as the host.
    pub(super) fn translates(&self, ip: IpAddr) -> bool {
        let translates = matches!(self.mode(ip), GatewayMode::Nat | GatewayMode::NatUnprotected);
        translates && !self.network.internal
    }

    fn is_masqueraded(&self, ip: IpAddr) -> bool {
        self.translates(ip) && self.options.masquerade
    }

    fn leaves_as(&self, ip: IpAddr) -> Option<IpAddr> {
        let host = match ip {
            IpAddr::V4(_) => self.options.host_v4.map(IpAddr::from),
            IpAddr::V6(_) => self.options.host_v6.map(IpAddr::from),
        };
        host.filter(|_| self.is_masqueraded(ip))
    }

    /// With their own addresses containers are reached by their published ports.
    fn outside(&self, ip: IpAddr, ports: &[Mapping]) -> Outside<'_> {
        match self.mode(ip) {
            // Nothing comes in at all.
            _ if self.network.internal => Outside::Open,
            GatewayMode::Nat => Outside::Closed { trusted: &self.options.trusted },
            GatewayMode::NatUnprotected => Outside::Open,
            GatewayMode::Routed | GatewayMode::Isolated => Outside::Ports(
                ports.iter().map(|port| (port.transport, port.container_port)).collect(),
            ),
        }
    }

    fn ingress(&self, ip: IpAddr) -> IngressPolicy {
        let is_open = self.mode(ip) == GatewayMode::NatUnprotected && !self.network.internal;
        match (is_open, self.options.icc) {
            (true, true) => IngressPolicy::Open,
            // Siblings are kept apart by isolated ports; what goes round by the gateway is dropped.
            (_, false) => IngressPolicy::Isolated,
            (false, true) => IngressPolicy::SameBridge,
        }
    }
}

/// What the container's interface carries.
pub(super) fn interface(
    endpoint: &Endpoint,
    network: &Network,
    mtu: Option<u32>,
    has_ipv6: bool,
) -> Interface {
    let addresses = endpoint.addresses.iter();
    // Routes say by which gateway.
    let addresses: Vec<Address> =
        addresses.map(|net| Address { net: *net, gateway: None }).collect();
    let routes = default_routes(network, endpoint);
    let carries_ipv6 = mtu.is_none_or(|mtu| mtu >= IPV6_MIN_MTU);
    let link_local = !addresses.is_empty() && carries_ipv6 && has_ipv6;
    // The agent announces addresses itself: when the kernel does, the bridge may drop it.
    Interface { addresses, routes, dad: false, notify: Notify::AsItIs, link_local }
}
