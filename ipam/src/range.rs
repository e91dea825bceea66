//! One range of addresses of one subnet, checked and completed with its defaults.
//!
//! Decides which addresses a range holds; which of them are taken is not its matter. Rules and
//! texts are those of the reference plugin (`plugins/ipam/host-local/backend/allocator/range.go`).

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::address::{Family, from_number, number};

/// A range as written in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSpec {
    /// Key `subnet`: the network, without host bits.
    pub subnet: IpNetwork,
    /// Key `rangeStart`: the first address, by default the one after the network address.
    pub range_start: Option<IpAddr>,
    /// Key `rangeEnd`: the last address (inclusive), by default the last one of the subnet,
    /// without IPv4's broadcast address.
    pub range_end: Option<IpAddr>,
    /// Key `gateway`: by default the address after the network address. It may lie outside of
    /// the subnet.
    pub gateway: Option<IpAddr>,
}

/// A checked range: `start..=end` lies in `subnet`, all of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNetwork,
    start: IpAddr,
    end: IpAddr,
    gateway: IpAddr,
}

/// Why a range cannot be used. Names the key and the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Fewer than two addresses remain beside the network address and IPv4's broadcast address.
    #[error(
        "Network {subnet} too small to allocate from: the prefix length of 'subnet' may be at most \
         {most}"
    )]
    TooSmall {
        /// Value of `subnet`.
        subnet: IpNetwork,
        /// The longest usable prefix.
        most: u8,
    },
    /// `subnet` is an address of the network instead of the network.
    #[error(
        "Network has host bits set. For a subnet mask of length {} the network address is {network} \
         ('subnet' is {subnet})", subnet.prefix()
    )]
    HostBits {
        /// Value of `subnet`.
        subnet: IpNetwork,
        /// The network address that belongs to it.
        network: IpAddr,
    },
    /// `subnet` is an IPv4-mapped IPv6 network.
    #[error("IPNet IP and Mask version mismatch: 'subnet' {subnet} is IPv4 in IPv6 notation")]
    Mapped {
        /// Value of `subnet`.
        subnet: IpNetwork,
    },
    /// `rangeStart` or `rangeEnd` is of another network or family.
    #[error("{key} {address} not in network {subnet}")]
    Outside {
        /// `RangeStart` or `RangeEnd`.
        key: &'static str,
        /// Its value.
        address: IpAddr,
        /// Value of `subnet`.
        subnet: IpNetwork,
    },
    /// `rangeStart` lies behind `rangeEnd`.
    #[error("RangeStart {start} lies behind RangeEnd {end} in network {subnet}")]
    Inverted {
        /// First address, given or by default.
        start: IpAddr,
        /// Last address.
        end: IpAddr,
        /// Value of `subnet`.
        subnet: IpNetwork,
    },
    /// `gateway` is of the other family.
    #[error("gateway {gateway} is not of the same address family as network {subnet}")]
    GatewayFamily {
        /// Value of `gateway`.
        gateway: IpAddr,
        /// Value of `subnet`.
        subnet: IpNetwork,
    },
}

impl RangeSpec {
    /// A whole subnet, with all defaults.
    pub fn of(subnet: IpNetwork) -> Self {
        Self { subnet, range_start: None, range_end: None, gateway: None }
    }

    /// Checks the range and fills in the defaults. IPv4-mapped addresses become IPv4.
    ///
    /// # Errors
    /// [`RangeError`], naming the key and the value that does not fit.
    pub fn canonicalize(self) -> Result<Range, RangeError> {
        let subnet = self.subnet;
        let network = checked_network(subnet)?;
        let family = Family::of(network);
        let second = from_number(family, number(network).saturating_add(1));
        let gateway = self.gateway.map_or(second, |address| address.to_canonical());
        if Family::of(gateway) != family {
            return Err(RangeError::GatewayFamily { gateway, subnet });
        }
        let start = bound("RangeStart", self.range_start, second, subnet)?;
        let end = bound("RangeEnd", self.range_end, last_usable(subnet), subnet)?;
        if start > end {
            return Err(RangeError::Inverted { start, end, subnet });
        }
        Ok(Range { subnet, start, end, gateway })
    }
}

impl Range {
    /// The subnet, host bits zero; addresses are handed out with its prefix length.
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// The first address.
    pub fn start(&self) -> IpAddr {
        self.start
    }

    /// The last address (inclusive).
    pub fn end(&self) -> IpAddr {
        self.end
    }

    /// The gateway, which is never handed out.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// The family of all addresses of the range.
    pub fn family(&self) -> Family {
        Family::of(self.start)
    }

    /// Whether `address` lies between start and end. IPv4-mapped addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        // `IpAddr` orders all of IPv4 before all of IPv6, so families never mix here.
        (self.start..=self.end).contains(&address.to_canonical())
    }

    /// Whether the two ranges have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// `address` with the prefix length of the subnet.
    pub fn with_prefix(&self, address: IpAddr) -> IpNetwork {
        // The prefix length is that of a network of the same family.
        IpNetwork::new(address, self.subnet.prefix()).unwrap_or_else(|_| IpNetwork::from(address))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

fn checked_network(subnet: IpNetwork) -> Result<IpAddr, RangeError> {
    let network = subnet.network();
    if subnet.ip() != subnet.ip().to_canonical() {
        return Err(RangeError::Mapped { subnet });
    }
    let most = Family::of(network).bits() - 2;
    if subnet.prefix() > most {
        return Err(RangeError::TooSmall { subnet, most });
    }
    if subnet.ip() != network {
        return Err(RangeError::HostBits { subnet, network });
    }
    Ok(network)
}

fn bound(
    key: &'static str,
    given: Option<IpAddr>,
    default: IpAddr,
    subnet: IpNetwork,
) -> Result<IpAddr, RangeError> {
    let address = given.map_or(default, |address| address.to_canonical());
    if !subnet.contains(address) {
        return Err(RangeError::Outside { key, address, subnet });
    }
    Ok(address)
}

fn last_usable(subnet: IpNetwork) -> IpAddr {
    let last = subnet.broadcast();
    match Family::of(last) {
        Family::V4 => from_number(Family::V4, number(last).saturating_sub(1)),
        Family::V6 => last,
    }
}

#[cfg(test)]
mod tests;
