//! Sets of networks.

use super::DataType;

/// A set of networks of one family, as constant as rules are: an address is in it if it is in one
/// of them. Changing it costs by the number of networks (an interval set), so it is for few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSet {
    /// Name.
    pub name: String,
    /// The networks, at least one, of one family, host bits zero; none is part of another.
    pub networks: Vec<ipnetwork::IpNetwork>,
}

impl NetworkSet {
    /// The type of what is looked up.
    #[must_use]
    pub fn key(&self) -> DataType {
        if self.networks.iter().all(ipnetwork::IpNetwork::is_ipv6) {
            DataType::Ipv6Addr
        } else {
            DataType::Ipv4Addr
        }
    }
}
