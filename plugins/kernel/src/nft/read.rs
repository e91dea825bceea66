//! What the kernel says of tables, chains, rules, sets and elements.

use netstate::nft::{DataType, Element};

use super::rule::EXPRESSIONS;
use super::types::{SetShape, decode, types};
use super::{DATA_VALUE, LIST_ELEM};
use crate::netlink::wire::{Attrs, text};

/// `struct nfgenmsg`.
const HEADER: usize = 4;

/// The types of a set's keys and data, where the model has words for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetTypes {
    key: Vec<DataType>,
    data: Vec<DataType>,
}

/// A rule as it is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawRule {
    pub(crate) handle: u64,
    pub(crate) expressions: Vec<u8>,
    pub(crate) comment: String,
}

/// An element as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawElement {
    pub(crate) key: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) comment: String,
}

impl SetTypes {
    /// From a set's type numbers and lengths.
    pub(crate) fn of(shape: &SetShape) -> Option<Self> {
        let data = match shape.data {
            Some((number, length)) => types(number, length)?,
            None => Vec::new(),
        };
        Some(Self { key: types(shape.key_type, shape.key_length)?, data })
    }

    /// An element in the model's terms.
    pub(crate) fn element(&self, raw: &RawElement) -> Option<Element> {
        Some(Element {
            key: decode(&self.key, &raw.key)?,
            data: decode(&self.data, &raw.data)?,
            comment: raw.comment.clone(),
        })
    }
}

/// The comment of a table; empty where it has none.
pub(crate) fn parse_table(body: &[u8]) -> Option<String> {
    const USERDATA: u16 = 6;
    Some(comment(attributes(body)?.get(USERDATA)))
}

/// The policy of a base chain (`NF_DROP` or `NF_ACCEPT`); of another chain, nothing.
pub(crate) fn parse_chain(body: &[u8]) -> Option<Option<u32>> {
    const POLICY: u16 = 5;
    Some(attributes(body)?.be32(POLICY))
}

pub(crate) fn parse_rule(body: &[u8]) -> Option<RawRule> {
    const HANDLE: u16 = 3;
    const USERDATA: u16 = 7;
    let attributes = attributes(body)?;
    let expressions = attributes.get(EXPRESSIONS).unwrap_or_default().to_vec();
    let comment = comment(attributes.get(USERDATA));
    Some(RawRule { handle: attributes.be64(HANDLE)?, expressions, comment })
}

/// The name of a set.
pub(crate) fn parse_set_name(body: &[u8]) -> Option<String> {
    const NAME: u16 = 2;
    attributes(body)?.text(NAME)
}

pub(crate) fn parse_set(body: &[u8]) -> Option<SetShape> {
    const KEY_TYPE: u16 = 4;
    const KEY_LEN: u16 = 5;
    const DATA_TYPE: u16 = 6;
    const DATA_LEN: u16 = 7;
    let attributes = attributes(body)?;
    Some(SetShape {
        key_type: attributes.be32(KEY_TYPE)?,
        key_length: attributes.be32(KEY_LEN)?,
        data: attributes.be32(DATA_TYPE).zip(attributes.be32(DATA_LEN)),
    })
}

/// The elements in one message.
pub(crate) fn parse_elements(body: &[u8]) -> Vec<RawElement> {
    const LIST_ELEMENTS: u16 = 3;
    const KEY: u16 = 1;
    const DATA: u16 = 2;
    const USERDATA: u16 = 6;
    let Some(attributes) = attributes(body) else { return Vec::new() };
    let items = attributes.nested(LIST_ELEMENTS).filter(|(kind, _)| *kind == LIST_ELEM);
    let value = |item: Attrs<'_>, kind| item.nested(kind).get(DATA_VALUE).map(<[u8]>::to_vec);
    items
        .filter_map(|(_, item)| {
            let item = Attrs(item);
            Some(RawElement {
                key: value(item, KEY)?,
                data: value(item, DATA).unwrap_or_default(),
                comment: comment(item.get(USERDATA)),
            })
        })
        .collect()
}

/// The generation of the ruleset.
pub(crate) fn parse_generation(body: &[u8]) -> Option<u32> {
    const ID: u16 = 1;
    attributes(body)?.be32(ID)
}

fn attributes(body: &[u8]) -> Option<Attrs<'_>> {
    body.get(HEADER..).map(Attrs)
}

/// The comment among items of user data (`super::comment_data`).
fn comment(data: Option<&[u8]>) -> String {
    let mut rest = data.unwrap_or_default();
    while let [kind, length, more @ ..] = rest {
        let value = more.get(..usize::from(*length)).unwrap_or_default();
        if *kind == 0 {
            return text(value);
        }
        rest = more.get(usize::from(*length)..).unwrap_or_default();
    }
    String::new()
}
