//! Which subnet a network gets that asks for none.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;

use super::span::{Span, number};

/// Whether a route to a network is a way out, and the network nobody's: `0.0.0.0/1` and `128.0.0.0/1` are
/// how a VPN takes the place of the default route.
pub(crate) fn leads_out(net: &IpNetwork) -> bool {
    net.prefix() < if net.is_ipv6() { 7 } else { 8 }
}

/// Of the networks of routes those that are somebody's.
pub(super) fn without_ways_out(routes: &[IpNetwork]) -> impl Iterator<Item = IpNetwork> {
    routes.iter().filter(|net| !leads_out(net)).copied()
}

/// A network that is cut into subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// All of it.
    pub base: IpNetwork,
    /// The prefix length of a subnet.
    pub size: u8,
}

/// Where subnets are taken from, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pools(Vec<Pool>);

impl Pools {
    /// Docker's range for networks of a host, in /24 where Docker has /16: 3,840 networks and not
    /// 15; then a part of 10.0.0.0/8. `local` is the host's own part of fd00::/8 (RFC 4193), a /48
    /// of 65,536 networks.
    #[must_use]
    pub fn new(local: Option<IpNetwork>) -> Self {
        const V4: [([u8; 4], u8); 5] = [
            ([172, 17, 0, 0], 16),
            ([172, 18, 0, 0], 15),
            ([172, 20, 0, 0], 14),
            ([172, 24, 0, 0], 13),
            ([10, 192, 0, 0], 10),
        ];
        Self(v4(&V4).chain(local.map(|base| Pool { base, size: 64 })).collect())
    }

    /// Where networks of the whole cluster are taken from: Docker's range for those, without what networks of
    /// hosts are taken from, as no host knows those of all others.
    #[must_use]
    pub fn of_cluster(&self) -> Self {
        const V4: [([u8; 4], u8); 2] = [([10, 0, 0, 0], 9), ([10, 128, 0, 0], 10)];
        Self(v4(&V4).chain(self.0.iter().filter(|pool| pool.base.is_ipv6()).copied()).collect())
    }

    /// The first subnet of a family that overlaps nothing that is taken, of the pool's size or of
    /// this one. `None` where all is taken, or no pool is that large.
    #[must_use]
    pub fn choose(&self, v6: bool, size: Option<u8>, taken: &[IpNetwork]) -> Option<IpNetwork> {
        let occupied = occupied(v6, taken);
        let of_family = self.0.iter().filter(|pool| pool.base.is_ipv6() == v6);
        of_family.filter_map(|pool| pool.first_free(size.unwrap_or(pool.size), &occupied)).next()
    }
}

/// Cut into /24.
fn v4(bases: &[([u8; 4], u8)]) -> impl Iterator<Item = Pool> {
    bases.iter().filter_map(|(ip, prefix)| {
        Some(Pool { base: IpNetwork::new((*ip).into(), *prefix).ok()?, size: 24 })
    })
}

impl Pool {
    fn first_free(&self, size: u8, occupied: &BTreeMap<u128, u128>) -> Option<IpNetwork> {
        let all = Span::of(self.base);
        let bits: u8 = if all.v6 { 128 } else { 32 };
        if size < self.base.prefix() || size > bits || size == 0 {
            return None;
        }
        let step = 1_u128.checked_shl((bits - size).into())?;
        let mut first = all.first;
        loop {
            let last = first.checked_add(step - 1).filter(|last| *last <= all.last)?;
            // The ranges are apart: of those that begin before the end, the last ends last.
            match occupied.range(..=last).next_back() {
                Some((_, end)) if *end >= first => {
                    first = end.checked_add(1)?.checked_next_multiple_of(step)?;
                }
                Some(_) | None => return IpNetwork::new(all.address(first)?, size).ok(),
            }
        }
    }
}

/// What is taken of a family, as ranges that are apart: the first address and the last.
fn occupied(v6: bool, taken: &[IpNetwork]) -> BTreeMap<u128, u128> {
    let mut all: Vec<Span> =
        taken.iter().filter(|net| net.is_ipv6() == v6).map(|net| Span::of(*net)).collect();
    all.sort_unstable();
    let mut apart: BTreeMap<u128, u128> = BTreeMap::new();
    for span in all {
        match apart.last_entry() {
            Some(mut before) if span.first <= *before.get() => {
                let end = span.last.max(*before.get());
                before.insert(end);
            }
            Some(_) | None => drop(apart.insert(span.first, span.last)),
        }
    }
    apart
}

/// The host's own /48 of fd00::/8, of 40 random bits (RFC 4193, section 3.2).
#[must_use]
pub fn host_network(random: u64) -> Option<IpNetwork> {
    let base = number("fd00::".parse().ok()?) | (u128::from(random & 0xff_ffff_ffff) << 80);
    IpNetwork::new(std::net::Ipv6Addr::from_bits(base).into(), 48).ok()
}
