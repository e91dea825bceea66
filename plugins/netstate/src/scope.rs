//! What may be looked at and changed.

use std::collections::BTreeSet;

use crate::link::LinkRef;
use crate::name::{Ns, SysctlKey};
use crate::nft::{Element, SetId, TableId};
use crate::state::Desired;

/// The part of the kernel's state that somebody owns or asks about. Nothing outside of a scope is
/// ever removed, and observing costs by the size of the scope, not of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Links, with their addresses and forwarding and neighbour entries.
    pub links: BTreeSet<LinkRef>,
    /// Also the routes through the links.
    pub routes: bool,
    /// Routes made by this protocol number (`RTPROT_*`), in whichever table.
    pub route_protocol: Option<u8>,
    /// Sysctls.
    pub sysctls: BTreeSet<(Ns, SysctlKey)>,
    /// Whether these tables are there, and their comment; chains and rules are not read.
    pub tables: BTreeSet<(Ns, TableId)>,
    /// Elements, looked up by their key.
    pub elements: BTreeSet<(Ns, SetId, Element)>,
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
                .chain(state.routes.iter().filter_map(|r| r.dev.as_ref()));
            for name in names {
                scope.links.insert(LinkRef { ns: ns.clone(), name: name.clone() });
            }
            for key in state.sysctls.keys() {
                scope.sysctls.insert((ns.clone(), key.clone()));
            }
            for id in state.tables.keys() {
                scope.tables.insert((ns.clone(), id.clone()));
            }
            for (set, elements) in &state.elements {
                for element in elements {
                    scope.elements.insert((ns.clone(), set.clone(), element.clone()));
                }
            }
        }
        scope
    }
}
