//! The address by which other hosts reach this one for networks of the cluster: one of IPv4, or where a host
//! has none of IPv6.

use std::net::{IpAddr, Ipv6Addr};

use kernel::Uplink;
use netstate::LinkName;

use super::address::{first_v6, owns, usable};
use super::{Seen, Underlay, Unsuitable, as_v6, choose};
use crate::config::options::IfaceOptions;

/// Where frames of networks of the cluster leave and arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// The interface.
    pub link: LinkName,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its address: the source of outer packets.
    pub address: IpAddr,
    /// The address that others send to.
    pub public: IpAddr,
}

/// Chooses as [`choose`] does; by the same options an address of IPv6, where `--iface` names one or there is
/// none of IPv4.
///
/// # Errors
/// Those of [`choose`], where there is no address of IPv6 either.
pub fn choose_carrier(options: &IfaceOptions, seen: &Seen) -> Result<Carrier, Unsuitable> {
    let found =
        choose(options, false, seen).map(|Underlay { link, mtu, v4, public_v4, .. }| {
            let uplink = seen.links.iter().find(|it| it.name == link);
            let public = public_v4.into();
            Carrier { link, mtu, address: source(uplink, v4.into(), public), public }
        });
    let is_asked = options.iface.iter().any(|iface| iface.parse::<Ipv6Addr>().is_ok());
    match found {
        Ok(found) if !is_asked => Ok(found),
        found => of_v6(options, seen).map_or(found, Ok),
    }
}

/// As [`choose_carrier`], beside what is in force: one of IPv4 stays for as long as its interface has the address,
/// though another one of IPv6 would be chosen now. A default route of IPv4 that is gone for a while takes nobody from
/// hosts that are known by IPv4.
///
/// # Errors
/// Those of [`choose_carrier`].
pub fn follow_carrier(
    options: &IfaceOptions,
    seen: &Seen,
    in_force: &Carrier,
) -> Result<Carrier, Unsuitable> {
    let found = choose_carrier(options, seen)?;
    let is_left = in_force.public.is_ipv4() && found.public.is_ipv6();
    let has_it = |link: &&Uplink| {
        link.name == in_force.link && usable(link).any(|ip| ip == in_force.address)
    };
    let stays = seen.links.iter().find(has_it).filter(|_| is_left);
    Ok(stays.map_or(found, |link| Carrier { mtu: link.mtu, ..in_force.clone() }))
}

fn of_v6(options: &IfaceOptions, seen: &Seen) -> Option<Carrier> {
    let (link, asked) = candidate_of_v6(options, seen)?;
    let is_of_wire = |ip: &Ipv6Addr| !ip.is_unicast_link_local();
    let address = asked.or_else(|| first_v6(link)).filter(is_of_wire).filter(|_| link.mtu > 0)?;
    let public = options.public_ipv6.unwrap_or(address).into();
    let address = source(Some(link), address.into(), public);
    Some(Carrier { link: link.name.clone(), mtu: link.mtu, address, public })
}

/// Others let frames in from the address that they send to: where it is the interface's own it is the source, and
/// else whatever stands between translates it.
fn source(link: Option<&Uplink>, address: IpAddr, public: IpAddr) -> IpAddr {
    if link.is_some_and(|link| owns(link, public)) { public } else { address }
}

/// The interface, and the address by which it was found.
fn candidate_of_v6<'s>(
    options: &IfaceOptions,
    seen: &'s Seen,
) -> Option<(&'s Uplink, Option<Ipv6Addr>)> {
    let owner = |ip: Ipv6Addr| seen.links.iter().find(|link| owns(link, ip.into()));
    let called = |name: &str| seen.links.iter().find(|link| link.name.as_str() == name);
    let named = options.iface.iter().find_map(|iface| match iface.parse() {
        Ok(IpAddr::V6(ip)) => owner(ip).map(|link| (link, Some(ip))),
        Ok(IpAddr::V4(_)) => None,
        Err(_) => called(iface).map(|link| (link, None)),
    });
    let matching = options.iface_regex.iter().find_map(|text| {
        let regex = regex::Regex::new(text).ok()?;
        let hit = |ip: &Ipv6Addr| regex.is_match(&ip.to_string());
        let by_address = seen
            .links
            .iter()
            .find_map(|link| usable(link).filter_map(as_v6).find(hit).map(|ip| (link, Some(ip))));
        let by_name = seen.links.iter().find(|link| regex.is_match(link.name.as_str()));
        by_address.or(by_name.map(|link| (link, None)))
    });
    let reaching = seen
        .reach
        .as_ref()
        .and_then(|way| called(way.link.as_str()).map(|link| (link, way.src.and_then(as_v6))));
    let is_by_default =
        options.iface.is_empty() && options.iface_regex.is_empty() && options.can_reach.is_none();
    let by_default = || match options.public_ipv6 {
        Some(ip) => owner(ip).map(|link| (link, Some(ip))),
        None => called(seen.default_v6.as_ref()?.as_str()).map(|link| (link, None)),
    };
    let found = named.or(matching).or(reaching);
    found.or_else(|| is_by_default.then(by_default).flatten())
}
