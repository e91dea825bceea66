//! Places in the kernel that hold one entry each, and which peer's entry is in which.
//!
//! Several leases may want one place: a host that was given another subnet has both leases for a
//! day, and both lead to one device; subnets of different length may begin with the same address.
//! An entry that two want is there as long as one of them is. Of two that want different entries
//! the one that was written last has the place, as with flannel, which writes one over the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netstate::{Fdb, Mac, Neigh, NetState, Op, Route};

use crate::lease::SubnetKey;
use crate::store::Revision;

/// A place in the kernel that holds one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The route to a network.
    Route(IpNetwork),
    /// The neighbour of an address, on the device of its family.
    Neighbour(IpAddr),
    /// Where a link-layer address is, on the device of a family.
    Forwarding {
        /// The address.
        mac: Mac,
        /// The device is that of IPv6.
        v6: bool,
    },
}

/// A peer that wants a place, in the order of who has it: the last.
pub(super) type Claim = (Revision, SubnetKey);

/// Who wants which place. All but a few are wanted by one.
#[derive(Debug, Default)]
pub(super) struct Places {
    holders: BTreeMap<Place, Claim>,
    others: BTreeMap<Place, BTreeSet<Claim>>,
}

impl Places {
    /// Who has a place.
    pub(super) fn holder(&self, place: Place) -> Option<SubnetKey> {
        self.holders.get(&place).map(|(_, key)| *key)
    }

    /// All who want a place.
    pub(super) fn claimants(&self, place: Place) -> impl Iterator<Item = SubnetKey> {
        let others = self.others.get(&place).into_iter().flatten();
        self.holders.get(&place).into_iter().chain(others).map(|(_, key)| *key)
    }

    pub(super) fn claim(&mut self, place: Place, claim: Claim) {
        let Some(holder) = self.holders.get_mut(&place) else {
            self.holders.insert(place, claim);
            return;
        };
        let other = if claim > *holder { std::mem::replace(holder, claim) } else { claim };
        self.others.entry(place).or_default().insert(other);
    }

    pub(super) fn give_up(&mut self, place: Place, claim: Claim) {
        let others = self.others.get_mut(&place);
        if self.holders.get(&place) == Some(&claim) {
            match others.and_then(BTreeSet::pop_last) {
                Some(next) => drop(self.holders.insert(place, next)),
                None => drop(self.holders.remove(&place)),
            }
        } else if let Some(others) = others {
            others.remove(&claim);
        }
        if self.others.get(&place).is_some_and(BTreeSet::is_empty) {
            self.others.remove(&place);
        }
    }
}

impl Place {
    /// The places of what is wanted for a peer.
    pub(super) fn all(wanted: &NetState) -> impl Iterator<Item = Self> {
        let routes = wanted.routes.iter().map(Self::of_route);
        let neighs = wanted.neighs.iter().map(Self::of_neigh);
        routes.chain(neighs).chain(wanted.fdb.iter().map(Self::of_fdb))
    }

    /// The place that a removal empties.
    pub(super) fn emptied_by(op: &Op) -> Option<Self> {
        if let Op::DelRoute(route) = op {
            Some(Self::of_route(route))
        } else if let Op::DelNeigh(neigh) = op {
            Some(Self::of_neigh(neigh))
        } else if let Op::DelFdb(entry) = op {
            Some(Self::of_fdb(entry))
        } else {
            None
        }
    }

    /// What of a state is in places that fit.
    pub(super) fn only(state: &NetState, fits: impl Fn(Self) -> bool) -> NetState {
        let mut part = state.clone();
        part.routes.retain(|route| fits(Self::of_route(route)));
        part.neighs.retain(|neigh| fits(Self::of_neigh(neigh)));
        part.fdb.retain(|entry| fits(Self::of_fdb(entry)));
        for peer in part.wg_peers.values_mut() {
            // A network leads to one peer, the one that has its route.
            peer.allowed.retain(|net| fits(Self::Route(*net)));
        }
        part
    }

    fn of_route(route: &Route) -> Self {
        Self::Route(route.dst)
    }

    fn of_neigh(neigh: &Neigh) -> Self {
        Self::Neighbour(neigh.ip)
    }

    fn of_fdb(entry: &Fdb) -> Self {
        Self::Forwarding { mac: entry.mac, v6: entry.dst.is_ipv6() }
    }
}

impl fmt::Display for Place {
    /// What two leases have in common that want it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(net) => write!(f, "the subnet {net}"),
            Self::Neighbour(ip) => write!(f, "the base address {ip}"),
            Self::Forwarding { mac, .. } => write!(f, "the VtepMAC {mac}"),
        }
    }
}
