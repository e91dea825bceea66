//! Rules of other programs, as far as they tell what they are for.

use netstate::nft::{ChainId, Rule};

use super::read::RawRule;
use super::rule::put_rule;
use super::same::canonical;
use crate::netlink::wire::{Attrs, Writer, text};

/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const NAME: u16 = 1;
const DATA: u16 = 2;
/// `NFTA_DATA_VALUE` and `NFTA_DATA_VERDICT`.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;

/// A rule that another program has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRule {
    chain: ChainId,
    raw: RawRule,
}

impl ForeignRule {
    pub(crate) fn new(chain: &ChainId, raw: RawRule) -> Self {
        Self { chain: chain.clone(), raw }
    }

    /// The chain it is in.
    #[must_use]
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    pub(crate) fn handle(&self) -> u64 {
        self.raw.handle
    }

    /// Its comment, as `nft` or as iptables-nft (match `comment`) keeps it; empty without any.
    #[must_use]
    pub fn comment(&self) -> String {
        const MATCH_NAME: u16 = 1;
        const MATCH_INFO: u16 = 3;
        if !self.raw.comment.is_empty() {
            return self.raw.comment.clone();
        }
        let mut matches = self.expressions().filter(|(name, _)| name == "match");
        let comment = matches.find(|(_, data)| data.text(MATCH_NAME).as_deref() == Some("comment"));
        comment.and_then(|(_, data)| data.get(MATCH_INFO)).map(text).unwrap_or_default()
    }

    /// Whether it ends in a jump to a chain of its table.
    #[must_use]
    pub fn jumps_to(&self, chain: &str) -> bool {
        const CHAIN: u16 = 2; // NFTA_VERDICT_CHAIN
        self.verdicts().any(|verdict| verdict.text(CHAIN).as_deref() == Some(chain))
    }

    /// Whether it accepts.
    #[must_use]
    pub fn accepts(&self) -> bool {
        const CODE: u16 = 1; // NFTA_VERDICT_CODE
        const ACCEPT: u32 = 1; // NF_ACCEPT
        self.verdicts().any(|verdict| verdict.be32(CODE) == Some(ACCEPT))
    }

    /// Whether it begins with the statements of a rule of the model.
    #[must_use]
    pub fn starts_with(&self, rule: &Rule) -> bool {
        let mut wanted = Vec::new();
        put_rule(&mut Writer(&mut wanted), self.chain.table.family, rule);
        canonical(&self.raw.expressions).starts_with(&canonical(&wanted))
    }

    /// The kinds of its expressions in order (`payload`, `cmp`, `match`, `counter`, ...).
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        self.expressions().map(|(name, _)| name).collect()
    }

    /// Whether it compares with, or translates to, a value (bytes in network order).
    #[must_use]
    pub fn has_value(&self, value: &[u8]) -> bool {
        const CMP_DATA: u16 = 3;
        self.expressions().any(|(name, data)| match name.as_str() {
            "cmp" => data.nested(CMP_DATA).get(VALUE) == Some(value),
            "immediate" => data.nested(DATA).get(VALUE) == Some(value),
            _ => false,
        })
    }

    fn expressions(&self) -> impl Iterator<Item = (String, Attrs<'_>)> {
        Attrs(&self.raw.expressions).map(|(_, expression)| {
            let expression = Attrs(expression);
            (expression.text(NAME).unwrap_or_default(), expression.nested(DATA))
        })
    }

    fn verdicts(&self) -> impl Iterator<Item = Attrs<'_>> {
        let immediate = self.expressions().filter(|(name, _)| name == "immediate");
        immediate.map(|(_, data)| data.nested(DATA).nested(VERDICT))
    }
}
