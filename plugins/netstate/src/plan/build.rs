//! What must come or change, in the phases of [`Phase`].

use std::sync::Arc;

use super::compare::{Rigour, link_changes, same_route};
use super::order::{Phase, by_need};
use super::planner::Planner;
use super::remove::at_key;
use crate::addr::Addr;
use crate::cascade::same_addr;
use crate::link::{BridgePort, Link, LinkChange, LinkKind, LinkRef, PeerInit};
use crate::name::{LinkName, Ns, SysctlKey};
use crate::nft::Element;
use crate::op::Op;
use crate::route::Route;
use crate::state::NetState;

impl<'a> Planner<'a> {
    /// Plans all that comes and changes.
    pub(super) fn build_wanted(&mut self) {
        let spaces: Vec<(&'a Ns, &'a NetState)> = self.want.iter().collect();
        for &(ns, want) in &spaces {
            self.add_tables(ns, want);
            self.set_sysctls(ns, None);
        }
        for at in by_need(self.want.links()) {
            if let (Some(link), Some(want)) = (self.want.link(&at), self.want.ns(&at.ns)) {
                self.build_link(&at, link, want);
            }
        }
        for &(ns, want) in &spaces {
            self.add_addrs(ns, want.addrs.iter());
            self.add_neighs(ns, want);
            self.add_wg_peers(ns, want);
            self.add_routes(ns, want);
            for rule in &want.rules {
                if self.work.ns_mut(ns.clone()).rules.insert(rule.clone()) {
                    self.push(Phase::Rules, ns, Op::AddRule(rule.clone()));
                }
            }
            self.add_elements(ns, want);
        }
    }

    /// A table is compared by its comment, which holds the version of its content; whoever makes it
    /// keeps the elements of one that is there, or refuses.
    fn add_tables(&mut self, ns: &Ns, want: &NetState) {
        for (id, table) in &want.tables {
            let work = self.work.ns_mut(ns.clone());
            let is_there = work.tables.get(id).is_some_and(|have| have.comment == table.comment);
            if !is_there {
                work.tables.insert(id.clone(), table.clone());
                self.push(Phase::Tables, ns, Op::AddTable(table.clone()));
            }
        }
    }

    /// Writes the sysctls of a link; without one, those that belong to no link made here.
    fn set_sysctls(&mut self, ns: &Ns, link: Option<&LinkName>) {
        let phase = if link.is_some() { Phase::Links } else { Phase::Sysctls };
        // IPv6 first: IPv4's of a link may go to the kernel together with what comes next.
        for (key, value) in self.sysctls(ns, link).to_vec().into_iter().rev() {
            if self.sysctl_differs(ns, key, value) {
                self.work.ns_mut(ns.clone()).sysctls.insert(key.clone(), value.to_owned());
                let (key, value) = (key.clone(), value.to_owned());
                self.push(phase, ns, Op::SetSysctl { key, value, optional: false });
            }
        }
    }

    fn build_link(&mut self, at: &LinkRef, link: &Link, want: &NetState) {
        if self.work.link(at).is_none() {
            if link.kind.is_made() {
                self.add_link(at, link, want);
            } else {
                // It is there; nothing is known about it.
                self.work.ns_mut(at.ns.clone()).add_link(bare(link));
            }
        }
        let changes = self.changes_to(at, link);
        let (before, after) = if self.born.contains(at) {
            (Vec::new(), changes)
        } else if self.has_content_to_come(at, want) {
            // The MTU and going down decide which addresses it can have; up comes after them.
            changes.into_iter().partition(|change| *change != LinkChange::Up(true))
        } else {
            (changes, Vec::new())
        };
        self.set_link(at, before);
        self.set_sysctls(&at.ns, Some(&at.name));
        self.add_addrs(&at.ns, want.addrs_on(&at.name));
        self.set_link(at, after);
    }

    /// Makes a link with what one message can say: not the alias, nor the flags of a port
    /// (`rtnl_newlink_create()`, `net/core/rtnetlink.c`). A veth's far end comes with it, but down.
    fn add_link(&mut self, at: &LinkRef, link: &Link, want: &NetState) {
        let waits = want.addrs_on(&at.name).next().is_some()
            || !self.sysctls(&at.ns, Some(&at.name)).is_empty();
        let birth = Link { up: link.up && !waits, alias: None, port: None, ..link.clone() };
        let peer = birth.kind.peer().map(|peer| self.peer_init(peer));
        let mut there = birth.clone();
        there.port = there.master.as_ref().map(|_| BridgePort::as_born());
        self.work.ns_mut(at.ns.clone()).add_link(there);
        self.born.insert(at.clone());
        if let Some(peer) = &peer {
            let kind = LinkKind::Veth { peer: at.clone() };
            let end = Link {
                mac: peer.mac,
                mtu: peer.mtu,
                up: false,
                ..Link::new(peer.link.name.clone(), kind)
            };
            self.work.ns_mut(peer.link.ns.clone()).add_link(end);
            self.born.insert(peer.link.clone());
        }
        self.push(Phase::Links, &at.ns, Op::AddLink { link: birth, peer });
    }

    fn peer_init(&self, peer: &LinkRef) -> PeerInit {
        let link = self.want.link(peer);
        PeerInit {
            link: peer.clone(),
            mac: link.and_then(|link| link.mac),
            mtu: link.and_then(|link| link.mtu),
        }
    }

    /// What the kernel gives a link at birth (VLAN 1) is not somebody else's wish.
    fn changes_to(&self, at: &LinkRef, want: &Link) -> Vec<LinkChange> {
        let rigour = if self.born.contains(at) { Rigour::Exact } else { self.rigour };
        self.work.link(at).map(|have| link_changes(have, want, rigour)).unwrap_or_default()
    }

    fn set_link(&mut self, at: &LinkRef, changes: Vec<LinkChange>) {
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            self.work.change_link(at, change);
        }
        self.push(Phase::Links, &at.ns, Op::SetLink { name: at.name.clone(), changes });
    }

    fn has_content_to_come(&self, at: &LinkRef, want: &NetState) -> bool {
        let mut sysctls = self.sysctls(&at.ns, Some(&at.name)).iter();
        want.addrs_on(&at.name).any(|addr| !self.has_addr(&at.ns, addr))
            || sysctls.any(|(key, value)| self.sysctl_differs(&at.ns, key, value))
    }

    fn add_addrs<'w>(&mut self, ns: &Ns, wanted: impl Iterator<Item = &'w Addr>) {
        for addr in wanted {
            if !self.has_addr(ns, addr) {
                self.work.ns_mut(ns.clone()).addrs.insert(addr.clone());
                self.push(Phase::Links, ns, Op::AddAddr(addr.clone()));
            }
        }
    }

    fn add_neighs(&mut self, ns: &Ns, want: &NetState) {
        for neigh in &want.neighs {
            if self.work.ns_mut(ns.clone()).neighs.insert(neigh.clone()) {
                let is_ours = self.owns_content_of(ns, &neigh.link);
                self.push_replacing(Phase::Neighs, ns, Op::AddNeigh(neigh.clone()), is_ours);
            }
        }
        for entry in &want.fdb {
            if self.work.ns_mut(ns.clone()).fdb.insert(entry.clone()) {
                let is_ours = self.owns_content_of(ns, &entry.link);
                self.push_replacing(Phase::Neighs, ns, Op::AddFdb(entry.clone()), is_ours);
            }
        }
    }

    fn add_routes(&mut self, ns: &Ns, want: &NetState) {
        let rigour = self.rigour;
        let work = self.work.ns_mut(ns.clone());
        let there = work.routes_by_dst();
        let mut missing: Vec<&Route> = want
            .routes
            .iter()
            .filter(|route| {
                let rivals = there.get(&route.dst).map(Vec::as_slice).unwrap_or_default();
                !rivals.iter().any(|have| same_route(have, route, rigour))
            })
            .collect();
        // A gateway must be reachable, maybe by another of these routes.
        missing.sort_by_key(|route| route.via.is_some());
        work.routes.extend(missing.iter().map(|route| (*route).clone()));
        for route in missing {
            let is_ours = self.owns_route(ns, route);
            self.push_replacing(Phase::Routes, ns, Op::AddRoute(route.clone()), is_ours);
        }
    }

    fn add_elements(&mut self, ns: &Ns, want: &NetState) {
        for (set, elements) in &want.elements {
            let work = self.work.ns_mut(ns.clone());
            let is_missing = |element: &&Arc<Element>| at_key(work, set, element) != Some(element);
            let missing: Vec<&Arc<Element>> = elements.iter().filter(is_missing).collect();
            // At most one of them has a key: none makes another superfluous.
            let there = work.elements.entry(set.clone()).or_default();
            there.extend(missing.iter().copied().cloned());
            for element in missing {
                let op = Op::AddElement { set: set.clone(), element: Arc::clone(element) };
                self.push(Phase::Elements, ns, op);
            }
        }
    }

    fn has_addr(&self, ns: &Ns, addr: &Addr) -> bool {
        self.work.ns(ns).is_some_and(|have| have.addrs_on(&addr.link).any(|a| same_addr(a, addr)))
    }

    fn sysctl_differs(&self, ns: &Ns, key: &SysctlKey, value: &str) -> bool {
        let have = self.work.ns(ns).and_then(|have| have.sysctls.get(key));
        have.map(String::as_str) != Some(value)
    }
}

/// A link of which only the name and kind are known.
fn bare(link: &Link) -> Link {
    Link { up: false, ..Link::new(link.name.clone(), link.kind.clone()) }
}
