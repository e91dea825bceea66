//! Why a network is not made, found or removed.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::ClusterNetwork;

/// What kind of failure it is; HTTP has a status for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked makes no sense (400).
    Invalid,
    /// It is not allowed, or something is in the way (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// There is another one (409).
    Conflict,
    /// The host did not do it (500).
    Failed,
}

/// Why a network is not made, found or removed. Texts are Docker's, with what they leave out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The body of a request.
    #[error("read the request: {0}")]
    Request(String),
    /// The name is none.
    #[error(
        "invalid network name {0:?}: use letters, digits, '_', '.' and '-', first a letter or a \
         digit, up to 128 in all"
    )]
    Name(String),
    /// The name is one of those that are always there.
    #[error("operation is not permitted on predefined {0} network")]
    Predefined(String),
    /// One of those that are always there is to go.
    #[error("{0} is a pre-defined network and cannot be removed")]
    Undeletable(String),
    /// Another network has the name.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// There is none.
    #[error("network {0} not found")]
    NotFound(String),
    /// A word that is empty.
    #[error("a network is meant by nothing: write its name, its id, or the beginning of its id")]
    NoWord,
    /// Several are meant.
    #[error("network {word} is ambiguous ({count} matches found {by})")]
    Ambiguous {
        /// What was written.
        word: String,
        /// How many are meant.
        count: usize,
        /// "on name" or "based on ID prefix".
        by: &'static str,
    },
    /// Of host and null there is one each.
    #[error("only one instance of \"{0}\" network is allowed")]
    OneInstance(&'static str),
    /// Containers are on it (the names since moby 28).
    #[error("network {network} has active endpoints ({})", active(containers))]
    Active {
        /// The network.
        network: String,
        /// Names and ids.
        containers: Vec<(String, String)>,
    },
    /// No such driver.
    #[error("plugin {0:?} not found: the drivers are bridge, overlay, macvlan and ipvlan")]
    Driver(String),
    /// Something that this version has not.
    #[error("{what} is not supported: {remedy}")]
    Unsupported {
        /// What.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// An option's value.
    #[error("invalid value for option {key}: {value:?} {why}")]
    Option {
        /// Its key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it, with the remedy.
        why: String,
    },
    /// A text that is no address or network.
    #[error("invalid {what} {text}: {why}")]
    Address {
        /// As "subnet".
        what: String,
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Flags about subnets that do not fit to each other.
    #[error("{0}")]
    Flags(String),
    /// An address of the configuration that is in use in it.
    #[error("failed to allocate {what} ({ip}): Address already in use")]
    InUse {
        /// "gateway" or "secondary ip address".
        what: String,
        /// The address.
        ip: IpAddr,
    },
    /// No address is left for the gateway.
    #[error(
        "failed to allocate gateway (): no available {family} addresses on this network's address \
         pools: all of {pool} are taken; give a larger --subnet or --ip-range, or --gateway"
    )]
    NoGateway {
        /// "IPv4" or "IPv6".
        family: &'static str,
        /// Where one was looked for.
        pool: IpNetwork,
    },
    /// Two subnets of a family.
    #[error("bridge driver doesn't support multiple subnets: {0} and {1}")]
    Several(IpNetwork, IpNetwork),
    /// Two subnets of the request overlap.
    #[error("multiple overlapping subnet configuration is not supported: {0} and {1}")]
    OwnOverlap(IpNetwork, IpNetwork),
    /// Another network has addresses of it.
    #[error("Pool overlaps with other one on this address space: network {name} has {there}")]
    Overlap {
        /// Whose.
        name: String,
        /// What it has.
        there: IpNetwork,
    },
    /// A cluster has addresses of it.
    #[error(
        "Pool overlaps with other one on this address space: {subnet} overlaps {there}; give another \
         --subnet"
    )]
    Cluster {
        /// What was asked for.
        subnet: IpNetwork,
        /// What the cluster has.
        there: ClusterNetwork,
    },
    /// No default subnet is left.
    #[error(
        "all predefined address pools have been fully subnetted: no {family} subnet{size} is free of \
         the host's routes, its clusters, --avoid and the {networks} networks there are; remove networks that are \
         not used (`netd network prune`), or give --subnet"
    )]
    Exhausted {
        /// "IPv4" or "IPv6".
        family: &'static str,
        /// As " of size /24", where one was asked for.
        size: String,
        /// How many networks there are.
        networks: usize,
    },
    /// Neither family.
    #[error("IPv4 or IPv6 must be enabled")]
    NoFamily,
    /// The network would be the whole cluster's.
    #[error(
        "{0} makes networks of the whole cluster, which are in etcd, and this netd runs without: \
         start it without --standalone, with --etcd-endpoints"
    )]
    NoCluster(String),
    /// Another network has the bridge.
    #[error(
        "cannot create network {name}: conflicts with network {other}: networks have same bridge name {bridge}"
    )]
    SameBridge {
        /// The new one.
        name: String,
        /// The other.
        other: String,
        /// The bridge.
        bridge: String,
    },
    /// The parent is taken.
    #[error("network {other} is already using parent interface {parent}")]
    ParentInUse {
        /// By whom.
        other: String,
        /// The parent.
        parent: String,
    },
    /// A link has the bridge's name.
    #[error("existing interface {0} is not a bridge")]
    NotABridge(String),
    /// A filter that there is not.
    #[error("Invalid filter '{0}'")]
    Filter(String),
    /// A filter's value.
    #[error("{0}")]
    FilterValue(String),
    /// The host's network.
    #[error("{action}: {why}")]
    Host {
        /// What was tried.
        action: String,
        /// Why it failed.
        why: String,
    },
}

impl NetworkError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Predefined(_)
            | Self::Undeletable(_)
            | Self::OneInstance(_)
            | Self::InUse { .. }
            | Self::NoGateway { .. }
            | Self::Overlap { .. }
            | Self::Cluster { .. }
            | Self::SameBridge { .. }
            | Self::ParentInUse { .. }
            | Self::Active { .. }
            | Self::NoCluster(_)
            | Self::NotABridge(_) => Kind::Forbidden,
            Self::NotFound(_) | Self::Driver(_) => Kind::NotFound,
            Self::Exists(_) => Kind::Conflict,
            Self::Exhausted { .. } | Self::Host { .. } => Kind::Failed,
            Self::Request(_)
            | Self::Name(_)
            | Self::NoWord
            | Self::Ambiguous { .. }
            | Self::Unsupported { .. }
            | Self::Option { .. }
            | Self::Address { .. }
            | Self::Flags(_)
            | Self::Several(..)
            | Self::OwnOverlap(..)
            | Self::NoFamily
            | Self::Filter(_)
            | Self::FilterValue(_) => Kind::Invalid,
        }
    }
}

fn active(containers: &[(String, String)]) -> String {
    let each = containers.iter().map(|(name, id)| format!("name:{name:?} id:{id:?}"));
    each.collect::<Vec<_>>().join(", ")
}
