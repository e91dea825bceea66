//! Networks as spans of numbers: one arithmetic for both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// The first and the last address of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The family.
    pub v6: bool,
    /// The first address.
    pub first: u128,
    /// The last one.
    pub last: u128,
}

impl Span {
    /// All of a network, whatever its host bits are.
    #[must_use]
    pub fn of(net: IpNetwork) -> Self {
        Self { v6: net.is_ipv6(), first: number(net.network()), last: number(net.broadcast()) }
    }

    /// Whether they have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first <= other.last && other.first <= self.last
    }

    /// Whether all of another is in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first <= other.first && other.last <= self.last
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has(self, ip: IpAddr) -> bool {
        self.v6 == ip.is_ipv6() && (self.first..=self.last).contains(&number(ip))
    }

    /// The address of a number, in this family.
    #[must_use]
    pub fn address(self, number: u128) -> Option<IpAddr> {
        if self.v6 {
            Some(Ipv6Addr::from_bits(number).into())
        } else {
            u32::try_from(number).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
        }
    }
}

/// An address as a number.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
