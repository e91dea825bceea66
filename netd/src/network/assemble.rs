//! From flags about subnets to a request: which range and which gateway belong to which subnet
//! (`consolidateIpam()` of docker/cli, `cli/command/network/create.go`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::span::Span;
use super::{NetworkError, SubnetRequest};

/// What flags say about subnets.
#[derive(Debug, Clone, Copy)]
pub struct SubnetFlags<'a> {
    /// `--subnet`
    pub subnets: &'a [String],
    /// `--ip-range`
    pub ranges: &'a [String],
    /// `--gateway`
    pub gateways: &'a [String],
    /// `--aux-address`
    pub aux: &'a BTreeMap<String, String>,
}

/// Puts them together.
///
/// # Errors
/// Where one belongs to no subnet, or two to one.
pub fn assemble(flags: SubnetFlags<'_>) -> Result<Vec<SubnetRequest>, NetworkError> {
    let count = flags.subnets.len();
    if count < flags.ranges.len() || count < flags.gateways.len() {
        return refuse("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut all: Vec<SubnetRequest> = Vec::new();
    for subnet in flags.subnets {
        let twice = all.iter().any(|other| overlap(subnet, &other.subnet));
        if twice {
            return refuse("multiple overlapping subnet configuration is not supported".to_owned());
        }
        all.push(SubnetRequest { subnet: subnet.clone(), ..SubnetRequest::default() });
    }
    for range in flags.ranges {
        let found = matching(&mut all, range);
        let Some(of) = found else {
            return refuse(format!("no matching subnet for range {range}"));
        };
        let (there, subnet) = (std::mem::replace(&mut of.ip_range, range.clone()), &of.subnet);
        if !there.is_empty() {
            return refuse(format!(
                "cannot configure multiple ranges ({range}, {there}) on the same subnet ({subnet})"
            ));
        }
    }
    for gateway in flags.gateways {
        let found = matching(&mut all, gateway);
        let Some(of) = found else {
            return refuse(format!("no matching subnet for gateway {gateway}"));
        };
        let (there, subnet) = (std::mem::replace(&mut of.gateway, gateway.clone()), &of.subnet);
        if !there.is_empty() {
            return refuse(format!(
                "cannot configure multiple gateways ({gateway}, {there}) for the same subnet \
                 ({subnet})"
            ));
        }
    }
    for (name, address) in flags.aux {
        let found = matching(&mut all, address);
        let Some(of) = found else {
            return refuse(format!("no matching subnet for aux-address {address}"));
        };
        of.aux.insert(name.clone(), address.clone());
    }
    Ok(all)
}

/// The subnet that an address or the first address of a network is in.
fn matching<'s>(all: &'s mut [SubnetRequest], text: &str) -> Option<&'s mut SubnetRequest> {
    let ip = first(text)?;
    all.iter_mut().find(|of| span(&of.subnet).is_some_and(|span| span.has(ip)))
}

fn overlap(one: &str, other: &str) -> bool {
    span(one).zip(span(other)).is_some_and(|(one, other)| one.overlaps(other))
}

/// What is no network here the agent says.
fn span(text: &str) -> Option<Span> {
    text.parse::<IpNetwork>().ok().map(Span::of)
}

fn first(text: &str) -> Option<IpAddr> {
    text.parse::<IpNetwork>().ok().map(|net| net.ip())
}

fn refuse<T>(text: String) -> Result<T, NetworkError> {
    Err(NetworkError::Flags(text))
}
