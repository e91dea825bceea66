//! The interface below macvlan and ipvlan networks.

use netstate::LinkName;

use super::options::{DirectMode, DirectOptions};
use super::{Driver, Network, NetworkError, Scope, Site};

/// Checks the parent of a new network; without one, its containers reach only each other.
///
/// # Errors
/// Where the host has no such interface, or another network has it for itself.
pub(super) fn check(options: &DirectOptions, site: &Site<'_>) -> Result<(), NetworkError> {
    let Some(name) = &options.parent else { return Ok(()) };
    if let Some(why) = missing(name, site)? {
        return Err(refused(name, why.to_owned()));
    }
    is_free(options.mode, name, site.networks.iter().copied())
}

/// Checks that of a new network of the cluster, which each host has for itself; gives what its user is to be
/// told. The wire at it is all by which containers of several hosts reach each other.
///
/// # Errors
/// Where hosts cannot share it, or a network on this one has it for itself.
pub(super) fn check_of_cluster(
    options: &DirectOptions,
    internal: bool,
    site: &Site<'_>,
) -> Result<Option<String>, NetworkError> {
    let refuse = |what: &str, remedy| {
        let what = format!("{what} with --scope global");
        Err(NetworkError::Unsupported { what, remedy })
    };
    let Some(name) = options.parent.as_ref().filter(|_| !internal) else {
        let what = if internal { "--internal" } else { "a network without a parent" };
        return refuse(
            what,
            "its containers would reach none of another host: give -o parent=INTERFACE, the name of \
             one that all hosts have, and no --internal",
        );
    };
    if options.host_access {
        return refuse(
            "option host_access",
            "every host would have the same address on it: leave it out, or make a network of scope \
             local on each host, each with an --ip-range of its own",
        );
    }
    if options.mode.is_routed() {
        return refuse(
            "option ipvlan_mode with a value other than l2",
            "each host's containers would need routes of their own to it: write l2",
        );
    }
    is_free(options.mode, name, site.networks.iter().copied())?;
    let why = missing(name, site)?;
    Ok(why.map(|why| {
        format!(
            "option parent: {name} {why}: until it has, its containers cannot be on the network"
        )
    }))
}

/// Whether this host's networks leave the parent to one of the cluster, which another host may have made.
///
/// # Errors
/// [`NetworkError::ParentInUse`].
pub fn is_free_for<'n>(
    network: &Network,
    networks: impl Iterator<Item = &'n Network>,
) -> Result<(), NetworkError> {
    if network.scope == Scope::Local || !is_direct(network) {
        return Ok(());
    }
    let DirectOptions { parent, mode, .. } = DirectOptions::read(network.driver, &network.options)?;
    let Some(name) = parent else { return Ok(()) };
    is_free(mode, &name, networks.filter(|other| other.id != network.id))
}

/// Whether the parent of a new network is somebody else's: there, and not made for another network.
pub(super) fn is_adopted(options: &DirectOptions, site: &Site<'_>) -> bool {
    let Some(name) = &options.parent else { return false };
    let is_made = |network: &&Network| is_on(network, name) && !network.adopted;
    site.links.contains(name) && !site.networks.iter().any(is_made)
}

/// The interface and the VLAN that a sub-interface is of by its name, as `eth0.10` is.
pub(super) fn vlan(name: &LinkName) -> Option<(LinkName, u16)> {
    let (below, vlan) = name.as_str().split_once('.')?;
    let vlan = vlan.parse().ok().filter(|vlan| (1..=4094).contains(vlan))?;
    Some((LinkName::new(below).ok()?, vlan))
}

/// What a parent is not, unless it is there, or is a VLAN of one that is.
fn missing(name: &LinkName, site: &Site<'_>) -> Result<Option<&'static str>, NetworkError> {
    if site.links.contains(name) {
        return Ok(None);
    }
    if name.as_str().split('.').count() != 2 {
        return Ok(Some("is no interface of this host, and no subinterface as eth0.10"));
    }
    match vlan(name) {
        None => Err(refused(name, "names no VLAN from 1 to 4094".to_owned())),
        Some((below, _)) if site.links.contains(&below) => Ok(None),
        Some(_) => Ok(Some("names a VLAN of an interface that this host does not have")),
    }
}

fn refused(name: &LinkName, why: String) -> NetworkError {
    NetworkError::Option { key: "parent".to_owned(), value: name.to_string(), why }
}

/// An ipvlan has its parent for itself, and so has a macvlan that takes it over.
fn is_free<'n>(
    mode: DirectMode,
    name: &LinkName,
    mut networks: impl Iterator<Item = &'n Network>,
) -> Result<(), NetworkError> {
    let is_alone = |mode: DirectMode| matches!(mode, DirectMode::IpVlan(..)) || mode.takes_over();
    let of_another = |network: &&Network| {
        let there = DirectOptions::read(network.driver, &network.options);
        is_on(network, name) && (is_alone(mode) || there.is_ok_and(|there| is_alone(there.mode)))
    };
    match networks.find(of_another) {
        None => Ok(()),
        Some(other) => {
            let (other, parent) = (other.name.clone(), name.to_string());
            Err(NetworkError::ParentInUse { other, parent })
        }
    }
}

/// Whether a network is on this parent. An internal one is on a link of its own.
fn is_on(network: &Network, name: &LinkName) -> bool {
    is_direct(network)
        && !network.internal
        && network.options.get("parent").is_some_and(|parent| parent == name.as_str())
}

fn is_direct(network: &Network) -> bool {
    matches!(network.driver, Driver::Macvlan | Driver::Ipvlan)
}
