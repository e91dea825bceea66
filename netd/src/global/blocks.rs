//! Blocks of a network's addresses: each is one host's to give out. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::view::OfNetwork;
use crate::network::{Network, Span, Subnet, is_host, number};
use crate::store::Revision;

/// A block is a sixteenth of where a subnet's addresses are taken from, but at least one address.
const BITS: u8 = 4;
/// And at most 256 addresses: the larger the subnet, the more hosts.
const MOST_BITS: u8 = 8;

/// A host's addresses of a network.
#[derive(Debug)]
pub struct Share<'v> {
    network: &'v Network,
    of: &'v OfNetwork,
    machine: &'v str,
    /// Those of the host's endpoints.
    used: &'v BTreeSet<IpAddr>,
}

impl<'v> Share<'v> {
    /// That of a host; `None` of a network that is gone.
    #[must_use]
    pub fn new(of: &'v OfNetwork, machine: &'v str, used: &'v BTreeSet<IpAddr>) -> Option<Self> {
        Some(Self { network: &of.network.as_ref()?.value, of, machine, used })
    }

    /// Where the host may take addresses: its blocks without what others claimed of them, and its own
    /// single addresses.
    #[must_use]
    pub fn own(&self) -> Vec<IpNetwork> {
        let is_own = |machine: &str| machine == self.machine;
        let single = self.of.addresses.iter();
        let (own, others): (Vec<_>, Vec<_>) = single.partition(|(_, it)| is_own(&it.value.machine));
        let others: Vec<IpAddr> = others.into_iter().map(|(ip, _)| *ip).collect();
        let blocks = self.blocks().flat_map(|block| without(block, &others));
        blocks.chain(own.into_iter().map(|(ip, _)| IpNetwork::from(*ip))).collect()
    }

    /// Whether an address is the host's to give out.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.own().iter().any(|net| Span::of(*net).has(ip))
    }

    /// Whether a container of any host can have an address.
    #[must_use]
    pub fn can_be_had(&self, ip: IpAddr) -> bool {
        let subnet = self.network.subnets.iter().find(|subnet| Span::of(subnet.net).has(ip));
        subnet.is_some_and(|subnet| {
            let named = subnet.aux.values().copied().chain(subnet.gateway);
            is_host(subnet.net, ip) && !named.into_iter().any(|there| there == ip)
        })
    }

    /// The families of which the host has no address to give out.
    #[must_use]
    pub fn lacking(&self) -> Vec<bool> {
        self.families().filter(|v6| self.free(*v6) == 0).collect()
    }

    /// The families of which the host should have another block soon: less than half of one is free.
    #[must_use]
    pub fn running_out(&self) -> Vec<bool> {
        let is_low = |v6: &bool| {
            let subnets = self.subnets(*v6);
            let half = subnets.map(|subnet| size(range(subnet)) / 2).max().unwrap_or(0);
            self.blocks().any(|block| block.is_ipv6() == *v6) && self.free(*v6) < half.max(1)
        };
        self.families().filter(is_low).collect()
    }

    /// The first block of a family that nobody has and of which containers can have addresses.
    #[must_use]
    pub fn next(&self, v6: bool) -> Option<IpNetwork> {
        self.subnets(v6).find_map(|subnet| {
            let fits = |block: &IpNetwork| self.is_free(*block) && capacity(subnet, *block) > 0;
            blocks(range(subnet)).find(fits)
        })
    }

    /// The block that an address would be of, if nobody has it.
    #[must_use]
    pub fn free_block_of(&self, ip: IpAddr) -> Option<IpNetwork> {
        let range = self.network.subnets.iter().map(range).find(|it| Span::of(*it).has(ip))?;
        let block =
            IpNetwork::new(IpNetwork::new(ip, prefix(range)).ok()?.network(), prefix(range));
        block.ok().filter(|block| self.is_free(*block))
    }

    /// Addresses of the host's endpoints that it has no claim to: the store has lost it.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<IpAddr> {
        let own = self.own();
        let is_own = |ip: &IpAddr| own.iter().any(|net| Span::of(*net).has(*ip));
        self.used.iter().filter(|ip| !is_own(ip)).copied().collect()
    }

    /// Own blocks without which there would still be enough: no endpoint has an address of them.
    #[must_use]
    pub fn spare(&self) -> Vec<IpNetwork> {
        let is_used = |block: IpNetwork| self.used.iter().any(|ip| Span::of(block).has(*ip));
        let mut spare = Vec::new();
        for v6 in self.families() {
            let of_family = self.blocks().filter(|block| block.is_ipv6() == v6);
            let (used, empty): (Vec<_>, Vec<_>) = of_family.partition(|block| is_used(*block));
            // One is kept ahead of those that are used.
            let ahead = usize::from(!used.is_empty());
            spare.extend(empty.into_iter().skip(ahead));
        }
        spare
    }

    /// Own single addresses that no endpoint has.
    #[must_use]
    pub fn spare_addresses(&self) -> Vec<IpAddr> {
        let own = self.of.addresses.iter().filter(|(_, it)| it.value.machine == self.machine);
        own.map(|(ip, _)| *ip).filter(|ip| !self.used.contains(ip)).collect()
    }

    /// Those of them that another host would have.
    #[must_use]
    pub fn wanted_addresses(&self) -> Vec<IpAddr> {
        let mut spare = self.spare_addresses();
        spare.retain(|ip| self.of.wanted.contains_key(ip));
        spare
    }

    /// Own blocks of which others have claimed other addresses than they were told to be left out, with the
    /// revision of each and these addresses, but for those that endpoints have.
    #[must_use]
    pub fn to_leave_out(&self) -> Vec<(IpNetwork, Revision, Vec<IpAddr>)> {
        let is_own = |machine: &str| machine == self.machine;
        let others = self.of.addresses.iter().filter(|(_, it)| !is_own(&it.value.machine));
        let others: Vec<IpAddr> =
            others.map(|(ip, _)| *ip).filter(|ip| !self.used.contains(ip)).collect();
        let own = self.of.blocks.iter().filter(|(_, it)| is_own(&it.value.machine));
        let owed = own.filter_map(|(block, it)| {
            let span = Span::of(*block);
            let now: Vec<IpAddr> = others.iter().copied().filter(|ip| span.has(*ip)).collect();
            (it.value.without != now).then_some((*block, it.changed, now))
        });
        owed.collect()
    }

    fn blocks(&self) -> impl Iterator<Item = IpNetwork> {
        let own = self.of.blocks.iter().filter(|(_, it)| it.value.machine == self.machine);
        own.map(|(block, _)| *block)
    }

    fn is_free(&self, block: IpNetwork) -> bool {
        let block = Span::of(block);
        !self.of.blocks.keys().any(|there| Span::of(*there).overlaps(block))
    }

    fn families(&self) -> impl Iterator<Item = bool> {
        [false, true].into_iter().filter(|v6| self.subnets(*v6).next().is_some())
    }

    fn subnets(&self, v6: bool) -> impl Iterator<Item = &'v Subnet> {
        self.network.subnets.iter().filter(move |subnet| subnet.net.is_ipv6() == v6)
    }

    /// How many addresses of a family are left.
    fn free(&self, v6: bool) -> u128 {
        let mut free = 0_u128;
        for subnet in self.subnets(v6) {
            let own = self.blocks().filter(|block| Span::of(subnet.net).contains(Span::of(*block)));
            for block in own {
                let taken = self.used.iter().filter(|ip| Span::of(block).has(**ip)).count();
                let foreign = self
                    .of
                    .addresses
                    .keys()
                    .filter(|ip| Span::of(block).has(**ip) && !self.used.contains(ip));
                let gone = taken.saturating_add(foreign.count());
                let left = capacity(subnet, block);
                free = free.saturating_add(left.saturating_sub(gone.try_into().unwrap_or(left)));
            }
        }
        free
    }
}

/// Where the addresses of a subnet are taken from.
fn range(subnet: &Subnet) -> IpNetwork {
    subnet.ip_range.unwrap_or(subnet.net)
}

/// The prefix length of the blocks of a range.
fn prefix(range: IpNetwork) -> u8 {
    let bits = if range.is_ipv6() { 128 } else { 32 };
    (range.prefix() + BITS).max(bits - MOST_BITS).min(bits)
}

/// All blocks of a range, in order.
fn blocks(range: IpNetwork) -> impl Iterator<Item = IpNetwork> {
    let (span, prefix, step) = (Span::of(range), prefix(range), size(range));
    let count = 1_u128 << (prefix - range.prefix());
    (0..count).filter_map(move |at| {
        let first = span.first.checked_add(at.checked_mul(step)?)?;
        IpNetwork::new(span.address(first)?, prefix).ok()
    })
}

/// How many addresses a block of a range has.
fn size(range: IpNetwork) -> u128 {
    let bits: u8 = if range.is_ipv6() { 128 } else { 32 };
    // At least four bits are the block's number.
    1_u128.checked_shl((bits - prefix(range)).into()).unwrap_or(u128::MAX)
}

/// How many addresses of a block containers can have.
fn capacity(subnet: &Subnet, block: IpNetwork) -> u128 {
    let span = Span::of(block);
    let named = subnet.aux.values().copied().chain(subnet.gateway);
    let edges = [subnet.net.network(), subnet.net.broadcast()];
    let edges = edges.into_iter().filter(|ip| !is_host(subnet.net, *ip));
    let never: BTreeSet<u128> = named.chain(edges).filter(|ip| span.has(*ip)).map(number).collect();
    let all = (span.last - span.first).saturating_add(1);
    all.saturating_sub(never.len().try_into().unwrap_or(all))
}

/// A block without some addresses, as networks.
fn without(block: IpNetwork, holes: &[IpAddr]) -> Vec<IpNetwork> {
    let span = Span::of(block);
    if !holes.iter().any(|ip| span.has(*ip)) {
        return vec![block];
    }
    let bits = if block.is_ipv6() { 128 } else { 32 };
    let half = block.prefix() + 1;
    if half > bits {
        return Vec::new();
    }
    let middle = span.first + (span.last - span.first) / 2 + 1;
    let halves = [span.first, middle].into_iter().filter_map(|first| span.address(first));
    let halves = halves.filter_map(|first| IpNetwork::new(first, half).ok());
    halves.flat_map(|net| without(net, holes)).collect()
}

#[cfg(test)]
mod tests;
