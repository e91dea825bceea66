//! `subnet.env`: a host's subnet, as flannel writes it and its CNI plugin reads it.
//!
//! There are two ways to read it, because flannel has two. Its CNI plugin takes it by the letter
//! ([`SubnetEnv::read`]); the daemon looks for what it had before in a file that somebody may
//! have edited, and takes what makes sense ([`Previous::read`]).
//!
//! Source: flannel 0.28, `WriteSubnetFile` and `ReadCIDRsFromSubnetFile` of `pkg/subnet`;
//! flannel's CNI plugin 1.9, `loadFlannelSubnetEnv`.

mod dotenv;
mod error;
mod parse;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnetwork::{Ipv4Network, Ipv6Network};

use crate::file::{self, Modes};

pub use dotenv::Previous;
pub use error::{Error, Fault};

/// Where it is, unless said otherwise.
pub const PATH: &str = "/run/flannel/subnet.env";

/// Where those of several networks are, each `NAME.env`, unless said otherwise.
pub const DIR: &str = "/run/flannel/networks";

/// Both readable by everybody: Docker's unit and people read it.
const MODES: Modes = Modes { file: 0o644, dir: 0o755 };

/// A host's part of the cluster's network. `Display` is the file's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetEnv {
    /// The cluster's IPv4 networks, of which flannel writes one.
    pub networks: Vec<Ipv4Network>,
    /// The host's subnet, as the address of its gateway in it: `10.5.72.1/24`.
    pub subnet: Option<Ipv4Network>,
    /// The cluster's IPv6 networks.
    pub ipv6_networks: Vec<Ipv6Network>,
    /// The host's IPv6 subnet, as the address of its gateway in it.
    pub ipv6_subnet: Option<Ipv6Network>,
    /// What containers may send at once, in bytes.
    pub mtu: u32,
    /// Whether the daemon masquerades what leaves the network, so that nobody else need do it.
    pub ip_masq: bool,
}

impl SubnetEnv {
    /// What a daemon writes of its lease: the cluster's networks and its subnets, by their base
    /// addresses. A gateway has the first address after that.
    #[must_use]
    pub fn of_lease(
        v4: Option<(Ipv4Network, Ipv4Network)>,
        v6: Option<(Ipv6Network, Ipv6Network)>,
        mtu: u32,
        ip_masq: bool,
    ) -> Self {
        Self {
            networks: v4.iter().map(|(network, _)| *network).collect(),
            subnet: v4.and_then(|(_, subnet)| gateway_v4(subnet)),
            ipv6_networks: v6.iter().map(|(network, _)| *network).collect(),
            ipv6_subnet: v6.and_then(|(_, subnet)| gateway_v6(subnet)),
            mtu,
            ip_masq,
        }
    }

    /// Reads the file as flannel's CNI plugin does.
    ///
    /// # Errors
    /// It is not there, or cannot be read; a value is wrong; something is missing.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(error::file("read", path))?;
        Self::parse(&String::from_utf8_lossy(&text)).map_err(error::content(path))
    }

    /// Reads the file's text: lines of `KEY=VALUE`, by the letter. Keys it does not know are
    /// ignored. Subnets are kept with the gateway's address.
    ///
    /// # Errors
    /// The first line that is wrong, or all keys that are missing.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        parse::parse(text)
    }

    /// Writes the file, readable by everybody, so that no reader ever sees half of it.
    ///
    /// # Errors
    /// The file is as it was.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let written = file::replace(path, self.to_string().as_bytes(), MODES);
        written.map_err(error::file("write", path))
    }
}

impl fmt::Display for SubnetEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        family(f, "FLANNEL_NETWORK", &self.networks, "FLANNEL_SUBNET", self.subnet)?;
        let (networks, subnet) = (&self.ipv6_networks, self.ipv6_subnet);
        family(f, "FLANNEL_IPV6_NETWORK", networks, "FLANNEL_IPV6_SUBNET", subnet)?;
        writeln!(f, "FLANNEL_MTU={}", self.mtu)?;
        writeln!(f, "FLANNEL_IPMASQ={}", self.ip_masq)
    }
}

fn family<N: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    network_key: &str,
    networks: &[N],
    subnet_key: &str,
    subnet: Option<N>,
) -> fmt::Result {
    if !networks.is_empty() {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        writeln!(f, "{network_key}={}", networks.join(","))?;
    }
    subnet.map_or(Ok(()), |subnet| writeln!(f, "{subnet_key}={subnet}"))
}

fn gateway_v4(subnet: Ipv4Network) -> Option<Ipv4Network> {
    let gateway = Ipv4Addr::from_bits(subnet.network().to_bits().wrapping_add(1));
    Ipv4Network::new(gateway, subnet.prefix()).ok()
}

fn gateway_v6(subnet: Ipv6Network) -> Option<Ipv6Network> {
    let gateway = Ipv6Addr::from_bits(subnet.network().to_bits().wrapping_add(1));
    Ipv6Network::new(gateway, subnet.prefix()).ok()
}

#[cfg(test)]
mod tests;
