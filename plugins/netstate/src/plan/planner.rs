//! The planner: it works on a copy of what is there, and lets each step have its effect on the
//! copy before it decides on the next. So what dies with a link is made anew without being named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compare::{Rigour, same_claim};
use super::order::{Phase, Placed};
use crate::cascade::link_of;
use crate::link::LinkRef;
use crate::name::{LinkName, Ns, SysctlKey};
use crate::nft::{Element, SetId, TableId};
use crate::op::{Mode, Op, Step};
use crate::route::{Route, Rule};
use crate::scope::Scope;
use crate::state::{NetState, State};

/// What may be taken away.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owned<'a> {
    /// Only what stands in the way of something wanted.
    Nothing,
    /// What is in the scope.
    Scope(&'a Scope),
    /// All that is there.
    Everything,
}

/// A sysctl and its value.
pub(super) type Setting<'a> = (&'a SysctlKey, &'a str);

#[derive(Debug)]
pub(super) struct Planner<'a> {
    /// What will be there once the steps so far are done.
    pub(super) work: State,
    pub(super) want: &'a State,
    pub(super) rigour: Rigour,
    pub(super) owned: Owned<'a>,
    /// Links that the plan makes.
    pub(super) born: BTreeSet<LinkRef>,
    /// Wanted sysctls by the wanted link they come with; the others by none.
    sysctls: BTreeMap<(Ns, Option<LinkName>), Vec<Setting<'a>>>,
    mode: Mode,
    steps: Vec<Placed>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        there: State,
        want: &'a State,
        owned: Owned<'a>,
        rigour: Rigour,
        mode: Mode,
    ) -> Self {
        let mut sysctls: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (ns, state) in want.iter() {
            for (key, value) in &state.sysctls {
                let of_this_key = sysctls.entry((ns.clone(), owner(state, key))).or_default();
                of_this_key.push((key, value.as_str()));
            }
        }
        let (work, born, steps) = (there, BTreeSet::new(), Vec::new());
        Self { work, want, rigour, owned, born, sysctls, mode, steps }
    }

    /// The wanted sysctls of a link, or of no link.
    pub(super) fn sysctls(&self, ns: &Ns, link: Option<&LinkName>) -> &[Setting<'a>] {
        self.sysctls.get(&(ns.clone(), link.cloned())).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn into_steps(self) -> Vec<Placed> {
        self.steps
    }

    /// Adds a step that takes the place of what is there, if that is ours to take.
    pub(super) fn push_replacing(&mut self, phase: Phase, ns: &Ns, op: Op, is_ours: bool) {
        let mode = if is_ours && self.rigour == Rigour::Exact { Mode::Replace } else { self.mode };
        self.steps.push(Placed { phase, step: Step { ns: ns.clone(), op, mode } });
    }

    /// Adds a step. A removal does not mind that the thing is gone already.
    pub(super) fn push(&mut self, phase: Phase, ns: &Ns, op: Op) {
        let mode = if op.is_removal() { Mode::Fresh } else { self.mode };
        self.steps.push(Placed { phase, step: Step { ns: ns.clone(), op, mode } });
    }

    /// All namespaces that are there or wanted.
    pub(super) fn spaces(&self) -> Vec<Ns> {
        let both = self.work.iter().chain(self.want.iter());
        both.map(|(ns, _)| ns.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a link may be removed where it is not wanted.
    pub(super) fn owns_link(&self, at: &LinkRef) -> bool {
        match self.owned {
            Owned::Nothing => false,
            Owned::Scope(scope) => scope.links.contains(at),
            Owned::Everything => true,
        }
    }

    /// Whether what is on a link may be removed.
    pub(super) fn owns_content(&self, at: &LinkRef) -> bool {
        match self.owned {
            Owned::Nothing => false,
            Owned::Scope(scope) => scope.links.contains(at) && self.want.link(at).is_some(),
            Owned::Everything => true,
        }
    }

    pub(super) fn owns_content_of(&self, ns: &Ns, link: &LinkName) -> bool {
        self.owns_content(&LinkRef { ns: ns.clone(), name: link.clone() })
    }

    pub(super) fn owns_route(&self, ns: &Ns, route: &Route) -> bool {
        let dev = route.dev.clone().map(|name| LinkRef { ns: ns.clone(), name });
        match self.owned {
            Owned::Nothing => false,
            Owned::Scope(scope) => {
                scope.route_protocol == Some(route.protocol)
                    || (scope.routes && dev.is_some_and(|dev| self.owns_content(&dev)))
            }
            Owned::Everything => true,
        }
    }

    pub(super) fn owns_rule(&self, ns: &Ns, rule: &Rule) -> bool {
        match self.owned {
            Owned::Nothing => false,
            Owned::Scope(scope) => scope.rule_tables.contains(&(ns.clone(), rule.table)),
            Owned::Everything => true,
        }
    }

    pub(super) fn owns_table(&self, ns: &Ns, id: &TableId) -> bool {
        match self.owned {
            Owned::Nothing => false,
            Owned::Scope(scope) => scope.tables.contains(&(ns.clone(), id.clone())),
            Owned::Everything => true,
        }
    }

    pub(super) fn owns_element(&self, ns: &Ns, set: &SetId, element: &Element) -> bool {
        match self.owned {
            Owned::Nothing => false,
            Owned::Scope(scope) => {
                let key = element.key.clone();
                let first = Element { key, data: Vec::new(), comment: String::new() };
                let from = (ns.clone(), set.clone(), Arc::new(first));
                scope
                    .elements
                    .range(from..)
                    .take_while(|(n, s, e)| n == ns && s == set && e.key == element.key)
                    .any(|(_, _, e)| same_claim(e, element))
            }
            Owned::Everything => true,
        }
    }
}

/// The link of the state that a sysctl belongs to.
fn owner(state: &NetState, key: &SysctlKey) -> Option<LinkName> {
    LinkName::new(link_of(key)?).ok().filter(|name| state.links.contains_key(name))
}
