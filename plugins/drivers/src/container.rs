//! The inside of a container: addresses, routes and sysctls of one interface.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{Addr, Desired, Link, LinkName, NetState, Ns, Route, SysctlKey};

/// What an interface in a container gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Addresses with their gateways.
    pub addresses: Vec<Address>,
    /// Routes beside the connected ones.
    pub routes: Vec<RouteSpec>,
    /// Duplicate address detection stays on (IPv6).
    pub dad: bool,
    /// What the kernel tells neighbours when the link comes up or gets another MAC.
    pub notify: Notify,
    /// The link-local address is treated as one of ours, also where there is no other of IPv6.
    /// False on a kernel without IPv6, which has no such key.
    pub link_local: bool,
}

/// What the kernel announces by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Notify {
    /// As the namespace has it.
    #[default]
    AsItIs,
    /// IPv4 addresses (`arp_notify`).
    Arp,
    /// IPv6 addresses too (`ndisc_notify`).
    ArpAndNdisc,
}

/// An address and the gateway that IPAM gave with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Address and prefix length.
    pub net: IpNetwork,
    /// Gateway of routes that name none.
    pub gateway: Option<IpAddr>,
}

/// A route of a CNI result (CNI spec 1.1.0, section "Success", key `routes`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// Destination.
    pub dst: IpNetwork,
    /// Next hop; without one, the first gateway of the same family.
    pub gw: Option<IpAddr>,
    /// Path MTU in bytes.
    pub mtu: Option<u32>,
    /// TCP segment size in bytes.
    pub advmss: Option<u32>,
    /// Metric.
    pub priority: Option<u32>,
    /// Table number.
    pub table: Option<u32>,
    /// Scope number.
    pub scope: Option<u8>,
}

impl RouteSpec {
    /// A route with only destination and next hop.
    #[must_use]
    pub fn new(dst: IpNetwork, gw: Option<IpAddr>) -> Self {
        Self { dst, gw, mtu: None, advmss: None, priority: None, table: None, scope: None }
    }
}

/// Adds the link and what it carries to the container's side. The link must come with its kind;
/// it is set up.
pub fn add(desired: &mut Desired, link: Link, spec: &Interface) {
    let name = link.name.clone();
    let container = desired.0.ns_mut(Ns::Container);
    container.add_link(link);
    sysctls(container, &name, spec);
    for address in &spec.addresses {
        container.addrs.insert(Addr { link: name.clone(), net: address.net, dad: spec.dad });
    }
    for route in &spec.routes {
        container.routes.insert(resolve(route, &name, &spec.addresses));
    }
}

fn sysctls(container: &mut NetState, name: &LinkName, spec: &Interface) {
    let mut set = |family: &str, key: &str, value: &str| {
        container.sysctls.insert(SysctlKey::conf(family, name, key), value.to_owned());
    };
    if spec.notify != Notify::AsItIs && !spec.addresses.is_empty() {
        set("ipv4", "arp_notify", "1");
    }
    let v6 = spec.addresses.iter().any(|a| a.net.is_ipv6());
    if v6 {
        // The address is ours to give: no router may add others (plugins#909).
        set("ipv6", "accept_ra", "0");
        set("ipv6", "disable_ipv6", "0");
        set("ipv6", "keep_addr_on_down", "1");
        if spec.notify == Notify::ArpAndNdisc {
            set("ipv6", "ndisc_notify", "1");
        }
    }
    if v6 || spec.link_local {
        set("ipv6", "accept_dad", if spec.dad { "1" } else { "0" });
        if spec.dad {
            set("ipv6", "enhanced_dad", "1");
        }
    }
}

/// The kernel's route for a spec: `via` its own gateway, or the first address' gateway of the
/// same family; with neither it is on the link.
fn resolve(spec: &RouteSpec, link: &LinkName, addresses: &[Address]) -> Route {
    let same_family = |gw: &IpAddr| gw.is_ipv4() == spec.dst.is_ipv4();
    let via = spec.gw.or_else(|| addresses.iter().filter_map(|a| a.gateway).find(same_family));
    let mut route = Route::new(network_of(spec.dst), link.clone());
    route.via = via;
    route.mtu = spec.mtu;
    route.advmss = spec.advmss;
    route.metric = spec.priority;
    route.table = spec.table.unwrap_or(route.table);
    if let Some(scope) = spec.scope {
        route.scope = netstate::RouteScope::from_number(scope);
    } else if via.is_none() && spec.dst.is_ipv4() {
        route.scope = netstate::RouteScope::Link;
    }
    route
}

/// The network with its host bits cleared.
#[must_use]
pub fn network_of(net: IpNetwork) -> IpNetwork {
    IpNetwork::new(net.network(), net.prefix()).unwrap_or(net)
}
