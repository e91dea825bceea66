//! Defaults and limits of the range of subnets, the same for both families.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use super::InvalidConfig;
use super::raw::Raw;

/// The subnets of one length between two, each given by its first address as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool<N> {
    /// The prefix length of each.
    pub length: u8,
    /// The first.
    pub min: N,
    /// The last.
    pub max: N,
}

impl Pool<u32> {
    /// Whether a subnet is one of them.
    #[must_use]
    pub fn contains(&self, subnet: Ipv4Network) -> bool {
        let base = u32::from(subnet.network());
        subnet.prefix() == self.length && (self.min..=self.max).contains(&base)
    }
}

impl Pool<u128> {
    /// Whether a subnet is one of them.
    #[must_use]
    pub fn contains(&self, subnet: Ipv6Network) -> bool {
        let base = u128::from(subnet.network());
        subnet.prefix() == self.length && (self.min..=self.max).contains(&base)
    }
}

pub(super) fn v4(raw: &Raw) -> Result<(Ipv4Network, Pool<u32>), InvalidConfig> {
    todo!("{raw:?}")
}

pub(super) fn v6(raw: &Raw) -> Result<(Ipv6Network, Pool<u128>), InvalidConfig> {
    todo!("{raw:?}")
}
