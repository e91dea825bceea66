//! Elements of sets and maps.

use std::net::IpAddr;

use netstate::nft::{Element, SetId, Value};

use super::types::encode;
use super::{LIST_ELEM, comment_data, msg, push, put_data};
use crate::netlink::wire::Writer;
use crate::netlink::{Batch, flag};

/// `NFTA_SET_ELEM_LIST_SET`.
const LIST_SET: u16 = 2;
/// `NFTA_SET_ELEM_LIST_ELEMENTS`.
const LIST_ELEMENTS: u16 = 3;
/// `NFTA_SET_ELEM_KEY`.
const KEY: u16 = 1;
/// `NFTA_SET_ELEM_DATA`.
const DATA: u16 = 2;
/// `NFTA_SET_ELEM_USERDATA`.
const USERDATA: u16 = 6;

/// Adds an element whose key must be free.
pub(crate) fn add_element(batch: &mut Batch, set: &SetId, element: &Element) {
    about(batch, msg::NEWSETELEM, flag::CREATE | flag::EXCL, set, |w| {
        put_data(w, KEY, &encode(&element.key));
        if !element.data.is_empty() {
            put_data(w, DATA, &encode(&element.data));
        }
        if !element.comment.is_empty() {
            w.bytes(USERDATA, &comment_data(&element.comment));
        }
    });
}

/// Adds an interval: from an address up to, but without, another, or the last one.
pub(crate) fn add_interval(batch: &mut Batch, set: &SetId, first: IpAddr, behind: Option<IpAddr>) {
    const FLAGS: u16 = 3;
    const INTERVAL_END: u32 = 1;
    let key = |ip: IpAddr| encode(&[Value::from(ip)]);
    about(batch, msg::NEWSETELEM, flag::CREATE | flag::EXCL, set, |w| {
        put_data(w, KEY, &key(first));
    });
    if let Some(behind) = behind {
        about(batch, msg::NEWSETELEM, flag::CREATE | flag::EXCL, set, |w| {
            w.be32(FLAGS, INTERVAL_END);
            put_data(w, KEY, &key(behind));
        });
    }
}

/// Removes the element of a key.
pub(crate) fn del_element(batch: &mut Batch, set: &SetId, key: &[Value]) {
    about(batch, msg::DELSETELEM, 0, set, |w| put_data(w, KEY, &encode(key)));
}

/// Asks for the element of a key.
pub(crate) fn get_element(batch: &mut Batch, set: &SetId, key: &[Value]) {
    about(batch, msg::GETSETELEM, 0, set, |w| put_data(w, KEY, &encode(key)));
}

/// Asks for all elements, by a dump.
pub(crate) fn list_elements(batch: &mut Batch, set: &SetId) {
    push(batch, msg::GETSETELEM, flag::DUMP, &set.table, |w| {
        w.str(LIST_SET, &set.name);
    });
}

fn about(
    batch: &mut Batch,
    kind: u16,
    flags: u16,
    set: &SetId,
    write: impl FnOnce(&mut Writer<'_>),
) {
    push(batch, kind, flags, &set.table, |w| {
        w.str(LIST_SET, &set.name);
        w.nest(LIST_ELEMENTS, |w| {
            w.nest(LIST_ELEM, |w| write(w));
        });
    });
}
