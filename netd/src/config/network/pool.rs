//! The subnets that hosts can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// The subnets of one length from one to another, in addresses as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// 32 or 128.
    pub(super) bits: u8,
    /// The prefix length of each.
    pub length: u8,
    /// The first address of the first.
    pub(super) min: u128,
    /// The first address of the last; not less than `min`.
    pub(super) max: u128,
}

impl Pool {
    /// Whether a subnet is one of these.
    #[must_use]
    pub fn contains(&self, subnet: IpNetwork) -> bool {
        let (bits, base) = match subnet.network() {
            IpAddr::V4(address) => (32, u128::from(u32::from(address))),
            IpAddr::V6(address) => (128, address.into()),
        };
        let in_range = (self.min..=self.max).contains(&base);
        bits == self.bits && subnet.prefix() == self.length && in_range
    }

    /// The first address of the first.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.address(self.min)
    }

    /// The first address of the last.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.address(self.max)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u128 {
        (self.max - self.min) / self.size() + 1
    }

    /// The subnet of an index below [`Self::count`].
    #[must_use]
    pub fn nth(&self, index: u128) -> Option<IpNetwork> {
        let base = self.min.checked_add(index.checked_mul(self.size())?)?;
        if base > self.max {
            return None;
        }
        IpNetwork::new(self.address(base), self.length).ok()
    }

    /// The indices of the first and the last subnet that overlap a network.
    #[must_use]
    pub fn indices(&self, network: IpNetwork) -> Option<(u128, u128)> {
        let (bits, base) = match network.network() {
            IpAddr::V4(address) => (32, u128::from(u32::from(address))),
            IpAddr::V6(address) => (128, address.into()),
        };
        let host_bits = u32::from(self.bits.checked_sub(network.prefix())?);
        let last = base | 1_u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
        // The last address of the last subnet.
        let end = self.max + (self.size() - 1);
        if bits != self.bits || last < self.min || base > end {
            return None;
        }
        let index = |address: u128| (address.clamp(self.min, end) - self.min) / self.size();
        Some((index(base), index(last)))
    }

    fn size(&self) -> u128 {
        1 << (self.bits - self.length)
    }

    pub(super) fn address(&self, number: u128) -> IpAddr {
        match u32::try_from(number) {
            Ok(number) if self.bits == 32 => Ipv4Addr::from(number).into(),
            Ok(_) | Err(_) => Ipv6Addr::from(number).into(),
        }
    }
}
