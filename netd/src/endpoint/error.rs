//! Why a container is not attached.

use std::net::IpAddr;

use cni::Code;
use ipnetwork::IpNetwork;

use crate::network::NetworkError;

/// Why a container is not attached, checked or taken off.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A value of the request.
    #[error("{key}: {why}")]
    Request {
        /// Its key.
        key: String,
        /// What is wrong with it, with the remedy.
        why: String,
    },
    /// No namespace came with the request, or something else did.
    #[error("{0}")]
    Netns(String),
    /// Somebody has deleted the interface.
    #[error(
        "interface {ifname} of container {container} was deleted: disconnect the container, and \
         connect it again"
    )]
    Lost {
        /// The container.
        container: String,
        /// Its interface.
        ifname: String,
    },
    /// Network `none`.
    #[error(
        "container cannot be connected to multiple networks with one of the networks in private \
         (none) mode: network {0} has nothing to connect to"
    )]
    Private(String),
    /// Network `host`.
    #[error(
        "cannot connect container to host network - container must be created in host network mode"
    )]
    HostNetwork,
    /// The container is in the host's namespace.
    #[error(
        "container sharing network namespace with another container or host cannot be connected to \
         any other network: {0} is the host's own"
    )]
    SharedWithHost(String),
    /// The interface below a network is gone.
    #[error("network {network}: option parent: this host has no interface {parent}: {remedy}")]
    NoParent {
        /// The network.
        network: String,
        /// Its parent.
        parent: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The interface below a network has no room for its packets.
    #[error(
        "network {network}: option com.docker.network.driver.mtu: {mtu} is more than {most}, the MTU \
         of parent {parent}: raise that, or create the network with less"
    )]
    Mtu {
        /// The network.
        network: String,
        /// What it is to be, in bytes.
        mtu: u32,
        /// Its parent.
        parent: String,
        /// The parent's, in bytes.
        most: u32,
    },
    /// A link-layer address was asked for where all have the parent's.
    #[error(
        "mac: {mac} cannot be given on network {network}: its containers have the link-layer address \
         of their parent; leave it out"
    )]
    NoMac {
        /// What was asked for.
        mac: netstate::Mac,
        /// The network.
        network: String,
    },
    /// A parent that one container has taken over.
    #[error(
        "network {network} has macvlan_mode passthru, and {container} has its parent: detach that, or \
         create the network with macvlan_mode bridge"
    )]
    TakenOver {
        /// The network.
        network: String,
        /// Who has it.
        container: String,
    },
    /// It is there already.
    #[error("container {container} is already attached to network {network} as {ifname}")]
    Attached {
        /// Who.
        container: String,
        /// Where.
        network: String,
        /// By which interface.
        ifname: String,
    },
    /// It is not there.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// Who.
        container: String,
        /// Where.
        network: String,
    },
    /// A name that is taken in the container.
    #[error("ifname: interface {ifname:?} already exists in {netns:?}")]
    IfnameTaken {
        /// The name.
        ifname: String,
        /// Where.
        netns: String,
    },
    /// An address was asked for on the network that is always there.
    #[error(
        "user-specified IP address is supported on user-defined networks only: leave {0} out, or \
         create a network"
    )]
    NoChoice(IpAddr),
    /// A name was asked for there.
    #[error(
        "network-scoped aliases are only supported for user-defined networks: leave {0} out, or create \
         a network"
    )]
    NoAlias(String),
    /// An address of another network.
    #[error("no configured subnet contains IP address {ip}: network {network}")]
    NotOfNetwork {
        /// The address.
        ip: IpAddr,
        /// The network.
        network: String,
    },
    /// An address with another prefix length.
    #[error("ips: {wanted} has another prefix length than its subnet {subnet}: leave it out")]
    Prefix {
        /// What was asked for.
        wanted: IpNetwork,
        /// Where it is.
        subnet: IpNetwork,
    },
    /// Another has the address.
    #[error("Address already in use: {0}")]
    InUse(IpAddr),
    /// An address that this host may not give out.
    #[error(
        "address {ip} of network {network} is not this host's to give out: leave it out, or ask again \
         when the cluster's etcd is reached"
    )]
    NotOfHost {
        /// The address.
        ip: IpAddr,
        /// Its name and id.
        network: String,
    },
    /// What carries an overlay between hosts is not there.
    #[error("network {network}: {why}")]
    NoUnderlay {
        /// The network.
        network: String,
        /// What is missing, with the remedy.
        why: String,
    },
    /// The namespace of an overlay.
    #[error("make network {network} on this host: {why}")]
    Overlay {
        /// The network.
        network: String,
        /// Why it cannot be made.
        why: String,
    },
    /// None is left.
    #[error(
        "no available {family} addresses on this network's address pools: {network}; take \
         containers off it, or create a network with a larger subnet"
    )]
    Exhausted {
        /// "IPv4" or "IPv6".
        family: &'static str,
        /// Its name and id.
        network: String,
    },
    /// The container has addresses of such a network already.
    #[error(
        "network {network} ({subnet}) overlaps {there} of interface {link} in the container: use \
         another network"
    )]
    Overlap {
        /// The network.
        network: String,
        /// Its subnet.
        subnet: IpNetwork,
        /// What the container has.
        there: IpNetwork,
        /// On which interface.
        link: String,
    },
    /// A host port.
    #[error(transparent)]
    Port(#[from] crate::proxy::Error),
    /// No host port that is left to us.
    #[error(
        "all host ports {range}/{protocol} for container port {container_port} are in use: publish \
         it on others"
    )]
    NoPort {
        /// Of which.
        range: String,
        /// `tcp`, `udp` or `sctp`.
        protocol: String,
        /// What was to be published.
        container_port: u16,
    },
    /// Records and kernel.
    #[error(transparent)]
    Attach(#[from] attach::Error),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// An endpoint's file.
    #[error("{action} {}", path.display())]
    File {
        /// "write", "read", "remove".
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// What was made could not all be taken back.
    #[error("{error}; left behind: {}", left.join("; "))]
    Left {
        /// What failed first, with its causes.
        error: String,
        /// Commands that failed, each with the reason.
        left: Vec<String>,
    },
    /// No container could be attached now.
    #[error("{0}")]
    Unavailable(String),
    /// The thread or the agent.
    #[error("{0}")]
    Agent(String),
}

impl EndpointError {
    /// Whether another container has what was asked for.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        if let Self::Port(crate::proxy::Error::Refused(refused)) = self {
            return refused.holder.is_some();
        }
        matches!(
            self,
            Self::Attached { .. }
                | Self::InUse(_)
                | Self::Exhausted { .. }
                | Self::TakenOver { .. }
                | Self::NoPort { .. }
                | Self::Attach(attach::Error::Taken { .. })
        )
    }

    /// The CNI specification's number for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Request { .. }
            | Self::Private(_)
            | Self::HostNetwork
            | Self::Mtu { .. }
            | Self::NoMac { .. }
            | Self::TakenOver { .. }
            | Self::NoChoice(_)
            | Self::NoAlias(_)
            | Self::NotOfNetwork { .. }
            | Self::Prefix { .. }
            | Self::InUse(_)
            | Self::Overlap { .. }
            | Self::Network(_)
            | Self::NoPort { .. }
            | Self::Port(crate::proxy::Error::Refused(_)) => Code::InvalidConfig,
            Self::Netns(_) | Self::SharedWithHost(_) => Code::InvalidNetns,
            Self::Attached { .. } | Self::IfnameTaken { .. } => Code::InvalidEnvironment,
            Self::NotConnected { .. } => Code::UnknownContainer,
            Self::Unavailable(_) => Code::NotAvailable,
            Self::File { .. } => Code::Io,
            Self::Port(_)
            | Self::NoParent { .. }
            | Self::NoUnderlay { .. }
            | Self::Overlay { .. }
            | Self::NotOfHost { .. }
            | Self::Exhausted { .. }
            | Self::Agent(_) => Code::TryAgainLater,
            Self::Attach(source) => source.code(),
            Self::Kernel(source) => attach::kernel_code(source),
            Self::Left { .. } | Self::Lost { .. } => Code::Internal,
        }
    }
}
