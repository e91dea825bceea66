//! Which subnet a host gets. Pure.

use std::net::Ipv4Addr;

use ipnetwork::IpNetwork;

use super::claims::{Claims, SignOfLife, Whose};
use super::leased::{Lease, Leased};
use super::{Host, SubnetKey, Wanted};
use crate::config::network::{NetworkConfig, Pool};
use crate::store::Session;

/// Who asks, and for what.
pub(super) struct Asking<'a> {
    pub(super) host: &'a Host,
    pub(super) wanted: &'a Wanted,
    /// The session of an attempt before this one, whose outcome may be unknown.
    pub(super) session: Option<Session>,
}

/// What a host should do to get its subnet.
#[derive(Debug, PartialEq)]
pub(super) enum Choice<'a> {
    /// It has one.
    Keep(&'a Lease),
    /// Create the lease of this subnet, and delete the one it has, which it cannot keep.
    Create { subnet: SubnetKey, instead_of: Option<&'a Lease> },
    /// Nothing is free.
    Exhausted(Exhausted),
}

/// Why nothing is free.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    pub(super) network: IpNetwork,
    /// How many subnets there are.
    pub(super) total: u128,
    /// Leases that take more than one of them, and how many; the widest first.
    pub(super) wide: Vec<(SubnetKey, u128)>,
}

/// Chooses: the subnet this host has, if it is fit for the configuration; else the one it had
/// before, if it is fit and free; else a free one at random out of all.
pub(super) fn choose<'a>(
    leased: &'a Leased,
    claims: &Claims,
    config: &NetworkConfig,
    asking: &Asking<'_>,
    mut random: impl FnMut() -> u128,
) -> Choice<'a> {
    let own = own(leased, claims, config, asking);
    if let Some(own) = own
        && config.gives_out(&own.subnet)
        && !others(leased, Some(own)).any(|other| {
            other.subnet.overlaps(&own.subnet)
                && other.entry.create_revision < own.entry.create_revision
        })
    {
        return Choice::Keep(own);
    }
    let taken = others(leased, own).map(|lease| lease.subnet);
    // Others may miss this host, too.
    let missing =
        asking.wanted.missing.iter().filter(|subnet| Some(**subnet) != asking.wanted.previous);
    let subnets: Vec<SubnetKey> = taken.chain(missing.copied()).collect();
    let wishes = [own.map(|lease| lease.subnet), asking.wanted.previous];
    let v4 = wishes.iter().flatten().map(|wish| IpNetwork::V4(wish.v4));
    let v6 = wishes.iter().flatten().filter_map(|wish| wish.v6).map(IpNetwork::V6);
    let networks = |subnet: &SubnetKey| subnet.networks();
    let taken: Vec<IpNetwork> = subnets.iter().flat_map(networks).collect();

    let Some(IpNetwork::V4(v4)) = pick(&config.subnets, &taken, v4, &mut random) else {
        return exhausted(config.network.into(), &config.subnets, &subnets);
    };
    let v6 = match &config.ipv6 {
        None => None,
        Some((network, pool)) => match pick(pool, &taken, v6, &mut random) {
            Some(IpNetwork::V6(v6)) => Some(v6),
            Some(IpNetwork::V4(_)) | None => {
                return exhausted((*network).into(), pool, &subnets);
            }
        },
    };
    Choice::Create { subnet: SubnetKey::new(v4, v6), instead_of: own }
}

/// Another running host that says it is this one, which is at `public_ip`.
pub(super) fn twin<'a>(
    claims: &'a Claims,
    host: &Host,
    public_ip: Ipv4Addr,
) -> Option<&'a SignOfLife> {
    let life = claims.of(&host.machine_id)?.life.as_ref()?;
    (life.whose(&SignOfLife::new(host, public_ip)) == Whose::Twins).then_some(life)
}

/// The lease that this host has: the one that its record proves, else, as flannel has it, one with
/// its address, unless a host that is alive proves it to be its own, or it was left by another. Of
/// several that is the one of before, else the latest.
fn own<'a>(
    leased: &'a Leased,
    claims: &Claims,
    config: &NetworkConfig,
    asking: &Asking<'_>,
) -> Option<&'a Lease> {
    let proven = leased.leases.iter().find(|lease| {
        let session = lease.entry.session;
        let of_attempt = session.is_some() && session == asking.session;
        of_attempt || claims.prove(&asking.host.machine_id, &lease.subnet, session)
    });
    proven.or_else(|| {
        let is_of_another = |lease: &&Lease| {
            let owner = claims.owner(&lease.subnet, lease.entry.session);
            owner.is_some_and(|(_, claim)| claim.life.is_some())
        };
        let at_address =
            leased.leases.iter().filter(|lease| lease.is_of(asking.wanted.value.public_ip));
        at_address
            .filter(|lease| !is_of_another(lease) && !is_left(lease, leased, config, asking))
            .max_by_key(|lease| {
                (Some(lease.subnet) == asking.wanted.previous, lease.entry.create_revision)
            })
    })
}

/// Whether a lease with this host's address was left by a host that had the address before:
/// containers here have addresses of another subnet, which the network still gives out. A lease that
/// was made after another host took that subnet was not: an administrator got it this host.
fn is_left(lease: &Lease, leased: &Leased, config: &NetworkConfig, asking: &Asking<'_>) -> bool {
    asking.wanted.used(config).is_some_and(|used| {
        !lease.subnet.overlaps(&used) && !lease.is_in_place_of(&used, &leased.leases)
    })
}

fn others<'a>(leased: &'a Leased, own: Option<&'a Lease>) -> impl Iterator<Item = &'a Lease> {
    let own = own.map(|own| &own.entry.key);
    leased.leases.iter().filter(move |lease| Some(&lease.entry.key) != own)
}

fn exhausted<'a>(network: IpNetwork, pool: &Pool, taken: &[SubnetKey]) -> Choice<'a> {
    let width = |subnet: &SubnetKey| {
        let spans = subnet.networks().filter_map(|net| pool.indices(net));
        spans.map(|(first, last)| last - first + 1).max().unwrap_or(0)
    };
    let wide = taken.iter().map(|subnet| (*subnet, width(subnet)));
    let mut wide: Vec<_> = wide.filter(|(_, width)| *width > 1).collect();
    wide.sort_by_key(|(subnet, width)| (std::cmp::Reverse(*width), *subnet));
    Choice::Exhausted(Exhausted { network, total: pool.count(), wide })
}

/// The first wish that is one of the pool's and free, else one of all that are free.
pub(super) fn pick(
    pool: &Pool,
    taken: &[IpNetwork],
    mut wishes: impl Iterator<Item = IpNetwork>,
    random: &mut impl FnMut() -> u128,
) -> Option<IpNetwork> {
    let mut spans: Vec<(u128, u128)> = taken.iter().filter_map(|n| pool.indices(*n)).collect();
    spans.sort_unstable();
    let is_free = |wish: &IpNetwork| {
        let at = pool.indices(*wish).map(|(first, _)| first);
        pool.contains(*wish)
            && at
                .is_some_and(|at| !spans.iter().any(|(first, last)| (*first..=*last).contains(&at)))
    };
    wishes.find(is_free).or_else(|| pool.nth(free(pool.count(), &spans, random())?))
}

/// The index of one of `count` that is in none of the spans, which are sorted and may overlap.
fn free(count: u128, spans: &[(u128, u128)], random: u128) -> Option<u128> {
    let mut gaps = Vec::new();
    let mut next = 0;
    for (first, last) in spans {
        if *first > next {
            gaps.push((next, first - next));
        }
        next = next.max(last + 1);
    }
    if next < count {
        gaps.push((next, count - next));
    }
    let free: u128 = gaps.iter().map(|(_, length)| length).sum();
    let mut nth = random.checked_rem(free)?;
    gaps.into_iter().find_map(|(start, length)| {
        if nth < length {
            return Some(start + nth);
        }
        nth -= length;
        None
    })
}

#[cfg(test)]
mod tests;
