//! Addresses as numbers, and the strict text forms that configurations use.
//!
//! Ranges of IPv6 need 128-bit arithmetic; one number type for both families keeps the
//! allocator free of two code paths. The parsers here are stricter than `ipnetwork`'s, which
//! takes an address without a prefix length for a single-address network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`. An IPv4-mapped IPv6 address counts as IPv6 until it is made
    /// canonical.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address of this family.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Why a text is not the address or network it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is neither `address` nor `address/prefix-length`.
    #[error("cannot understand ip: '{text}' is neither an address nor an address in CIDR notation")]
    NotAnAddress {
        /// The text as given.
        text: String,
    },
    /// The text is not `address/prefix-length`.
    #[error("'{text}' is not an address in CIDR notation (address/prefix length)")]
    NotCidr {
        /// The text as given.
        text: String,
    },
}

/// Reads `address/prefix-length`, keeping the host bits: `10.0.0.5/24` stays `10.0.0.5/24`.
///
/// # Errors
/// [`AddressError::NotCidr`] without a prefix length, with a netmask in its place (Go's
/// `net.ParseCIDR`, which the reference plugins use, takes none), with a prefix length that has a
/// sign, a leading zero or too many bits, and for an IPv4-mapped IPv6 address, whose family is
/// ambiguous.
pub fn parse_cidr(text: &str) -> Result<IpNetwork, AddressError> {
    cidr(text).ok_or_else(|| AddressError::NotCidr { text: text.to_owned() })
}

/// Reads an address, or an address in CIDR notation whose prefix length is then dropped: the
/// form of requested addresses (`ips`, `IP=`). IPv4-mapped addresses become IPv4.
///
/// # Errors
/// [`AddressError::NotAnAddress`] if the text is neither.
pub fn parse_ip_or_cidr(text: &str) -> Result<IpAddr, AddressError> {
    let address = match text.contains('/') {
        true => cidr(text).map(|network| network.ip()),
        false => text.parse::<IpAddr>().ok(),
    };
    address
        .map(|address| address.to_canonical())
        .ok_or_else(|| AddressError::NotAnAddress { text: text.to_owned() })
}

/// The address as a number, for comparisons and steps within one family.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The inverse of [`number`]. A number too large for IPv4 gives the last IPv4 address; callers
/// only pass numbers between two addresses of the family.
pub(crate) fn from_number(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

fn cidr(text: &str) -> Option<IpNetwork> {
    let (address, prefix) = text.split_once('/')?;
    let plain = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (prefix.len() > 1 && prefix.starts_with('0')) {
        return None;
    }
    let address: IpAddr = address.parse().ok()?;
    if address != address.to_canonical() {
        return None;
    }
    IpNetwork::new(address, prefix.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
