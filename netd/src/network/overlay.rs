//! Networks of driver `overlay`: a bridge on every host, and VXLAN between them.

use std::collections::BTreeMap;

use netstate::LinkName;

use super::options::OverlayOptions;
use super::{Network, NetworkError, Scope, Site, Subnet, Vni};

/// What is one link-layer network of an overlay: a subnet, or one of each family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'n> {
    /// Its number between hosts.
    pub vni: Vni,
    /// IPv4 first.
    pub subnets: Vec<&'n Subnet>,
}

impl Network {
    /// The link-layer networks of an overlay, in the order of their subnets; none of another network.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment<'_>> {
        let mut all: Vec<Segment<'_>> = Vec::new();
        for subnet in &self.subnets {
            let Some(vni) = subnet.vni else { continue };
            match all.iter_mut().find(|segment| segment.vni == vni) {
                Some(segment) => segment.subnets.push(subnet),
                None => all.push(Segment { vni, subnets: vec![subnet] }),
            }
        }
        all
    }

    /// The numbers of an overlay.
    pub fn vnis(&self) -> impl Iterator<Item = Vni> {
        self.segments().into_iter().map(|segment| segment.vni)
    }
}

/// Gives an overlay its numbers: those that its options name, else those that are free, beginning at
/// random. Those that it has it loses: another network was given one at the same moment. `taken` says who has each that is not.
///
/// # Errors
/// [`NetworkError`], where one that is named is taken, or not every subnet has one.
pub fn number_segments(
    network: &mut Network,
    taken: &BTreeMap<Vni, String>,
) -> Result<(), NetworkError> {
    let named = OverlayOptions::read(&network.options)?.vnis;
    // With IPv6 there is one subnet of each family, and both are one segment.
    let count = if network.ipv6 { 1 } else { network.subnets.len() };
    if !named.is_empty() && named.len() != count {
        let why = format!("has {} numbers: this network needs {count}", named.len());
        return Err(named_wrongly(network, why));
    }
    if let Some((vni, who)) = named.iter().find_map(|vni| taken.get_key_value(vni)) {
        let why = format!("names VNI {vni}, which {who} has: leave it out, or name another");
        return Err(named_wrongly(network, why));
    }
    let mut next = Vni::of(&network.id);
    let mut free = || {
        // There are eight million, and as many transactions do not fit into a day.
        while taken.contains_key(&next) {
            next = next.next();
        }
        let found = next;
        next = found.next();
        found
    };
    let mut numbers = named.into_iter();
    let mut number = || numbers.next().unwrap_or_else(&mut free);
    let mut vni = number();
    for (at, subnet) in network.subnets.iter_mut().enumerate() {
        if at > 0 && !network.ipv6 {
            vni = number();
        }
        subnet.vni = Some(vni);
    }
    Ok(())
}

/// The numbers that are somebody's, with who that is: of the networks there are, and of devices of the host's own.
pub(super) fn taken(site: &Site<'_>) -> BTreeMap<Vni, String> {
    let device = |(vni, name): &(Vni, LinkName)| (*vni, format!("device {name} of this host"));
    let networks = site.networks.iter().flat_map(|network| network.vnis());
    let networks = networks.map(|vni| (vni, "another network".to_owned()));
    site.tunnels.iter().map(device).chain(networks).collect()
}

/// An interface is in one segment: with both families there is one subnet of each.
pub(super) fn one_segment(network: &Network) -> Result<(), NetworkError> {
    let several = network.subnets.iter().filter(|subnet| subnet.net.is_ipv4()).count() > 1
        || network.subnets.iter().filter(|subnet| subnet.net.is_ipv6()).count() > 1;
    match network.scope == Scope::Global && network.ipv6 && several {
        false => Ok(()),
        true => Err(NetworkError::Unsupported {
            what: "an overlay with IPv6 and several subnets of a family".to_owned(),
            remedy: "give one --subnet of each family, or make several networks",
        }),
    }
}

fn named_wrongly(network: &Network, why: String) -> NetworkError {
    let key = OverlayOptions::VNIS;
    let value = network.options.get(key).cloned().unwrap_or_default();
    NetworkError::Option { key: key.to_owned(), value, why }
}
