//! CNI's types and ours.

use std::net::IpAddr;

use cni::{Error, IpNet};
use drivers::container::{Address, RouteSpec};
use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac};

/// The network of a CNI address.
pub(crate) fn network(net: IpNet) -> Result<IpNetwork, Error> {
    IpNetwork::new(net.addr, net.prefix).map_err(|e| Error::config(format!("address {net}: {e}")))
}

/// The CNI address of a network.
pub(crate) fn ip_net(net: IpNetwork) -> IpNet {
    IpNet { addr: net.ip(), prefix: net.prefix() }
}

/// The addresses that IPAM gave, with their gateways.
pub(crate) fn addresses(result: &cni::AddResult) -> Result<Vec<Address>, Error> {
    let address =
        |ip: &cni::IpConfig| Ok(Address { net: network(ip.address)?, gateway: ip.gateway });
    result.ips.iter().map(address).collect()
}

/// The routes of a result.
pub(crate) fn routes(result: &cni::AddResult) -> Result<Vec<RouteSpec>, Error> {
    result.routes.iter().map(route).collect()
}

fn route(route: &cni::Route) -> Result<RouteSpec, Error> {
    let scope = route.scope.map(u8::try_from).transpose().map_err(|_| {
        let scope = route.scope.unwrap_or_default();
        Error::config(format!("routes: scope {scope} of {} is not 0 to 255", route.dst))
    })?;
    Ok(RouteSpec {
        dst: network(route.dst)?,
        gw: route.gw,
        mtu: route.mtu,
        advmss: route.advmss,
        priority: route.priority,
        table: route.table,
        scope,
    })
}

/// A link name from a configuration key.
pub(crate) fn link_name(key: &str, value: &str) -> Result<LinkName, Error> {
    LinkName::new(value).map_err(|e| Error::config(format!("{key}: {e}")))
}

/// A link-layer address from a configuration key; it must be one that a link can have.
pub(crate) fn mac(key: &str, value: &str) -> Result<Mac, Error> {
    let mac: Mac = value.parse().map_err(|e| Error::config(format!("{key}: {e}")))?;
    if !mac.is_unicast() {
        return Err(Error::config(format!(
            "{key}: {mac} is not a unicast address: the lowest bit of its first byte must be 0"
        )));
    }
    Ok(mac)
}

/// An address from a configuration key.
pub(crate) fn ip_addr(key: &str, value: &str) -> Result<IpAddr, Error> {
    value.parse().map_err(|_| {
        Error::config(format!(
            "{key}: {value:?} is not an IP address: write it as 10.1.0.1 or fd00::1"
        ))
    })
}

/// An MTU from a configuration key: 0 means unset; what IPv4 needs at least is 68 (RFC 791).
pub(crate) fn mtu(key: &str, value: i64) -> Result<Option<u32>, Error> {
    match u32::try_from(value) {
        Ok(0) => Ok(None),
        Ok(mtu @ 68..=65535) => Ok(Some(mtu)),
        _ => Err(Error::config(format!(
            "{key}: {value} is not an MTU: use 68 to 65535, or 0 for the default"
        ))),
    }
}

/// The least MTU of a link that carries IPv6 (RFC 8200 section 5). The kernel has no IPv6 on a link
/// with less (`addrconf_notify`, net/ipv6/addrconf.c).
const IPV6_MIN_MTU: u32 = 1280;

/// Whether the kernel has IPv6 on a link of this MTU; its default is enough.
pub(crate) fn carries_ipv6(mtu: Option<u32>) -> bool {
    mtu.is_none_or(|mtu| mtu >= IPV6_MIN_MTU)
}

/// Refuses an IPv6 address on a link whose MTU is too small for it.
pub(crate) fn fits_mtu(mtu: Option<u32>, addresses: &[Address]) -> Result<(), Error> {
    let (Some(mtu), false) = (mtu, carries_ipv6(mtu)) else { return Ok(()) };
    match addresses.iter().find(|a| a.net.is_ipv6()) {
        None => Ok(()),
        Some(address) => Err(Error::config(format!(
            "mtu: {mtu} is too small for {}: IPv6 needs {IPV6_MIN_MTU} or more",
            address.net
        ))),
    }
}

/// `0.0.0.0/0` or `::/0`.
pub(crate) fn default_route(v4: bool) -> IpNetwork {
    let any: IpAddr = if v4 {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    drivers::container::network_of(IpNetwork::new(any, 0).unwrap_or_else(|_| any.into()))
}

/// An address with the prefix length of the network it is in.
pub(crate) fn with_prefix(ip: IpAddr, net: IpNetwork) -> Result<IpNetwork, Error> {
    IpNetwork::new(ip, net.prefix())
        .map_err(|e| Error::config(format!("gateway {ip} of {net}: {e}")))
}
