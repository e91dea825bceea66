//! Neighbours and forwarding entries that must go, and when.

use std::collections::BTreeSet;

use super::compare::Rigour;
use super::order::Phase;
use super::planner::Planner;
use super::room::entry_makes_room;
use crate::addr::Neigh;
use crate::cascade::same_addr;
use crate::link::LinkRef;
use crate::name::{LinkName, Mac, Ns};
use crate::op::Op;
use crate::state::NetState;

impl Planner<'_> {
    pub(super) fn del_neighs(&mut self, ns: &Ns, dying: &BTreeSet<LinkRef>) {
        let Some(have) = self.work.ns(ns).cloned() else { return };
        let none = NetState::default();
        let want = self.want.ns(ns).unwrap_or(&none);
        for neigh in have.neighs.difference(&want.neighs) {
            let lowest = Neigh { mac: Mac([0; 6]), ..neigh.clone() };
            let in_the_way = want
                .neighs
                .range(lowest..)
                .next()
                .is_some_and(|w| w.link == neigh.link && w.ip == neigh.ip);
            if self.content_goes(ns, &neigh.link, dying, in_the_way) {
                self.work.ns_mut(ns.clone()).neighs.remove(neigh);
                // The new one may take its place.
                if !(in_the_way && self.rigour == Rigour::Exact) {
                    let phase = self.old_neighs(ns, &neigh.link, in_the_way);
                    self.push(phase, ns, Op::DelNeigh(neigh.clone()));
                }
            }
        }
        for entry in have.fdb.difference(&want.fdb) {
            if self.content_goes(ns, &entry.link, dying, false) {
                self.work.ns_mut(ns.clone()).fdb.remove(entry);
                if !entry_makes_room(&have, want, entry) {
                    let phase = self.old_neighs(ns, &entry.link, false);
                    self.push(phase, ns, Op::DelFdb(entry.clone()));
                }
            }
        }
    }

    /// When a neighbour goes: once no route leads there, unless a change of its link, or the end of the last
    /// address, would take it before.
    fn old_neighs(&self, ns: &Ns, link: &LinkName, in_the_way: bool) -> Phase {
        let at = LinkRef { ns: ns.clone(), name: link.clone() };
        let link_stays = match (self.work.link(&at), self.want.link(&at)) {
            (Some(have), Some(want)) => {
                let same_mac = want.mac.is_none() || want.mac == have.mac;
                have.up && want.up && same_mac && have.master == want.master
            }
            // An update of what is on a link says nothing of the link itself.
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let (have, want) = (self.work.ns(ns), self.want.ns(ns));
        let addrs_stay = have.zip(want).is_some_and(|(have, want)| {
            have.addrs_on(link).all(|addr| want.addrs_on(link).any(|w| same_addr(w, addr)))
        });
        if link_stays && addrs_stay && !in_the_way { Phase::OldNeighs } else { Phase::DelNeighs }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Addr, Desired, Link, LinkKind, LinkName, Mac, Neigh, Ns, Observed, Plan, Route, Scope,
        State,
    };

    #[test]
    fn a_route_leads_elsewhere_before_its_old_next_hop_goes() {
        let name = |text: &str| LinkName::new(text).unwrap();
        let (net, via) = ("10.5.7.0/24".parse().unwrap(), "10.5.7.0".parse().unwrap());
        let mut want = State::default();
        for link in ["eth0", "tunnel"] {
            let kind = LinkKind::Bridge { vlan_filtering: None };
            want.ns_mut(Ns::Host).add_link(Link { up: true, ..Link::new(name(link), kind) });
        }
        let host = want.ns_mut(Ns::Host);
        host.addrs.insert(Addr::new(name("tunnel"), "10.5.1.0/32".parse().unwrap()));
        let mut there = want.clone();
        let gateway = Some("192.0.2.11".parse().unwrap());
        let direct = Route { via: gateway, protocol: 78, ..Route::new(net, name("eth0")) };
        want.ns_mut(Ns::Host).routes.insert(direct);
        let tunnelled =
            Route { via: Some(via), onlink: true, protocol: 78, ..Route::new(net, name("tunnel")) };
        let host = there.ns_mut(Ns::Host);
        host.routes.insert(tunnelled);
        host.neighs.insert(Neigh { link: name("tunnel"), ip: via, mac: Mac([2; 6]) });
        // An update of peers says nothing of the links they are on.
        let of_peer = |state: &State| {
            let mut peer = state.clone();
            let host = peer.ns_mut(Ns::Host);
            host.links.clear();
            host.addrs.clear();
            Desired(peer)
        };
        let update = Plan::update(&of_peer(&there), &of_peer(&want));
        let want = Desired(want);
        let scope = Scope { route_protocol: Some(78), ..Scope::of(&want) };
        for plan in [Plan::between(&Observed(there), &want, &scope), update] {
            let ops: Vec<String> = plan.steps.iter().map(|step| step.op.to_string()).collect();
            let starts = |at: usize, start| ops.get(at).is_some_and(|op| op.starts_with(start));
            assert_eq!(ops.len(), 2, "{plan}");
            assert!(starts(0, "ip route") && starts(1, "ip neigh del"), "{plan}");
        }
    }
}
