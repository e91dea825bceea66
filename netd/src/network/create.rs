//! From a request to a network, beside those there are.

use ipnetwork::IpNetwork;
use netstate::LinkName;

use super::options::{self, BridgeOptions, DirectOptions, GatewayMode};
use super::overlay::{self, number_segments};
use super::subnets::{self, Asked};
use super::{
    ClusterNetwork, CreateRequest, Device, Driver, Id, Moment, Network, NetworkError, Pools, Scope,
    Vni, allot, is_predefined, parent, scope_of,
};

/// Longest name: a directory is called by it, and comments of elements begin with it.
const LONGEST: usize = 128;

/// What a new network has to fit to.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The networks there are.
    pub networks: &'a [&'a Network],
    /// Networks of the host's routes.
    pub routes: &'a [IpNetwork],
    /// Networks of the host's clusters.
    pub clusters: &'a [ClusterNetwork],
    /// What must not be chosen.
    pub avoid: &'a [IpNetwork],
    /// Where subnets come from.
    pub pools: &'a Pools,
    /// The host's links.
    pub links: &'a [LinkName],
    /// Its VXLAN devices on the port of overlays: beside one of a number there is no other.
    pub tunnels: &'a [(Vni, LinkName)],
    /// Kinds of links that its kernel does not have.
    pub lacking: &'a [&'static str],
}

/// A network, and what its user is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The network.
    pub network: Network,
    /// Sentences.
    pub warnings: Vec<String>,
}

/// Decides what a request means.
///
/// # Errors
/// The first thing that makes no sense, or is in the way.
pub fn create(
    request: CreateRequest,
    id: Id,
    now: Moment,
    site: &Site<'_>,
) -> Result<Created, NetworkError> {
    named(&request.name, site)?;
    let driver = driver(&request)?;
    let scope = scope_of(&request)?;
    unsupported(&request)?;
    let mut warnings = without_effect(driver, &request)?;
    let place = placed((driver, scope), &request, &id, site)?;
    let Place { internal, gateways, adopted, host_access, warning } = place;
    warnings.extend(warning);
    let asked: Vec<Asked> =
        request.ipam.config.iter().map(subnets::read).collect::<Result<_, _>>()?;
    let families = allot::families(&request, &asked)?;
    has_room_for_ipv6(&request, families.1)?;
    allot::one_per_family(driver, &asked)?;
    let of_cluster = site.pools.of_cluster();
    let pools = if scope == Scope::Global { &of_cluster } else { site.pools };
    let mut subnets = allot::chosen(asked, families, &Site { pools, ..*site })?;
    if matches!(driver, Driver::Bridge | Driver::Overlay) {
        warnings.extend(subnets.iter().filter_map(|subnet| allot::clash(subnet, site)));
        subnets.iter_mut().try_for_each(|subnet| allot::give_gateway(subnet, gateways))?;
    }
    if host_access {
        subnets.iter_mut().try_for_each(allot::give_host_address)?;
    }
    let mut network = Network {
        id,
        name: request.name,
        scope,
        created: now,
        driver,
        ipv4: families.0,
        ipv6: families.1,
        subnets,
        internal,
        attachable: request.attachable,
        options: request.options,
        labels: request.labels,
        ipam_options: request.ipam.options,
        adopted,
    };
    if driver == Driver::Overlay {
        overlay::one_segment(&network)?;
        number_segments(&mut network, &overlay::taken(site))?;
    }
    Ok(Created { network, warnings })
}

/// What the options of the driver make of a network.
struct Place {
    internal: bool,
    /// Of IPv4 and of IPv6.
    gateways: (GatewayMode, GatewayMode),
    /// The parent was there before.
    adopted: bool,
    /// The host is to have an address, too.
    host_access: bool,
    /// What its user is to be told.
    warning: Option<String>,
}

impl Place {
    /// Of a network with nothing beside it on the host.
    fn plain(internal: bool, gateways: (GatewayMode, GatewayMode)) -> Self {
        Self { internal, gateways, adopted: false, host_access: false, warning: None }
    }
}

/// Sentences about options that the driver does not know.
fn without_effect(driver: Driver, request: &CreateRequest) -> Result<Vec<String>, NetworkError> {
    let unknown = options::check(driver, &request.options)?;
    let told = |key: &String| {
        format!("option {key} is not known to driver {} and has no effect", driver.name())
    };
    Ok(unknown.iter().map(told).collect())
}

fn placed(
    (driver, scope): (Driver, Scope),
    request: &CreateRequest,
    id: &Id,
    site: &Site<'_>,
) -> Result<Place, NetworkError> {
    if driver == Driver::Bridge {
        return Ok(Place::plain(request.internal, bridge(request, id, site)?));
    }
    let gateways = (GatewayMode::Nat, GatewayMode::Nat);
    if driver == Driver::Overlay {
        return Ok(Place::plain(request.internal, gateways));
    }
    let options = DirectOptions::read(driver, &request.options)?;
    let is_lacking = site.lacking.contains(&driver.name());
    if scope == Scope::Global {
        // What a host has by that name is each host's own affair, and so is its kernel.
        let warning = parent::check_of_cluster(&options, request.internal, site)?;
        let lacking = is_lacking.then(|| {
            format!("this host's kernel has no {} links: no container here is on it", driver.name())
        });
        return Ok(Place { warning: warning.or(lacking), ..Place::plain(false, gateways) });
    }
    if is_lacking {
        return Err(NetworkError::Unsupported {
            what: format!("driver {}", driver.name()),
            remedy: "this host's kernel has no such links: load the module of that name, or take another driver",
        });
    }
    parent::check(&options, site)?;
    // Without a parent nothing leads out; and with --internal no parent is used, as in Docker.
    let internal = request.internal || options.parent.is_none();
    let adopted = !internal && parent::is_adopted(&options, site);
    Ok(Place { internal, gateways, adopted, host_access: options.host_access, warning: None })
}

/// A name of a CNI network (CNI spec, section 1) that nobody has.
fn named(name: &str, site: &Site<'_>) -> Result<(), NetworkError> {
    if is_predefined(name) || name == "default" {
        return Err(NetworkError::Predefined(name.to_owned()));
    }
    if cni::skel::validate_network_name(name).is_err() || name.len() > LONGEST {
        return Err(NetworkError::Name(name.to_owned()));
    }
    match site.networks.iter().any(|network| network.name == name) {
        true => Err(NetworkError::Exists(name.to_owned())),
        false => Ok(()),
    }
}

pub(super) fn driver(request: &CreateRequest) -> Result<Driver, NetworkError> {
    match request.driver.as_str() {
        "" | "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        "ipvlan" => Ok(Driver::Ipvlan),
        "overlay" => Ok(Driver::Overlay),
        "host" => Err(NetworkError::OneInstance("host")),
        "null" => Err(NetworkError::OneInstance("null")),
        other => Err(NetworkError::Driver(other.to_owned())),
    }
}

/// What Docker has for Swarm, and other address managements.
fn unsupported(request: &CreateRequest) -> Result<(), NetworkError> {
    let refuse =
        |what: &str, remedy| Err(NetworkError::Unsupported { what: what.to_owned(), remedy });
    if request.ingress {
        return refuse("an ingress network", "it is Swarm's: leave it out");
    }
    if request.config_only || !request.config_from.network.is_empty() {
        return refuse("a configuration that is no network", "give each network its options");
    }
    if !matches!(request.ipam.driver.as_str(), "" | "default") {
        let what = format!("address management {:?}", request.ipam.driver);
        return refuse(&what, "leave it out, or say default");
    }
    Ok(())
}

/// The kernel has no IPv6 on an interface of a smaller MTU (`IPV6_MIN_MTU`, RFC 8200, section 5).
fn has_room_for_ipv6(request: &CreateRequest, has_ipv6: bool) -> Result<(), NetworkError> {
    let mtu = options::mtu(&request.options)?;
    match mtu.filter(|mtu| has_ipv6 && *mtu < 1280) {
        None => Ok(()),
        Some(mtu) => Err(NetworkError::Option {
            key: options::MTU.to_owned(),
            value: mtu.to_string(),
            why: "is too small for IPv6: write 1280 or more, or leave --ipv6 out".to_owned(),
        }),
    }
}

/// Checks what only makes sense together; gives the gateway modes.
fn bridge(
    request: &CreateRequest,
    id: &Id,
    site: &Site<'_>,
) -> Result<(GatewayMode, GatewayMode), NetworkError> {
    let options = BridgeOptions::read(&request.options)?;
    let modes = (options.gateway_v4, options.gateway_v6);
    let families = [("ipv4", modes.0), ("ipv6", modes.1)];
    let isolated = families.iter().find(|(_, mode)| *mode == GatewayMode::Isolated);
    if let Some((family, _)) = isolated.filter(|_| !request.internal) {
        return Err(NetworkError::Option {
            key: format!("com.docker.network.bridge.gateway_mode_{family}"),
            value: "isolated".to_owned(),
            why: "can only be used for an internal network: add --internal".to_owned(),
        });
    }
    let device = |network: &Network| Device::name_of(network).ok().flatten();
    let own = options.name.or_else(|| id.bridge().ok());
    if let Some(own) = own
        && let Some(other) = site.networks.iter().find(|other| device(other).as_ref() == Some(&own))
    {
        return Err(NetworkError::SameBridge {
            name: request.name.clone(),
            other: other.name.clone(),
            bridge: own.to_string(),
        });
    }
    Ok(modes)
}
