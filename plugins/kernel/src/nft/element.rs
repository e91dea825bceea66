//! Elements of sets and maps.

use std::net::IpAddr;

use netstate::nft::{Element, SetId, Value};

use super::types::encode_at_end;
use super::{DATA_VALUE, LIST_ELEM, msg, push, put_comment};
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
        put_values(w, KEY, &element.key);
        if !element.data.is_empty() {
            put_values(w, DATA, &element.data);
        }
        if !element.comment.is_empty() {
            put_comment(w, USERDATA, &element.comment);
        }
    });
}

/// Adds an interval: from an address up to, but without, another, or the last one.
pub(crate) fn add_interval(batch: &mut Batch, set: &SetId, first: IpAddr, behind: Option<IpAddr>) {
    const FLAGS: u16 = 3;
    const INTERVAL_END: u32 = 1;
    about(batch, msg::NEWSETELEM, flag::CREATE | flag::EXCL, set, |w| {
        put_values(w, KEY, &[first.into()]);
    });
    if let Some(behind) = behind {
        about(batch, msg::NEWSETELEM, flag::CREATE | flag::EXCL, set, |w| {
            w.be32(FLAGS, INTERVAL_END);
            put_values(w, KEY, &[behind.into()]);
        });
    }
}

/// Removes the element of a key.
pub(crate) fn del_element(batch: &mut Batch, set: &SetId, key: &[Value]) {
    about(batch, msg::DELSETELEM, 0, set, |w| put_values(w, KEY, key));
}

/// Asks for the element of a key.
pub(crate) fn get_element(batch: &mut Batch, set: &SetId, key: &[Value]) {
    about(batch, msg::GETSETELEM, 0, set, |w| put_values(w, KEY, key));
}

/// Asks for all elements, by a dump.
pub(crate) fn list_elements(batch: &mut Batch, set: &SetId) {
    push(batch, msg::GETSETELEM, flag::DUMP, &set.table, |w| {
        w.str(LIST_SET, &set.name);
    });
}

/// A key, or data, in its own nest.
fn put_values(writer: &mut Writer<'_>, kind: u16, values: &[Value]) {
    writer.nest(kind, |w| {
        w.written(DATA_VALUE, |out| encode_at_end(out, values));
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
