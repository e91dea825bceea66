//! What must go, in the phases of [`Phase`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compare::{
    Rigour, is_kernel_addr, is_kernel_route, same_addr_key, same_claim, same_kind, same_route,
    same_route_key,
};
use super::order::{Phase, by_need};
use super::planner::{Owned, Planner};
use super::room::{makes_room, moves_afar};
use crate::cascade::same_addr;
use crate::link::{Link, LinkRef};
use crate::name::{LinkName, Ns};
use crate::nft::{Element, SetId};
use crate::op::Op;
use crate::state::{NetState, State};

impl Planner<'_> {
    /// Plans all removals.
    pub(super) fn remove_unwanted(&mut self) {
        let doomed = self.doomed_links();
        let dying = self.dying_with(&doomed);
        for ns in self.spaces() {
            self.del_elements(&ns);
            self.del_rules(&ns);
            self.del_routes(&ns, &dying);
            self.del_neighs(&ns, &dying);
            self.del_wg_peers(&ns, &dying);
            self.del_addrs(&ns, &dying);
        }
        self.del_links(&doomed);
        for ns in self.spaces() {
            self.del_tables(&ns);
        }
    }

    /// Links to remove, those that need others first.
    fn doomed_links(&self) -> Vec<LinkRef> {
        let mentioned = mentioned_links(self.want);
        let mut order = by_need(self.work.links());
        order.reverse();
        order.retain(|at| {
            let Some(have) = self.work.link(at).filter(|have| have.kind.is_made()) else {
                return false;
            };
            match self.want.link(at) {
                Some(want) => want.kind.is_made() && self.must_be_made_anew(at, have, want),
                None => {
                    self.rigour == Rigour::Exact && self.owns_link(at) && !mentioned.contains(at)
                }
            }
        });
        order
    }

    /// Also a veth whose far end is not where it must be: it may have been renamed or moved.
    fn must_be_made_anew(&self, at: &LinkRef, have: &Link, want: &Link) -> bool {
        let peer_is_lost = want
            .kind
            .peer()
            .is_some_and(|peer| self.want.link(peer).is_some() && self.work.link(peer).is_none());
        peer_is_lost || moves_afar(at, have, want) || !same_kind(&have.kind, &want.kind)
    }

    fn dying_with(&self, doomed: &[LinkRef]) -> BTreeSet<LinkRef> {
        let mut after = self.work.clone();
        for at in doomed {
            after.drop_link(at);
        }
        let gone = |at: &LinkRef| after.link(at).is_none();
        self.work.links().map(|(at, _)| at).filter(gone).collect()
    }

    fn del_elements(&mut self, ns: &Ns) {
        for (set, element) in all_elements(self.work.ns(ns)) {
            if !self.element_must_go(ns, &set, &element) {
                continue;
            }
            if let Some(there) = self.work.ns_mut(ns.clone()).elements.get_mut(&set) {
                there.remove(&element);
            }
            self.push(Phase::DelElements, ns, Op::DelElement { set, element });
        }
    }

    fn element_must_go(&self, ns: &Ns, set: &SetId, element: &Element) -> bool {
        let wanted = self.want.ns(ns).and_then(|w| at_key(w, set, element)).map(Arc::as_ref);
        if wanted == Some(element) || self.table_must_go(ns, set) {
            return false;
        }
        let in_the_way = wanted.is_some_and(|wanted| same_claim(wanted, element));
        match self.rigour {
            Rigour::Exact => self.owns_element(ns, set, element),
            Rigour::Contained => in_the_way,
        }
    }

    fn del_rules(&mut self, ns: &Ns) {
        let Some(have) = self.work.ns(ns) else { return };
        let wanted = self.want.ns(ns).map(|w| &w.rules);
        let gone: Vec<_> = have
            .rules
            .iter()
            .filter(|rule| !wanted.is_some_and(|w| w.contains(rule)) && self.owns_rule(ns, rule))
            .cloned()
            .collect();
        for rule in gone {
            self.work.ns_mut(ns.clone()).rules.remove(&rule);
            self.push(Phase::DelRules, ns, Op::DelRule(rule));
        }
    }

    fn del_routes(&mut self, ns: &Ns, dying: &BTreeSet<LinkRef>) {
        let Some(have) = self.work.ns(ns) else { return };
        let none = NetState::default();
        let wanted = self.want.ns(ns).unwrap_or(&none).routes_by_dst();
        let there = have.routes_by_dst();
        let mut gone = Vec::new();
        for route in &have.routes {
            let rivals = wanted.get(&route.dst).map(Vec::as_slice).unwrap_or_default();
            let is_wanted = rivals.iter().any(|want| same_route(route, want, self.rigour));
            let dies = route.dev.as_ref().is_some_and(|dev| is_in(dying, ns, dev));
            if is_wanted || dies || self.is_kernels(is_kernel_route(route)) {
                continue;
            }
            let in_the_way = rivals.iter().any(|want| same_route_key(route, want));
            let goes = match self.rigour {
                Rigour::Exact => self.owns_route(ns, route),
                Rigour::Contained => in_the_way,
            };
            if goes {
                let there = there.get(&route.dst).map(Vec::as_slice).unwrap_or_default();
                let makes_room = self.rigour == Rigour::Exact && makes_room(route, there, rivals);
                gone.push((route.clone(), makes_room));
            }
        }
        for (route, makes_room) in gone {
            self.work.ns_mut(ns.clone()).routes.remove(&route);
            if !makes_room {
                self.push(Phase::DelRoutes, ns, Op::DelRoute(route));
            }
        }
    }

    /// Removing an IPv4 address may take others of its subnet along: it is taken for granted here,
    /// so those that are wanted are made again (which does no harm where they were not taken).
    fn del_addrs(&mut self, ns: &Ns, dying: &BTreeSet<LinkRef>) {
        let Some(have) = self.work.ns(ns) else { return };
        let none = NetState::default();
        let want = self.want.ns(ns).unwrap_or(&none);
        let gone: Vec<_> = have
            .addrs
            .iter()
            .filter(|addr| !want.addrs_on(&addr.link).any(|w| same_addr(w, addr)))
            .filter(|addr| !self.is_kernels(is_kernel_addr(addr)))
            .filter(|addr| {
                let in_the_way = want.addrs_on(&addr.link).any(|w| same_addr_key(w, addr));
                self.content_goes(ns, &addr.link, dying, in_the_way)
            })
            .cloned()
            .collect();
        for addr in &gone {
            self.push(Phase::DelAddrs, ns, Op::DelAddr(addr.clone()));
        }
        let work = self.work.ns_mut(ns.clone());
        for addr in &gone {
            let taken_along = if addr.net.is_ipv4() { work.siblings(addr) } else { Vec::new() };
            work.drop_addr(addr);
            taken_along.iter().for_each(|sibling| work.drop_addr(sibling));
        }
    }

    /// Whether something looks like the kernel's own, where that was not given as ours.
    fn is_kernels(&self, looks_so: bool) -> bool {
        looks_so && !matches!(self.owned, Owned::Everything)
    }

    pub(super) fn content_goes(
        &self,
        ns: &Ns,
        link: &LinkName,
        dying: &BTreeSet<LinkRef>,
        in_the_way: bool,
    ) -> bool {
        let at = LinkRef { ns: ns.clone(), name: link.clone() };
        !dying.contains(&at)
            && match self.rigour {
                Rigour::Exact => self.owns_content(&at),
                Rigour::Contained => in_the_way,
            }
    }

    fn del_links(&mut self, doomed: &[LinkRef]) {
        for at in doomed {
            let Some(link) = self.work.link(at) else { continue };
            // Of a veth the first end is removed: the namespace of the other may be gone already.
            let first = link.kind.peer().filter(|peer| {
                *peer < at && doomed.contains(peer) && self.work.is_peer_of(peer, at)
            });
            let at = first.unwrap_or(at).clone();
            self.work.drop_link(&at);
            self.push(Phase::DelLinks, &at.ns, Op::DelLink(at.name.clone()));
        }
    }

    fn del_tables(&mut self, ns: &Ns) {
        let Some(have) = self.work.ns(ns) else { return };
        let gone: Vec<_> = have
            .tables
            .keys()
            .filter(|id| !self.wants_table(ns, id) && self.owns_table(ns, id))
            .cloned()
            .collect();
        for id in gone {
            let work = self.work.ns_mut(ns.clone());
            work.tables.remove(&id);
            work.elements.retain(|set, _| set.table != id);
            self.push(Phase::DelTables, ns, Op::DelTable(id));
        }
    }

    fn table_must_go(&self, ns: &Ns, set: &SetId) -> bool {
        let id = &set.table;
        let is_there = self.work.ns(ns).is_some_and(|have| have.tables.contains_key(id));
        is_there && !self.wants_table(ns, id) && self.owns_table(ns, id)
    }

    fn wants_table(&self, ns: &Ns, id: &crate::nft::TableId) -> bool {
        self.want.ns(ns).is_some_and(|want| want.tables.contains_key(id))
    }
}

/// The element of a set at the key of another.
pub(super) fn at_key<'s>(
    state: &'s NetState,
    set: &SetId,
    element: &Element,
) -> Option<&'s Arc<Element>> {
    let there = state.elements.get(set)?;
    let first = Element { key: element.key.clone(), data: Vec::new(), comment: String::new() };
    there.range::<Element, _>(&first..).next().filter(|found| found.key == element.key)
}

fn all_elements(state: Option<&NetState>) -> Vec<(SetId, Arc<Element>)> {
    let sets = state.into_iter().flat_map(|state| &state.elements);
    sets.flat_map(|(set, elements)| elements.iter().map(|e| (set.clone(), e.clone()))).collect()
}

fn is_in(links: &BTreeSet<LinkRef>, ns: &Ns, name: &LinkName) -> bool {
    links.contains(&LinkRef { ns: ns.clone(), name: name.clone() })
}

/// Links that a state relies on without saying what they are.
fn mentioned_links(state: &State) -> BTreeSet<LinkRef> {
    let mut found = BTreeSet::new();
    for (ns, state) in state.iter() {
        let names = state
            .addrs
            .iter()
            .map(|a| &a.link)
            .chain(state.routes.iter().filter_map(|r| r.dev.as_ref()))
            .chain(state.neighs.iter().map(|n| &n.link))
            .chain(state.fdb.iter().map(|e| &e.link))
            .chain(state.wg_peers.values().map(|p| &p.link))
            .chain(state.links.values().filter_map(|l| l.master.as_ref()));
        found.extend(names.map(|name| LinkRef { ns: ns.clone(), name: name.clone() }));
        found.extend(state.links.values().filter_map(|link| link.kind.parent().cloned()));
    }
    found
}
