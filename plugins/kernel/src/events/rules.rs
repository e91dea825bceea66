//! nf_tables: whether somebody else changed the table.
//!
//! A transaction's messages come first, and then one that says who made it (`NFT_MSG_NEWGEN`,
//! `nf_tables_gen_notify()` in `net/netfilter/nf_tables_api.c`).

use std::collections::BTreeSet;

use netstate::nft::TableId;

use super::Own;
use crate::netlink::wire::Attrs;
use crate::netlink::{Messages, Received};
use crate::nft::{msg, parse_elements};

/// The upper byte of message types.
const SUBSYSTEM: u16 = msg::NEWTABLE >> 8;
/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `NFTA_GEN_PROC_NAME`.
const PROC_NAME: u16 = 3;
/// The table's name, in messages about whatever is in a table (`NFTA_*_TABLE`).
const TABLE: u16 = 1;
/// `NFTA_RULE_CHAIN`.
const RULE_CHAIN: u16 = 2;
/// `NFTA_CHAIN_NAME`.
const CHAIN_NAME: u16 = 3;

/// What a transaction is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// The table.
    pub(super) table: bool,
    /// A chain of others: it is new, gone or has another policy, or a rule in it is gone.
    pub(super) chain: bool,
    /// Comments of elements that are gone from the table.
    pub(super) elements: BTreeSet<String>,
}

/// What was heard of the transaction that is being told.
#[derive(Debug, Default)]
pub(super) struct Heard(Touched);

impl Heard {
    /// Takes a datagram. Gives what transactions have changed that ended in it, and were made by
    /// somebody else.
    pub(super) fn take(&mut self, datagram: &[u8], own: &Own) -> Touched {
        let mut touched = Touched::default();
        for message in Messages(datagram).filter(|message| message.kind >> 8 == SUBSYSTEM) {
            let attributes = Attrs(message.body.get(HEADER..).unwrap_or_default());
            if message.kind == msg::NEWGEN {
                let Self(ended) = std::mem::take(self);
                if !attributes.text(PROC_NAME).is_some_and(|thread| own.is_by(&thread)) {
                    touched.table |= ended.table;
                    touched.chain |= ended.chain;
                    touched.elements.extend(ended.elements);
                }
                continue;
            }
            let is_of = |table: &TableId| attributes.is(TABLE, &table.name);
            if is_of(&own.table) {
                self.of_table(&message, attributes, own);
            } else if own.chains.iter().any(|chain| is_of(&chain.table)) {
                let name = match message.kind {
                    msg::NEWCHAIN | msg::DELCHAIN => attributes.text(CHAIN_NAME),
                    msg::DELRULE => attributes.text(RULE_CHAIN),
                    _ => None,
                };
                self.0.chain |=
                    name.is_some_and(|name| own.chains.iter().any(|chain| chain.name == name));
            }
        }
        touched
    }

    fn of_table(&mut self, message: &Received<'_>, attributes: Attrs<'_>, own: &Own) {
        let is_free = || attributes.is(RULE_CHAIN, own.free_chain);
        match message.kind {
            msg::NEWSETELEM if own.elements => {}
            msg::DELSETELEM if own.elements => {
                let gone = parse_elements(message.body);
                self.0.elements.extend(gone.into_iter().map(|element| element.comment));
            }
            msg::NEWRULE | msg::DELRULE if is_free() => {}
            _ => self.0.table = true,
        }
    }
}
