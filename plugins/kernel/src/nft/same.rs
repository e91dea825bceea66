//! Whether a rule as the kernel tells it is one of the model.

use std::collections::BTreeMap;

use netstate::nft::{ChainId, Rule};

use super::rule::put_rule;
use crate::netlink::wire::{Attrs, Writer};

/// Whether the expressions of a rule as dumped are those of a rule of the model. What a counter
/// has counted does not matter.
pub(crate) fn same_rule(chain: &ChainId, rule: &Rule, expressions: &[u8]) -> bool {
    let mut wanted = Vec::new();
    put_rule(&mut Writer(&mut wanted), chain.table.family, rule);
    canonical(&wanted) == canonical(expressions)
}

/// Expressions with their attributes in order, without what the kernel adds of its own.
pub(super) fn canonical(list: &[u8]) -> Vec<(String, BTreeMap<u16, Vec<u8>>)> {
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    Attrs(list)
        .map(|(_, expression)| {
            let name = Attrs(expression).text(NAME).unwrap_or_default();
            let data = Attrs(expression).nested(DATA);
            let kept = data.filter(|(kind, value)| !is_implied(&name, data, *kind, value));
            let attributes = kept.map(|(kind, value)| (kind, unpadded(value))).collect();
            (name, attributes)
        })
        .collect()
}

/// Attributes that say nothing beside the others: counts, defaults, the upper end of a range of
/// one.
fn is_implied(name: &str, all: Attrs<'_>, kind: u16, value: &[u8]) -> bool {
    let zero = value.iter().all(|b| *b == 0);
    match (name, kind) {
        ("counter", _) => true,
        // NFTA_LOOKUP_FLAGS, NFTA_BITWISE_OP, NFTA_MASQ_FLAGS, NFTA_NAT_FLAGS
        ("lookup", 5) | ("bitwise", 6) | ("masq", 1) => zero,
        // NF_NAT_RANGE_PROTO_SPECIFIED and the like follow from the registers.
        ("nat", 7) => true,
        // NFTA_NAT_REG_ADDR_MAX, NFTA_NAT_REG_PROTO_MAX
        ("nat", 4 | 6) => all.get(kind - 1) == Some(value),
        _ => false,
    }
}

/// The flag for nested attributes is not set by every kernel: compare the attributes themselves.
fn unpadded(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut whole = 0;
    for (kind, inner) in Attrs(value) {
        plain.extend_from_slice(&kind.to_ne_bytes());
        plain.extend(unpadded(inner));
        whole += 4 + inner.len().next_multiple_of(4);
    }
    if whole == value.len().next_multiple_of(4) && whole > 0 { plain } else { value.to_vec() }
}
