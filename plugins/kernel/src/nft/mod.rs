//! nf_tables: `netstate`'s model as netlink bytes, and what the kernel says of it.
//!
//! Bytes are as nft 1.0.6 makes them, so that `nft list ruleset` shows what the text of the model
//! (`netstate::nft`) says, and rules in iptables' chains are as iptables-nft makes them. Numbers
//! are those of `include/uapi/linux/netfilter/nf_tables.h`.

mod element;
mod expr;
mod foreign;
mod read;
mod rule;
mod same;
mod set_data;
mod table;
mod types;

use netstate::nft::{Family, TableId};

use crate::netlink::Batch;
use crate::netlink::wire::{Writer, append};

pub(crate) use element::{add_element, del_element, get_element, list_elements};
pub use foreign::ForeignRule;
pub(crate) use read::{
    RawElement, RawRule, SetTypes, parse_chain, parse_elements, parse_generation, parse_rule,
    parse_set, parse_set_name, parse_table,
};
pub(crate) use rule::{add_rule, del_rule, flush_chain, insert_rule, list_rules};
pub(crate) use same::same_rule;
pub(crate) use table::{
    add_chain, add_set, add_table, del_chain, del_table, get_chain, get_set, get_table, list_sets,
    table_contents,
};
pub(crate) use types::{SetShape, encode};

/// Message types, with the subsystem (`NFNL_SUBSYS_NFTABLES`) in the upper byte.
pub(crate) mod msg {
    pub(crate) const BATCH_BEGIN: u16 = 0x10;
    pub(crate) const BATCH_END: u16 = 0x11;
    pub(crate) const NEWTABLE: u16 = 0xa00;
    pub(crate) const GETTABLE: u16 = 0xa01;
    pub(crate) const DELTABLE: u16 = 0xa02;
    pub(crate) const NEWCHAIN: u16 = 0xa03;
    pub(crate) const GETCHAIN: u16 = 0xa04;
    pub(crate) const DELCHAIN: u16 = 0xa05;
    pub(crate) const NEWRULE: u16 = 0xa06;
    pub(crate) const GETRULE: u16 = 0xa07;
    pub(crate) const DELRULE: u16 = 0xa08;
    pub(crate) const NEWSET: u16 = 0xa09;
    pub(crate) const GETSET: u16 = 0xa0a;
    pub(crate) const NEWSETELEM: u16 = 0xa0c;
    pub(crate) const GETSETELEM: u16 = 0xa0d;
    pub(crate) const DELSETELEM: u16 = 0xa0e;
    pub(crate) const NEWGEN: u16 = 0xa0f;
    pub(crate) const GETGEN: u16 = 0xa10;
}

/// `NFNL_SUBSYS_NFTABLES`, which the brackets of a transaction name.
const SUBSYSTEM: u16 = 10;
/// `NFNL_BATCH_GENID`.
const BATCH_GENID: u16 = 1;
/// A list's items (`NFTA_LIST_ELEM`).
const LIST_ELEM: u16 = 1;
/// `NFTA_DATA_VALUE`.
const DATA_VALUE: u16 = 1;

/// Opens a transaction: what follows is done as a whole or not at all; with a generation, only if
/// nobody has changed the ruleset since (else `ERESTART`).
pub(crate) fn begin(batch: &mut Batch, generation: Option<u32>) {
    batch.push_with(msg::BATCH_BEGIN, 0, |out| {
        header(out, 0, SUBSYSTEM);
        if let Some(generation) = generation {
            Writer(out).be32(BATCH_GENID, generation);
        }
    });
}

/// Closes a transaction.
pub(crate) fn end(batch: &mut Batch) {
    batch.push_with(msg::BATCH_END, 0, |out| header(out, 0, SUBSYSTEM));
}

/// Asks for the generation of the ruleset.
pub(crate) fn get_generation(batch: &mut Batch) {
    batch.push_with(msg::GETGEN, 0, |out| header(out, 0, 0));
}

/// A message about something in a table. Every such message names the table first.
fn push(
    batch: &mut Batch,
    kind: u16,
    flags: u16,
    table: &TableId,
    write: impl FnOnce(&mut Writer<'_>),
) {
    const NAME: u16 = 1; // NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, ...
    batch.push_with(kind, flags, |out| {
        header(out, family(table.family), 0);
        let mut writer = Writer(out);
        writer.str(NAME, &table.name);
        write(&mut writer);
    });
}

/// `struct nfgenmsg` (`include/uapi/linux/netfilter/nfnetlink.h`).
fn header(out: &mut Vec<u8>, family: u8, resource: u16) {
    out.push(family);
    out.push(0); // NFNETLINK_V0
    append(out, resource.to_be_bytes());
}

/// `NFPROTO_*` (`include/uapi/linux/netfilter.h`).
fn family(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Ip => 2,
        Family::Ip6 => 10,
        Family::Bridge => 7,
    }
}

/// Data attributes: the value in its own nest.
fn put_data(writer: &mut Writer<'_>, kind: u16, value: &[u8]) {
    writer.nest(kind, |w| {
        w.bytes(DATA_VALUE, value);
    });
}

/// One item of user data (libnftnl `udata.h`): a byte of type, a byte of length, the text with its
/// NUL. Longer texts than a byte can tell are cut at a character.
fn put_comment(writer: &mut Writer<'_>, kind: u16, comment: &str) {
    const COMMENT: u8 = 0; // NFTNL_UDATA_TABLE_COMMENT, NFTNL_UDATA_SET_ELEM_COMMENT
    let mut end = comment.len().min(usize::from(u8::MAX) - 1);
    while !comment.is_char_boundary(end) {
        end -= 1;
    }
    let text = comment.as_bytes().get(..end).unwrap_or_default();
    writer.written(kind, |out| {
        append(out, [COMMENT, u8::try_from(text.len() + 1).unwrap_or(u8::MAX)]);
        out.extend_from_slice(text);
        out.push(0);
    });
}

#[cfg(test)]
mod tests;
