//! What may be looked at and changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::link::LinkRef;
use crate::name::{Ns, SysctlKey};
use crate::nft::{Element, SetId, TableId};
use crate::state::Desired;

/// The part of the kernel's state that somebody owns or asks about. Nothing outside of a scope is
/// ever removed, and observing costs by the size of the scope, not of the host.
///
/// A link in a scope is owned with all that is on it, unless the desired state only mentions it
/// (as the device of a route, as a parent or a master): then it is somebody else's, and what it is
/// and has is left alone but for what is desired of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Links, with their addresses.
    pub links: BTreeSet<LinkRef>,
    /// Also the permanent neighbours, forwarding entries and WireGuard's peers of the links: on a bridge, listing
    /// them costs by the number of containers.
    pub neighbours: bool,
    /// Also the routes through the links.
    pub routes: bool,
    /// Routes made by this protocol number (`RTPROT_*`), in whichever table.
    pub route_protocol: Option<u8>,
    /// Policy rules that look these tables up.
    pub rule_tables: BTreeSet<(Ns, u32)>,
    /// Sysctls.
    pub sysctls: BTreeSet<(Ns, SysctlKey)>,
    /// Whether these tables are there, and their comment; chains and rules are not read.
    pub tables: BTreeSet<(Ns, TableId)>,
    /// Elements, looked up by their key.
    pub elements: BTreeSet<(Ns, SetId, Arc<Element>)>,
}

impl Scope {
    /// Exactly what a desired state speaks of.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        let mut scope = Self { routes: true, ..Self::default() };
        for (ns, state) in desired.0.iter() {
            let names = state
                .links
                .keys()
                .chain(state.addrs.iter().map(|a| &a.link))
                .chain(state.routes.iter().filter_map(|r| r.dev.as_ref()))
                .chain(state.neighs.iter().map(|n| &n.link))
                .chain(state.fdb.iter().map(|e| &e.link))
                .chain(state.wg_peers.values().map(|p| &p.link));
            for name in names {
                scope.links.insert(LinkRef { ns: ns.clone(), name: name.clone() });
            }
            let (neighs, fdb) = (!state.neighs.is_empty(), !state.fdb.is_empty());
            scope.neighbours |= neighs || fdb || !state.wg_peers.is_empty();
            for rule in &state.rules {
                scope.rule_tables.insert((ns.clone(), rule.table));
            }
            for key in state.sysctls.keys() {
                scope.sysctls.insert((ns.clone(), key.clone()));
            }
            for id in state.tables.keys() {
                scope.tables.insert((ns.clone(), id.clone()));
            }
            for (set, elements) in &state.elements {
                for element in elements {
                    scope.elements.insert((ns.clone(), set.clone(), Arc::clone(element)));
                }
            }
        }
        scope
    }
}
