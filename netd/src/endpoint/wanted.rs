//! What is asked for, read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netd_api::attach::Attach;
use netstate::{LinkName, Mac};

use super::{Dynamic, EndpointError, Published};

/// What stands for the interface in the name of a sysctl.
const IFNAME: &str = "IFNAME";

/// Longest id of a container: a file is called by it.
const LONGEST: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The container's id.
    pub container: String,
    /// The interface's name.
    pub ifname: Option<LinkName>,
    /// What it is called.
    pub names: Vec<String>,
    /// Published ports.
    pub ports: Vec<Published>,
    /// The ports of the host of which those are that are still to be chosen.
    pub dynamic: Dynamic,
    /// Whoever runs the container holds them itself.
    pub ports_held: bool,
    /// Addresses, at most one of a family; a single address has the whole length as prefix.
    pub ips: Vec<IpNetwork>,
    /// The link-layer address.
    pub mac: Option<Mac>,
    /// For the default route.
    pub gw_priority: i32,
    /// Sysctls of its interface, as paths below `/proc/sys` with [`IFNAME`] in them.
    pub sysctls: BTreeMap<String, String>,
    /// The container runs already.
    pub live: bool,
    /// It is for the way out of overlays alone.
    pub is_gateway: bool,
}

impl Wanted {
    /// Reads a request; `dynamic` are the ports of the host where any will do.
    ///
    /// # Errors
    /// [`EndpointError::Request`] at the first key whose value makes no sense.
    pub fn read(request: &Attach, dynamic: &Dynamic) -> Result<Self, EndpointError> {
        container(&request.container)?;
        let ifname = request.ifname.as_deref().map(ifname).transpose()?;
        let ips: Vec<IpNetwork> =
            request.ips.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        for v6 in [false, true] {
            let mut of_family = ips.iter().filter(|ip| ip.is_ipv6() == v6);
            if let (Some(first), Some(second)) = (of_family.next(), of_family.next()) {
                let why = format!("{} and {} are of one family: give one", first.ip(), second.ip());
                return Err(wrong("ips", &why));
            }
        }
        let ports = request.ports.iter().enumerate();
        let mut ports: Vec<Published> =
            ports.map(|(at, port)| Published::read(at, port, dynamic)).collect::<Result<_, _>>()?;
        // The same twice is the same; ports to be chosen are as many as were asked for.
        let mut seen = BTreeSet::new();
        ports.retain(|port| port.range.is_some() || seen.insert(port.clone()));
        Published::distinct(&ports, |one, other| one == other)?;
        let mut names = request.names.clone();
        for alias in &request.aliases {
            name(alias)?;
            if !names.contains(alias) {
                names.push(alias.clone());
            }
        }
        Ok(Self {
            container: request.container.clone(),
            ifname,
            names,
            ports,
            dynamic: dynamic.clone(),
            ports_held: request.ports_held,
            ips,
            mac: request.mac.as_deref().map(mac).transpose()?,
            gw_priority: request.gw_priority,
            sysctls: request.sysctls.iter().map(sysctl).collect::<Result<_, _>>()?,
            live: request.live,
            is_gateway: false,
        })
    }
}

impl Wanted {
    /// The sysctls of an interface that is called so.
    #[must_use]
    pub fn sysctls_of(&self, ifname: &LinkName) -> BTreeMap<String, String> {
        let own = |key: &String| key.replacen(IFNAME, ifname.as_str(), 1);
        self.sysctls.iter().map(|(key, value)| (own(key), value.clone())).collect()
    }
}

/// Checks a container's id: as in the CNI specification, section 2.
///
/// # Errors
/// [`EndpointError::Request`].
pub(super) fn container(id: &str) -> Result<(), EndpointError> {
    if cni::skel::validate_container_id(id).is_ok() && id.len() <= LONGEST {
        return Ok(());
    }
    let why = format!(
        "{id:?} is no id: use letters, digits, '_', '.' and '-', first a letter or a digit, up to \
         {LONGEST} in all"
    );
    Err(wrong("container", &why))
}

/// Checks a name that somebody chose to be found by: one that no question could name, or that would not be
/// shown as it is, is a mistake. Labels have up to 63 bytes (RFC 1035, section 2.3.4).
fn name(text: &str) -> Result<(), EndpointError> {
    let is_label = |label: &str| {
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(is_plain)
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(());
    }
    let why = format!(
        "{text:?} is no name that can be found: use letters, digits, '-', '_' and '.', up to 63 bytes \
         between dots and 253 in all"
    );
    Err(wrong("aliases", &why))
}

fn ifname(text: &str) -> Result<LinkName, EndpointError> {
    match LinkName::new(text) {
        Ok(name) if name != LinkName::lo() => Ok(name),
        Ok(_) => Err(wrong("ifname", "lo is every namespace's own: choose another name")),
        Err(error) => Err(wrong("ifname", &error.to_string())),
    }
}

fn address(text: &str) -> Result<IpNetwork, EndpointError> {
    let single = text.parse::<IpAddr>().map(IpNetwork::from).ok();
    single.or_else(|| ipam::parse_cidr(text).ok()).ok_or_else(|| {
        wrong("ips", &format!("{text:?} is no address: write it as 172.30.0.9 or 172.30.0.9/24"))
    })
}

fn mac(text: &str) -> Result<Mac, EndpointError> {
    let mac: Mac = text.parse().map_err(|error| wrong("mac", &format!("{error}")))?;
    if mac.is_unicast() {
        return Ok(mac);
    }
    let why = format!("{mac} is not a unicast address: the lowest bit of its first byte must be 0");
    Err(wrong("mac", &why))
}

/// Only what is the interface's own, as in Docker: the rest of a namespace is its runtime's.
fn sysctl((key, value): (&String, &String)) -> Result<(String, String), EndpointError> {
    let is_word = |text: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !text.is_empty() && text.chars().all(is_plain)
    };
    match key.split('.').collect::<Vec<_>>().as_slice() {
        ["net", family @ ("ipv4" | "ipv6" | "mpls"), group, "IFNAME" | "ifname", name]
            if is_word(group) && is_word(name) && !value.is_empty() =>
        {
            Ok((format!("net/{family}/{group}/{IFNAME}/{name}"), value.clone()))
        }
        _ => {
            let why = format!(
                "unrecognised network interface sysctl '{key}={value}'; represent 'net.X.Y.ethN.Z=V' as \
                 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            );
            Err(wrong("sysctls", &why))
        }
    }
}

pub(super) fn wrong(key: &str, why: &str) -> EndpointError {
    EndpointError::Request { key: key.to_owned(), why: why.to_owned() }
}
