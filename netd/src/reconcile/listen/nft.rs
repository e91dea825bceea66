//! nf_tables: whether somebody else changed our table.
//!
//! A transaction's messages come first, and then one that says who made it (`NFT_MSG_NEWGEN`,
//! `nf_tables_gen_notify()` in `net/netfilter/nf_tables_api.c`).

use std::io;
use std::sync::mpsc::Sender;

use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

use crate::reconcile::{Input, Notice, THREAD};

const NETLINK_NETFILTER: isize = 12;
/// `NFNLGRP_NFTABLES` (`include/uapi/linux/netfilter/nfnetlink.h`).
const GROUP: u32 = 7;
/// `NFNL_SUBSYS_NFTABLES`, the upper byte of message types.
const SUBSYSTEM: u16 = 10;
/// `NFT_MSG_NEWGEN`, the lower byte.
const NEWGEN: u16 = 15;
/// `NFTA_GEN_PROC_NAME`.
const PROC_NAME: u16 = 3;
/// The table's name, in messages about whatever is in a table (`NFTA_*_TABLE`).
const TABLE: u16 = 1;
/// `struct nlmsghdr` and `struct nfgenmsg`.
const HEADERS: usize = 16 + 4;

/// The kernel puts up to a page of notifications into one datagram (`NLMSG_GOODSIZE`).
const LARGEST: usize = 64 << 10;

/// A socket that hears of every transaction from now on.
pub(super) fn open() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_NETFILTER)?;
    socket.socket_mut().bind(&SocketAddr::new(0, 1 << (GROUP - 1)))?;
    Ok(socket)
}

/// Tells of changes to our table that somebody else made, until nobody listens.
pub(super) async fn listen(socket: TokioSocket, to: Sender<Input>) {
    let mut heard = Heard::default();
    loop {
        let mut bytes = Vec::with_capacity(LARGEST);
        let notice = match socket.recv(&mut bytes).await {
            Ok(_) => heard.take(&bytes).then_some(Notice::Traffic),
            // ENOBUFS: events were lost, perhaps of ours.
            Err(_) => Some(Notice::Anywhere),
        };
        if let Some(notice) = notice
            && to.send(Input::Noticed(vec![notice])).is_err()
        {
            return;
        }
    }
}

/// What was heard of the transaction that is being told.
#[derive(Debug, Default)]
struct Heard {
    /// It is about our table.
    ours: bool,
}

impl Heard {
    /// Takes a datagram. Gives whether a transaction has ended in it that changed our table and
    /// was not made by us.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut touched = false;
        while let Some((message, rest)) = split(bytes) {
            bytes = rest;
            let kind = number(message, 4);
            if kind.is_none_or(|kind| kind >> 8 != SUBSYSTEM) {
                continue;
            }
            let attributes = message.get(HEADERS..).unwrap_or_default();
            if kind.is_some_and(|kind| kind & 0xff == NEWGEN) {
                let by_us = attribute(attributes, PROC_NAME) == Some(THREAD.as_bytes());
                touched |= std::mem::take(&mut self.ours) && !by_us;
            } else if attribute(attributes, TABLE) == Some(drivers::traffic::id().name.as_bytes()) {
                self.ours = true;
            }
        }
        touched
    }
}

/// The first message, whose length stands at its begin, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.get(..4)?;
    let length = usize::try_from(u32::from_ne_bytes(length.try_into().ok()?)).ok()?;
    let message = bytes.get(..length).filter(|message| message.len() >= HEADERS)?;
    Some((message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The text of an attribute, without the NUL at its end.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(number(bytes, 0)?);
        let value = bytes.get(4..length)?;
        if number(bytes, 2)? == wanted {
            return Some(value.strip_suffix(&[0]).unwrap_or(value));
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
