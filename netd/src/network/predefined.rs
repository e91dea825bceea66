//! The networks that are always there.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;

use super::{
    Driver, Id, Moment, Network, NetworkError, Pools, Scope, Site, Subnet, allot, pools, subnets,
};

/// The network of containers that name none.
pub const BRIDGE: &str = "bridge";
/// The host's own namespace.
pub const HOST: &str = "host";
/// A namespace with `lo` alone.
pub const NONE: &str = "none";
/// The network by which containers of overlays leave this host, and its bridge. Whoever wants another subnet or
/// other options makes it beforehand.
pub const GATEWAY: &str = "netd_gwbridge";
/// The device of network [`BRIDGE`]: Docker's is `docker0`, and both may be on one host.
pub const BRIDGE_DEVICE: &str = "netd0";

/// Whether a network of this name is always there.
#[must_use]
pub fn is_predefined(name: &str) -> bool {
    matches!(name, BRIDGE | HOST | NONE)
}

/// The networks of a host that has none yet, with these routes. Network [`BRIDGE`] has no subnet where
/// none is free.
#[must_use]
pub fn of_new_host(
    now: Moment,
    among: &Pools,
    routes: &[IpNetwork],
    avoid: &[IpNetwork],
) -> Vec<Network> {
    let taken: Vec<IpNetwork> =
        pools::without_ways_out(routes).chain(avoid.iter().copied()).collect();
    let mut bridge = empty(BRIDGE, Driver::Bridge, now);
    bridge.options = default_options();
    bridge.subnets.extend(among.choose(false, None, &taken).map(|net| {
        let subnet = Subnet::bare(net);
        Subnet { gateway: subnets::first_free(&subnet), ..subnet }
    }));
    vec![bridge, empty(HOST, Driver::Host, now), empty(NONE, Driver::Null, now)]
}

/// A network with another default IPv4 subnet in the place of its own.
///
/// # Errors
/// That none is free.
pub fn elsewhere(network: Network, site: &Site<'_>) -> Result<Network, NetworkError> {
    let mut subnets = allot::chosen(Vec::new(), (true, false), site)?;
    for subnet in &mut subnets {
        subnet.gateway = subnets::first_free(subnet);
    }
    Ok(Network { subnets, ..network })
}

fn empty(name: &str, driver: Driver, created: Moment) -> Network {
    Network {
        id: Id::random(),
        name: name.to_owned(),
        created,
        scope: Scope::Local,
        driver,
        ipv4: true,
        ipv6: false,
        subnets: Vec::new(),
        internal: false,
        attachable: false,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        ipam_options: BTreeMap::new(),
        adopted: false,
    }
}

/// What Docker shows of its own.
fn default_options() -> BTreeMap<String, String> {
    [
        ("com.docker.network.bridge.default_bridge", "true"),
        ("com.docker.network.bridge.enable_icc", "true"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
        ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
        ("com.docker.network.bridge.name", BRIDGE_DEVICE),
        ("com.docker.network.driver.mtu", "1500"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
