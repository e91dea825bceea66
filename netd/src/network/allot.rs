//! Which subnets a new network gets.

use ipnetwork::IpNetwork;

use super::options::GatewayMode;
use super::pools::without_ways_out;
use super::subnets::{self, Asked};
use super::{CreateRequest, Driver, HOST_ADDRESS, NetworkError, Site, Span, Subnet};

/// The host has no address in an isolated network.
///
/// # Errors
/// [`NetworkError::NoGateway`]
pub(super) fn give_gateway(
    subnet: &mut Subnet,
    modes: (GatewayMode, GatewayMode),
) -> Result<(), NetworkError> {
    let mode = if subnet.net.is_ipv6() { modes.1 } else { modes.0 };
    if subnet.gateway.is_none() && mode != GatewayMode::Isolated {
        let none_left = || NetworkError::NoGateway {
            family: family(subnet.net.is_ipv6()),
            pool: subnet.ip_range.unwrap_or(subnet.net),
        };
        subnet.gateway = Some(subnets::first_free(subnet).ok_or_else(none_left)?);
    }
    Ok(())
}

/// The address of the host beside its containers: the lowest that nobody has, unless one is named.
///
/// # Errors
/// [`NetworkError::NoGateway`]
pub(super) fn give_host_address(subnet: &mut Subnet) -> Result<(), NetworkError> {
    if subnet.aux.contains_key(HOST_ADDRESS) {
        return Ok(());
    }
    let mut taken = subnet.clone();
    taken.aux.extend(subnet.gateway.map(|gateway| (String::new(), gateway)));
    let none_left = || NetworkError::NoGateway {
        family: family(subnet.net.is_ipv6()),
        pool: subnet.ip_range.unwrap_or(subnet.net),
    };
    let ip = subnets::first_free(&taken).ok_or_else(none_left)?;
    subnet.aux.insert(HOST_ADDRESS.to_owned(), ip);
    Ok(())
}

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

/// Whether there is IPv4, and whether IPv6.
pub(super) fn families(
    request: &CreateRequest,
    asked: &[Asked],
) -> Result<(bool, bool), NetworkError> {
    let families = (request.enable_ipv4.unwrap_or(true), request.enable_ipv6.unwrap_or(false));
    if families == (false, false) {
        return Err(NetworkError::NoFamily);
    }
    let is_on = |subnet: &Asked| if subnet.is_v6() { families.1 } else { families.0 };
    match asked.iter().zip(&request.ipam.config).find(|(subnet, _)| !is_on(subnet)) {
        None => Ok(families),
        Some((subnet, given)) => Err(NetworkError::Address {
            what: "subnet".to_owned(),
            text: given.subnet.clone(),
            why: match subnet.is_v6() {
                true => "IPv6 is off for this network: add --ipv6".to_owned(),
                false => "IPv4 is off for this network: leave --ipv4=false out".to_owned(),
            },
        }),
    }
}

pub(super) fn one_per_family(driver: Driver, asked: &[Asked]) -> Result<(), NetworkError> {
    let given = |subnet: &Asked| match subnet {
        Asked::Given(subnet) => subnet.net,
        Asked::Size { v6, size } => any_of_size(*v6, *size),
    };
    for (at, one) in asked.iter().enumerate() {
        for other in asked.iter().take(at).filter(|other| other.is_v6() == one.is_v6()) {
            let (first, second) = (given(other), given(one));
            if Span::of(first).overlaps(Span::of(second)) {
                return Err(NetworkError::OwnOverlap(first, second));
            }
            if driver == Driver::Bridge {
                return Err(NetworkError::Several(first, second));
            }
        }
    }
    Ok(())
}

fn any_of_size(v6: bool, size: u8) -> IpNetwork {
    let zero = Span { v6, first: 0, last: 0 }.address(0).unwrap_or([0, 0, 0, 0].into());
    IpNetwork::new(zero, size).unwrap_or(zero.into())
}

/// The subnets: those asked for, and a default one where there is none of a family.
pub(super) fn chosen(
    mut asked: Vec<Asked>,
    families: (bool, bool),
    site: &Site<'_>,
) -> Result<Vec<Subnet>, NetworkError> {
    let mut taken: Vec<IpNetwork> = without_ways_out(site.routes).collect();
    taken.extend(site.avoid);
    taken.extend(site.clusters.iter().map(|cluster| cluster.net));
    taken.extend(asked.iter().filter_map(|one| match one {
        Asked::Given(subnet) => Some(subnet.net),
        Asked::Size { .. } => None,
    }));
    let others = site.networks.iter().flat_map(|network| &network.subnets);
    taken.extend(others.map(|subnet| subnet.net));
    let mut subnets = Vec::new();
    for (v6, wanted) in [(false, families.0), (true, families.1)] {
        let of_family: Vec<Asked> = asked.extract_if(.., |one| one.is_v6() == v6).collect();
        let default = (wanted && of_family.is_empty()).then_some((v6, None));
        for one in of_family {
            let net = match one {
                Asked::Given(subnet) => {
                    apart(&subnet, site)?;
                    subnets.push(subnet);
                    continue;
                }
                Asked::Size { size, .. } => choose(v6, Some(size), &taken, site)?,
            };
            taken.push(net.net);
            subnets.push(net);
        }
        if let Some((v6, size)) = default {
            subnets.push(choose(v6, size, &taken, site)?);
        }
    }
    Ok(subnets)
}

fn choose(
    v6: bool,
    size: Option<u8>,
    taken: &[IpNetwork],
    site: &Site<'_>,
) -> Result<Subnet, NetworkError> {
    let exhausted = || NetworkError::Exhausted {
        family: family(v6),
        size: size.map(|size| format!(" of size /{size}")).unwrap_or_default(),
        networks: site.networks.len(),
    };
    let net = site.pools.choose(v6, size, taken).ok_or_else(exhausted)?;
    Ok(Subnet::bare(net))
}

/// No two networks have an address in common.
fn apart(subnet: &Subnet, site: &Site<'_>) -> Result<(), NetworkError> {
    let own = Span::of(subnet.net);
    if let Some(there) = site.clusters.iter().find(|there| Span::of(there.net).overlaps(own)) {
        return Err(NetworkError::Cluster { subnet: subnet.net, there: there.clone() });
    }
    for network in site.networks {
        for there in &network.subnets {
            if Span::of(there.net).overlaps(own) {
                let (name, there) = (network.name.clone(), there.net);
                return Err(NetworkError::Overlap { name, there });
            }
        }
    }
    Ok(())
}

/// Docker takes such a subnet without a word; the host loses a way then.
pub(super) fn clash(subnet: &Subnet, site: &Site<'_>) -> Option<String> {
    let own = Span::of(subnet.net);
    let there = without_ways_out(site.routes).filter(|net| Span::of(*net).overlaps(own));
    let there = there.min_by_key(|net| net.prefix())?;
    Some(format!("subnet {} overlaps {there}, which this host has a route to", subnet.net))
}
