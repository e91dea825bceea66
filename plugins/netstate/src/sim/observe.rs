//! The part of a state that is in a scope.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::link::LinkRef;
use crate::name::{LinkName, Ns};
use crate::nft::{Element, SetId};
use crate::scope::Scope;
use crate::state::{NetState, State};

pub(super) fn observe(state: &State, scope: &Scope) -> State {
    let mut seen = State::default();
    for (ns, there) in state.iter() {
        let found = observe_space(ns, there, scope);
        if !found.is_empty() {
            *seen.ns_mut(ns.clone()) = found;
        }
    }
    seen
}

fn observe_space(ns: &Ns, there: &NetState, scope: &Scope) -> NetState {
    let has_link =
        |name: &LinkName| scope.links.contains(&LinkRef { ns: ns.clone(), name: name.clone() });
    let mut seen = NetState::default();
    let links = there.links.iter().filter(|(name, _)| has_link(name));
    seen.links = links.map(|(name, link)| (name.clone(), link.clone())).collect();
    seen.addrs = there.addrs.iter().filter(|a| has_link(&a.link)).cloned().collect();
    seen.neighs = there.neighs.iter().filter(|n| has_link(&n.link)).cloned().collect();
    seen.fdb = there.fdb.iter().filter(|e| has_link(&e.link)).cloned().collect();
    let peers = there.wg_peers.iter().filter(|(_, peer)| has_link(&peer.link));
    seen.wg_peers = peers.map(|(id, peer)| (id.clone(), peer.clone())).collect();
    let routes = there.routes.iter().filter(|route| {
        scope.route_protocol == Some(route.protocol)
            || (scope.routes && route.dev.as_ref().is_some_and(has_link))
    });
    seen.routes = routes.cloned().collect();
    let has_rule = |table: u32| scope.rule_tables.contains(&(ns.clone(), table));
    seen.rules = there.rules.iter().filter(|rule| has_rule(rule.table)).cloned().collect();
    let sysctls = there.sysctls.iter();
    seen.sysctls = sysctls
        .filter(|(key, _)| scope.sysctls.contains(&(ns.clone(), (*key).clone())))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let tables = there.tables.iter();
    seen.tables = tables
        .filter(|(id, _)| scope.tables.contains(&(ns.clone(), (*id).clone())))
        .map(|(id, table)| (id.clone(), table.clone()))
        .collect();
    seen.elements = observe_elements(ns, there, scope);
    seen
}

fn observe_elements(
    ns: &Ns,
    there: &NetState,
    scope: &Scope,
) -> BTreeMap<SetId, BTreeSet<Arc<Element>>> {
    let mut seen: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (_, set, asked) in scope.elements.iter().filter(|(asked_in, _, _)| asked_in == ns) {
        let found = there.elements.get(set).into_iter().flatten().find(|e| e.key == asked.key);
        if let Some(found) = found {
            seen.entry(set.clone()).or_default().insert(found.clone());
        }
    }
    seen
}
