//! Tables, chains and sets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use netstate::nft::{
    Chain, ChainId, ChainKind, Hook, HookPoint, NetworkSet, Set, SetId, Table, TableId,
};

use super::element::add_interval;
use super::set_data::set_data;
use super::types::SetShape;
use super::{add_rule, msg, push, put_comment};
use crate::netlink::wire::Writer;
use crate::netlink::{Batch, flag};

const NEW: u16 = flag::CREATE | flag::EXCL;
/// `NFT_SET_MAP`.
const SET_MAP: u32 = 8;
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;

/// A table without contents, with its comment.
pub(crate) fn add_table(batch: &mut Batch, table: &Table) {
    const FLAGS: u16 = 2;
    const USERDATA: u16 = 6;
    push(batch, msg::NEWTABLE, NEW, &table.id, |w| {
        w.be32(FLAGS, 0);
        if !table.comment.is_empty() {
            put_comment(w, USERDATA, &table.comment);
        }
    });
}

/// All that is in a new table: the chains first, that rules can jump to any of them, then what
/// rules look up, then the rules.
pub(crate) fn table_contents(batch: &mut Batch, table: &Table) {
    for chain in &table.chains {
        new_chain(batch, &table.id, chain);
    }
    let mut numbers = 1..;
    for (set, number) in table.sets.iter().zip(&mut numbers) {
        add_set(batch, &table.id, set, number);
    }
    for (set, number) in table.networks.iter().zip(numbers) {
        add_networks(batch, &table.id, set, number);
    }
    for chain in &table.chains {
        add_rules(batch, &table.id, chain);
    }
}

/// Removes a table with all in it.
pub(crate) fn del_table(batch: &mut Batch, table: &TableId) {
    push(batch, msg::DELTABLE, 0, table, |_| {});
}

/// Asks for a table.
pub(crate) fn get_table(batch: &mut Batch, table: &TableId) {
    push(batch, msg::GETTABLE, 0, table, |_| {});
}

/// A chain with its rules.
pub(crate) fn add_chain(batch: &mut Batch, table: &TableId, chain: &Chain) {
    new_chain(batch, table, chain);
    add_rules(batch, table, chain);
}

/// Asks for a chain.
pub(crate) fn get_chain(batch: &mut Batch, chain: &ChainId) {
    push(batch, msg::GETCHAIN, 0, &chain.table, |w| {
        w.str(CHAIN_NAME, &chain.name);
    });
}

/// Removes a chain with its rules. Nothing may jump to it.
pub(crate) fn del_chain(batch: &mut Batch, chain: &ChainId) {
    push(batch, msg::DELCHAIN, 0, &chain.table, |w| {
        w.str(CHAIN_NAME, &chain.name);
    });
}

/// A set or map without elements. Sets made in one transaction need different numbers.
pub(crate) fn add_set(batch: &mut Batch, table: &TableId, set: &Set, number: u32) {
    new_set(batch, table, set, number, 0);
}

fn new_set(batch: &mut Batch, table: &TableId, set: &Set, number: u32, flags: u32) {
    const FLAGS: u16 = 3;
    const KEY_TYPE: u16 = 4;
    const KEY_LEN: u16 = 5;
    const DATA_TYPE: u16 = 6;
    const DATA_LEN: u16 = 7;
    const ID: u16 = 10;
    const USERDATA: u16 = 13;
    let shape = SetShape::of(set);
    push(batch, msg::NEWSET, NEW, table, |w| {
        w.str(SET_NAME, &set.name);
        w.be32(FLAGS, flags | if shape.data.is_some() { SET_MAP } else { 0 });
        w.be32(KEY_TYPE, shape.key_type).be32(KEY_LEN, shape.key_length);
        if let Some((data_type, length)) = shape.data {
            w.be32(DATA_TYPE, data_type).be32(DATA_LEN, length);
        }
        w.be32(ID, number);
        w.bytes(USERDATA, &set_data(set));
    });
}

/// A set of networks with all of them. An interval is two elements: where it begins, and the first
/// value behind it, which is left out where there is none.
fn add_networks(batch: &mut Batch, table: &TableId, set: &NetworkSet, number: u32) {
    const INTERVAL: u32 = 4;
    let shape = Set { name: set.name.clone(), key: vec![set.key()], data: Vec::new() };
    new_set(batch, table, &shape, number, INTERVAL);
    let id = SetId::new(table, &set.name);
    for network in &set.networks {
        add_interval(batch, &id, network.network(), behind(*network));
    }
}

fn behind(network: IpNetwork) -> Option<IpAddr> {
    match network.broadcast() {
        IpAddr::V4(last) => Some(Ipv4Addr::from_bits(last.to_bits().checked_add(1)?).into()),
        IpAddr::V6(last) => Some(Ipv6Addr::from_bits(last.to_bits().checked_add(1)?).into()),
    }
}

/// Asks for a set.
pub(crate) fn get_set(batch: &mut Batch, set: &SetId) {
    push(batch, msg::GETSET, 0, &set.table, |w| {
        w.str(SET_NAME, &set.name);
    });
}

/// Asks for all sets of a table, by a dump.
pub(crate) fn list_sets(batch: &mut Batch, table: &TableId) {
    push(batch, msg::GETSET, flag::DUMP, table, |_| {});
}

/// `NFTA_CHAIN_NAME`.
const CHAIN_NAME: u16 = 3;
/// `NFTA_SET_NAME`.
const SET_NAME: u16 = 2;

fn new_chain(batch: &mut Batch, table: &TableId, chain: &Chain) {
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    const TYPE: u16 = 7;
    push(batch, msg::NEWCHAIN, NEW, table, |w| {
        w.str(CHAIN_NAME, &chain.name);
        if let Some(hook) = &chain.hook {
            w.str(TYPE, kind(hook.kind)).be32(POLICY, ACCEPT);
            w.nest(HOOK, |w| put_hook(w, hook));
        }
    });
}

fn add_rules(batch: &mut Batch, table: &TableId, chain: &Chain) {
    for rule in &chain.rules {
        add_rule(batch, &ChainId { table: table.clone(), name: chain.name.clone() }, rule);
    }
}

fn put_hook(writer: &mut Writer<'_>, hook: &Hook) {
    const HOOKNUM: u16 = 1;
    const PRIORITY: u16 = 2;
    writer.be32(HOOKNUM, point(hook.point));
    writer.bytes(PRIORITY, &hook.priority.to_be_bytes());
}

fn kind(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
    }
}

/// `NF_INET_*` and `NF_BR_*`, which are the same.
fn point(point: HookPoint) -> u32 {
    match point {
        HookPoint::Prerouting => 0,
        HookPoint::Input => 1,
        HookPoint::Forward => 2,
        HookPoint::Output => 3,
        HookPoint::Postrouting => 4,
    }
}
