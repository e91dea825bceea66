//! nf_tables: whether somebody else changed the table.
//!
//! A transaction's messages come first, and then one that says who made it (`NFT_MSG_NEWGEN`,
//! `nf_tables_gen_notify()` in `net/netfilter/nf_tables_api.c`).

use super::Own;
use crate::netlink::Messages;
use crate::netlink::wire::Attrs;
use crate::nft::msg;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// The table.
    pub(super) table: bool,
    /// A chain of others: it is new, gone or has another policy, or a rule in it is gone.
    pub(super) chain: bool,
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
                if attributes.text(PROC_NAME).as_deref() != Some(own.thread) {
                    touched.table |= ended.table;
                    touched.chain |= ended.chain;
                }
                continue;
            }
            let Some(table) = attributes.text(TABLE) else { continue };
            if table == own.table.name {
                self.0.table = true;
            } else if own.chains.iter().any(|chain| chain.table.name == table) {
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
}
