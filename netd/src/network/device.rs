//! What the host has of a network without any container: its bridge, or what is beside a parent.

use std::net::IpAddr;

use drivers::bridge::Standing;
use drivers::ruleset::Ip;
use ipnetwork::IpNetwork;
use netstate::{LinkKind, LinkName, Mac};

use super::options::{BridgeOptions, GatewayMode};
use super::{Direct, Driver, Id, Network, NetworkError, Scope};

/// What the host has of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Whose.
    pub id: Id,
    /// What its users call that.
    pub network: String,
    /// The addresses of its bridge's containers: of a network on an interface of the host they are others', too.
    pub subnets: Vec<IpNetwork>,
    /// What there is to be, in the order in which it is made.
    pub standings: Vec<Standing>,
    /// The bridge was there before: nothing but the addresses is the network's.
    pub adopted: bool,
    /// The network is the cluster's: a host that lacks what it is on is fine without it.
    pub of_cluster: bool,
}

impl Device {
    /// What the alias of everything that is made for a network begins with.
    pub const MARK: &str = "netd:network:";

    /// That of a network that has one from its making on.
    ///
    /// # Errors
    /// Options that make no sense, which no network has that was made by [`super::create()`].
    pub fn of(network: &Network) -> Result<Option<Self>, NetworkError> {
        let standings = match Direct::of(network)? {
            Some(direct) => direct.standings(network),
            None => bridge(network)?.into_iter().collect(),
        };
        let subnets = match network.driver {
            Driver::Bridge => network.subnets.iter().map(|subnet| subnet.net).collect(),
            Driver::Null | Driver::Host | Driver::Macvlan | Driver::Ipvlan | Driver::Overlay => {
                Vec::new()
            }
        };
        let adopted = network.adopted && network.driver == Driver::Bridge;
        let device = Self {
            id: network.id.clone(),
            network: network.name.clone(),
            subnets,
            standings,
            adopted,
            of_cluster: network.scope == Scope::Global,
        };
        Ok((!device.standings.is_empty()).then_some(device))
    }

    /// The bridge of a network that has one.
    #[must_use]
    pub fn bridge(&self) -> Option<&Standing> {
        self.standings.iter().find(|standing| matches!(standing.kind, LinkKind::Bridge { .. }))
    }

    /// The name of a network's bridge.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn name_of(network: &Network) -> Result<Option<LinkName>, NetworkError> {
        if network.driver != Driver::Bridge {
            return Ok(None);
        }
        let options = BridgeOptions::read(&network.options)?;
        Ok(options.name.or_else(|| network.id.bridge().ok()))
    }

    /// The addresses of this host on it.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.standings.iter().flat_map(|standing| &standing.gateways).map(IpNetwork::ip)
    }

    /// The links whose coming and going matters: its own, and those that they are on.
    pub fn links(&self) -> impl Iterator<Item = &LinkName> {
        self.standings.iter().flat_map(|standing| {
            let lower = standing.kind.lower().map(|lower| &lower.name);
            std::iter::once(&standing.name).chain(lower)
        })
    }
}

/// The bridge of a network of that driver.
fn bridge(network: &Network) -> Result<Option<Standing>, NetworkError> {
    let Some(name) = Device::name_of(network)? else { return Ok(None) };
    let options = BridgeOptions::read(&network.options)?;
    let has_address = |v6: bool| {
        let mode = if v6 { options.gateway_v6 } else { options.gateway_v4 };
        mode != GatewayMode::Isolated && (v6 || !options.inhibit_v4)
    };
    let subnets = network.subnets.iter();
    let gateways = subnets.filter_map(|subnet| {
        let ip = subnet.gateway.filter(|ip| has_address(ip.is_ipv6()))?;
        IpNetwork::new(ip, subnet.net.prefix()).ok()
    });
    Ok(Some(Standing {
        name,
        kind: LinkKind::Bridge { vlan_filtering: None },
        alias: alias(&network.id),
        mac: Some(mac(&network.id, 6)),
        mtu: options.mtu,
        gateways: gateways.collect(),
        apart: apart(&options, network.ipv6),
    }))
}

/// A container of an isolated network reaches the host by no protocol, also where the network has addresses
/// of one alone: every link has an address of IPv6.
fn apart(options: &BridgeOptions, ipv6: bool) -> Vec<Ip> {
    let v4 = options.gateway_v4 == GatewayMode::Isolated;
    let v6 = if ipv6 { options.gateway_v6 == GatewayMode::Isolated } else { v4 };
    [(Ip::V4, v4), (Ip::V6, v6)]
        .into_iter()
        .filter(|(_, is_apart)| *is_apart)
        .map(|(ip, _)| ip)
        .collect()
}

/// The alias of what is a network's alone.
pub(super) fn alias(id: &Id) -> String {
    format!("{}{}", Device::MARK, id.short())
}

/// A link-layer address that stays over restarts: locally administered, of the id's digits from a byte
/// on.
pub(super) fn mac(id: &Id, from: usize) -> Mac {
    let byte = |at: usize| {
        let digits = id.as_str().get(2 * at..2 * at + 2);
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0)
    };
    Mac::local([0, 1, 2, 3, 4, 5].map(|at| byte(from + at)))
}
