//! Random states that a kernel can be in.
//!
//! A recipe is random; [`Recipe::state`] turns any recipe into a valid state by leaving out what
//! cannot be. All attributes are given, so that states can be compared as they are.

mod build;
mod recipe;

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::nft::{DataType, Family, Set, Table, TableId};
use crate::{Link, LinkKind, LinkName, LinkRef, Ns, State};

/// The links there can be; the same name can be of another kind in another state.
const NAMES: [(Ns, &str); 7] = [
    (Ns::Host, "h0"),
    (Ns::Host, "h1"),
    (Ns::Host, "h2"),
    (Ns::Host, "h3"),
    (Ns::Container, "c0"),
    (Ns::Container, "c1"),
    (Ns::Container, "c2"),
];

pub(super) fn states() -> impl Strategy<Value = State> {
    recipe::recipes().prop_map(|recipe| recipe.state())
}

pub(super) fn table(version: u8) -> Table {
    let id = TableId::new(Family::Inet, "netd");
    let key = vec![DataType::Ipv4Addr];
    let sets = vec![
        Set { name: "sources".to_owned(), key: key.clone(), data: Vec::new() },
        Set {
            name: "ports".to_owned(),
            key,
            data: vec![DataType::Ipv4Addr, DataType::InetService],
        },
    ];
    Table { id, comment: format!("schema {version}"), sets, networks: vec![], chains: Vec::new() }
}

fn at(index: usize) -> LinkRef {
    let (ns, name) = NAMES[index].clone();
    LinkRef { ns, name: LinkName::new(name).unwrap() }
}

/// Links that have others on them.
pub(super) fn parents(state: &State) -> BTreeSet<LinkRef> {
    state.links().filter_map(|(_, link)| link.kind.parent().cloned()).collect()
}

/// Links that have macvlans on them: they cannot be ports.
fn macvlan_parents(state: &State) -> BTreeSet<LinkRef> {
    let macvlan = |link: &&Link| matches!(link.kind, LinkKind::MacVlan { .. });
    let macvlans = state.links().map(|(_, link)| link).filter(macvlan);
    macvlans.filter_map(|link| link.kind.parent().cloned()).collect()
}
