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

/// What was heard of the transaction that is being told.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// It is about the table.
    ours: bool,
}

impl Heard {
    /// Takes a datagram. Gives whether a transaction has ended in it that changed the table and
    /// was made by somebody else.
    pub(super) fn take(&mut self, datagram: &[u8], own: &Own) -> bool {
        let mut touched = false;
        for message in Messages(datagram).filter(|message| message.kind >> 8 == SUBSYSTEM) {
            let attributes = Attrs(message.body.get(HEADER..).unwrap_or_default());
            if message.kind == msg::NEWGEN {
                let by_us = attributes.text(PROC_NAME).as_deref() == Some(own.thread);
                touched |= std::mem::take(&mut self.ours) && !by_us;
            } else if attributes.text(TABLE).as_ref() == Some(&own.table.name) {
                self.ours = true;
            }
        }
        touched
    }
}
