//! The order of a plan, as data.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use crate::link::{Link, LinkRef};
use crate::name::Ns;
use crate::op::Step;

/// What a step is about. The order of the variants is the order of work within a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// First of all: packets stop being let in and translated before their target goes.
    DelElements,
    /// A rule may point to a table whose routes go next.
    DelRules,
    /// Before the addresses they prefer as a source, and before new routes of the same key.
    DelRoutes,
    /// Before new entries of the same key.
    DelNeighs,
    /// Before new ones: an IPv6 address is on a link once, with one prefix length.
    DelAddrs,
    /// Before new links of the same name; takes along what is on them.
    DelLinks,
    /// Last to go: rules must not miss while there still is something to filter.
    DelTables,
    /// First to come: a filter stands before there is anything to filter.
    Tables,
    /// Defaults for links must be there before the links are.
    Sysctls,
    /// Bridges before their ports, parents before their children. Of each link: its sysctls (it
    /// must not be up or have addresses under the old ones), then addresses, then up (so that what
    /// the kernel announces on the way up holds them).
    Links,
    /// Before routes: the first packet finds its next hop.
    Neighs,
    /// Needs links that are up and addresses to prefer; on-link ones before those via a gateway.
    Routes,
    /// A table is looked up once it is full.
    Rules,
    /// After the routes that led there, which lead elsewhere now: a packet in between finds its next hop.
    OldNeighs,
    /// Last of all: nothing is let in or translated until its target is there.
    Elements,
}

/// A step and its place.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) phase: Phase,
    pub(super) step: Step,
}

/// When a phase is worked on, if there are several namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// In all namespaces, before what follows.
    First,
    /// In all namespaces, before links: one that goes may take a link of the other namespace along,
    /// and what that link bore changes what is left there.
    Away,
    /// Links, in the order in which they were chosen.
    Unlinked,
    /// In all namespaces, after the links have gone.
    Cleared,
    /// In all namespaces, before links: a veth puts a link into another namespace than its own.
    Before,
    /// Links, and after the last link of a namespace what is on them, so that the steps of one
    /// namespace stay together: each change of namespace costs a batch.
    Come,
    /// In all namespaces, when all else is done.
    Last,
}

impl Phase {
    fn stage(self) -> Stage {
        match self {
            Self::DelElements => Stage::First,
            Self::DelRules | Self::DelRoutes | Self::DelNeighs | Self::DelAddrs => Stage::Away,
            Self::DelLinks => Stage::Unlinked,
            Self::DelTables => Stage::Cleared,
            Self::Tables | Self::Sysctls => Stage::Before,
            Self::Links | Self::Neighs | Self::Routes | Self::Rules | Self::OldNeighs => {
                Stage::Come
            }
            Self::Elements => Stage::Last,
        }
    }
}

/// Puts steps, which are in order within each phase, in order of stage, namespace and phase.
pub(super) fn arrange(mut steps: Vec<Placed>) -> Plan {
    steps.sort_by_key(|placed| placed.phase.stage());
    let mut groups: BTreeMap<Stage, Vec<Placed>> = BTreeMap::new();
    for placed in steps {
        groups.entry(placed.phase.stage()).or_default().push(placed);
    }
    let mut plan = Plan::default();
    for (stage, mut group) in groups {
        match stage {
            Stage::Come => group = interleave(group),
            Stage::Unlinked => {}
            Stage::Away => {
                group.sort_by_key(|placed| (Reverse(placed.step.ns.clone()), placed.phase));
            }
            Stage::First | Stage::Cleared | Stage::Before | Stage::Last => {
                group.sort_by_key(|placed| (placed.step.ns.clone(), placed.phase));
            }
        }
        plan.steps.extend(group.into_iter().map(|placed| placed.step));
    }
    plan
}

/// Orders links so that what one needs comes before it: its bridge, its parent, and for the second
/// end of a veth the first. Where nothing decides, by namespace and name.
pub(super) fn by_need<'a>(links: impl Iterator<Item = (LinkRef, &'a Link)>) -> Vec<LinkRef> {
    let links: BTreeMap<LinkRef, &Link> = links.collect();
    let mut order = Vec::with_capacity(links.len());
    let mut seen = BTreeSet::new();
    for at in links.keys() {
        visit(at, &links, &mut seen, &mut order);
    }
    order
}

fn visit(
    at: &LinkRef,
    links: &BTreeMap<LinkRef, &Link>,
    seen: &mut BTreeSet<LinkRef>,
    order: &mut Vec<LinkRef>,
) {
    let Some(link) = links.get(at) else { return };
    if !seen.insert(at.clone()) {
        return;
    }
    for need in needs(at, link) {
        visit(&need, links, seen, order);
    }
    order.push(at.clone());
}

fn needs(at: &LinkRef, link: &Link) -> Vec<LinkRef> {
    let master = link.master.iter().map(|name| LinkRef { ns: at.ns.clone(), name: name.clone() });
    let mut needs: Vec<LinkRef> = master.collect();
    needs.extend(link.kind.parent().cloned());
    needs.extend(link.kind.peer().filter(|peer| *peer < at).cloned());
    needs
}

fn interleave(group: Vec<Placed>) -> Vec<Placed> {
    let (links, mut rest): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|placed| placed.phase == Phase::Links);
    rest.sort_by_key(|placed| placed.phase);
    let mut links_left: BTreeMap<Ns, usize> = BTreeMap::new();
    for placed in &links {
        *links_left.entry(placed.step.ns.clone()).or_default() += 1;
    }
    let mut out = Vec::with_capacity(links.len() + rest.len());
    for placed in links {
        let ns = placed.step.ns.clone();
        out.push(placed);
        let left = links_left.entry(ns.clone()).or_default();
        *left = left.saturating_sub(1);
        if *left == 0 {
            out.extend(rest.extract_if(.., |placed| placed.step.ns == ns));
        }
    }
    rest.sort_by_key(|placed| placed.step.ns.clone());
    out.extend(rest);
    out
}
