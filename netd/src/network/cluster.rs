//! Networks of clusters, of which a host's own networks have no address.

use std::fmt;

use ipnetwork::IpNetwork;

/// A network of a cluster that this host is in: its addresses are those of containers of all hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNetwork {
    /// What the host calls it; empty for the only one.
    pub name: String,
    /// All of it.
    pub net: IpNetwork,
}

impl fmt::Display for ClusterNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, net } = self;
        match name.as_str() {
            "" => write!(f, "{net}, which is the network of this host's cluster"),
            name => write!(f, "{net}, which is network {name} of this host's clusters"),
        }
    }
}
