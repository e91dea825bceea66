//! From the subnets of a request to those of a network.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::span::{Span, number};
use super::{NetworkError, Subnet, SubnetRequest};

/// A subnet as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// This one.
    Given(Subnet),
    /// Any of this size: `0.0.0.0/24`.
    Size {
        /// The family.
        v6: bool,
        /// The prefix length.
        size: u8,
    },
}

impl Asked {
    /// Its family.
    pub(super) fn is_v6(&self) -> bool {
        match self {
            Self::Given(subnet) => subnet.net.is_ipv6(),
            Self::Size { v6, .. } => *v6,
        }
    }
}

/// Reads a subnet of a request.
///
/// # Errors
/// [`NetworkError::Address`] at the first text that makes no sense.
pub(super) fn read(request: &SubnetRequest) -> Result<Asked, NetworkError> {
    let net = cidr("subnet", &request.subnet)?;
    if net.ip().is_unspecified() && net.prefix() > 0 {
        let has_more = !request.gateway.is_empty() || !request.ip_range.is_empty();
        if has_more || !request.aux.is_empty() {
            let why = "asks for any subnet of that size, of which nobody knows the addresses: leave \
                       gateway, ip-range and aux-address out";
            return Err(wrong("subnet", &request.subnet, why));
        }
        return Ok(Asked::Size { v6: net.is_ipv6(), size: net.prefix() });
    }
    usable(net, &request.subnet)?;
    let mut subnet = Subnet::bare(net);
    if !request.ip_range.is_empty() {
        subnet.ip_range = Some(range(net, &request.ip_range)?);
    }
    if !request.gateway.is_empty() {
        subnet.gateway = Some(inside("gateway", net, &request.gateway)?);
    }
    for (name, text) in &request.aux {
        subnet.aux.insert(name.clone(), inside("auxiliary address", net, text)?);
    }
    taken_twice(&subnet)?;
    Ok(Asked::Given(subnet))
}

/// The gateway of a subnet that has none: the first address that may be given out.
pub(super) fn first_free(subnet: &Subnet) -> Option<IpAddr> {
    let range = Span::of(subnet.ip_range.unwrap_or(subnet.net));
    let taken: Vec<u128> = subnet.aux.values().map(|ip| number(*ip)).collect();
    let free = |at: &u128| {
        range.address(*at).is_some_and(|ip| is_host(subnet.net, ip)) && !taken.contains(at)
    };
    // At most so many are in the way: network, broadcast and those taken.
    let first = (range.first..=range.last).take(taken.len() + 3).find(free)?;
    range.address(first)
}

/// Whether an address of a subnet can be a host's: not that of the network or the broadcast
/// address, unless there is room for no other (RFC 3021), and not the routers' anycast address
/// (RFC 4291, section 2.6.1).
pub(crate) fn is_host(net: IpNetwork, ip: IpAddr) -> bool {
    let bits = if net.is_ipv6() { 128 } else { 32 };
    let is_small = bits - net.prefix() <= 1;
    is_small || (ip != net.network() && (net.is_ipv6() || ip != net.broadcast()))
}

/// Reads a network, whose host bits must be zero.
fn cidr(what: &str, text: &str) -> Result<IpNetwork, NetworkError> {
    if text.is_empty() {
        return Err(wrong(what, "\"\"", "write it as 172.30.0.0/24"));
    }
    let net = ipam::parse_cidr(text)
        .map_err(|_| wrong(what, text, "invalid CIDR address: write it as 172.30.0.0/24"))?;
    let whole = IpNetwork::new(net.network(), net.prefix()).unwrap_or(net);
    if net.ip() != net.network() {
        return Err(wrong(what, text, &format!("it should be {whole}")));
    }
    Ok(whole)
}

/// Networks that no container can be in.
fn usable(net: IpNetwork, text: &str) -> Result<(), NetworkError> {
    let is_local = match net {
        IpNetwork::V4(_) => false,
        IpNetwork::V6(v6) => {
            let local = IpNetwork::new(IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 64);
            local.is_ok_and(|local| {
                local != IpNetwork::V6(v6) && Span::of(local).overlaps(Span::of(net))
            })
        }
    };
    let why = if net.ip().is_multicast() {
        "it is multicast"
    } else if net.ip().is_loopback() {
        "it is loopback"
    } else if net.ip().is_unspecified() {
        "it is everything"
    } else if is_local {
        "it clashes with the link-local network fe80::/64"
    } else {
        return Ok(());
    };
    Err(wrong("subnet", text, why))
}

fn range(net: IpNetwork, text: &str) -> Result<IpNetwork, NetworkError> {
    let range = cidr("ip-range", text)?;
    if range.is_ipv6() == net.is_ipv6() && range.prefix() < net.prefix() {
        return Err(wrong(
            "ip-range",
            text,
            &format!("CIDR block is bigger than its parent {net}"),
        ));
    }
    if !Span::of(net).contains(Span::of(range)) {
        let why = format!("parent subnet {net} doesn't contain ip-range");
        return Err(wrong("ip-range", text, &why));
    }
    Ok(range)
}

fn inside(what: &str, net: IpNetwork, text: &str) -> Result<IpAddr, NetworkError> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        return Err(wrong(what, text, "it is no address"));
    };
    if !Span::of(net).has(ip) {
        let why = format!("parent subnet {net} doesn't contain this address");
        return Err(wrong(what, text, &why));
    }
    Ok(ip)
}

fn taken_twice(subnet: &Subnet) -> Result<(), NetworkError> {
    let mut seen = Vec::new();
    let aux = subnet.aux.iter();
    let named = aux.map(|(name, ip)| (format!("secondary ip address {name}"), *ip));
    let gateway = subnet.gateway.map(|ip| ("gateway".to_owned(), ip));
    for (what, ip) in gateway.into_iter().chain(named) {
        if !is_host(subnet.net, ip) || seen.contains(&ip) {
            return Err(NetworkError::InUse { what, ip });
        }
        seen.push(ip);
    }
    Ok(())
}

fn wrong(what: &str, text: &str, why: &str) -> NetworkError {
    NetworkError::Address { what: what.to_owned(), text: text.to_owned(), why: why.to_owned() }
}
