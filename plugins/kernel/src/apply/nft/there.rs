//! What is there already of what nf_tables steps would make or remove.

use std::collections::BTreeSet;

use netstate::nft::{ChainId, Element, Rule, Set, SetId, Table, TableId, Value};
use netstate::{Ns, Step};

use super::{About, Item};
use crate::Kernel;
use crate::error::{Error, Kind};
use crate::nft::{self, RawElement, SetShape, encode};

/// Keys asked for in one system call.
const KEYS: usize = 64;

/// What was learnt about the steps of a transaction.
pub(super) struct Asked<'s> {
    /// Tables that the transaction itself removes: what is in them now does not matter.
    replaced: BTreeSet<&'s TableId>,
    /// Elements that it removes, whose keys are free then.
    freed: BTreeSet<(&'s SetId, &'s [Value])>,
    /// What holds each key that was asked for, in the order of the steps.
    elements: std::vec::IntoIter<Option<RawElement>>,
}

/// What is to be done for a step.
pub(super) enum Need {
    /// It has to be sent, with the handle of the rule it removes.
    Send(Option<u64>),
    /// It is as it should be.
    Nothing,
}

impl<'s> Asked<'s> {
    /// Asks for all keys at once.
    pub(super) fn new(kernel: &mut Kernel, ns: &Ns, items: &[Item<'s>]) -> Result<Self, Error> {
        let removed =
            |item: &Item<'s>| if let About::DelTable(id) = item.about { Some(id) } else { None };
        let replaced: BTreeSet<&TableId> = items.iter().filter_map(removed).collect();
        let keys: Vec<_> = items.iter().filter_map(|item| key(item, &replaced)).collect();
        let mut elements = Vec::new();
        for keys in keys.chunks(KEYS) {
            elements.extend(kernel.raw_elements(ns, keys)?);
        }
        Ok(Self { replaced, freed: BTreeSet::new(), elements: elements.into_iter() })
    }

    /// Whether a step has to be sent; to be asked in the order of the steps.
    ///
    /// # Errors
    /// Something else is in the way, or it cannot be looked at.
    pub(super) fn need(
        &mut self,
        kernel: &mut Kernel,
        ns: &Ns,
        item: &Item<'s>,
    ) -> Result<Need, Error> {
        let found = key(item, &self.replaced).and_then(|_| self.elements.next().flatten());
        let looked_at = item.is_ensured() && !self.replaced.contains(item.table());
        match item.about {
            About::AddTable(table) if looked_at => same_table(kernel, ns, item.step, table),
            About::AddChain(table, chain) if looked_at => {
                let id = ChainId { table: table.clone(), name: chain.name.clone() };
                Ok(unless(kernel.chain(ns, &id)?.is_some()))
            }
            About::AddSet(table, set) if looked_at => same_set(kernel, ns, item.step, table, set),
            About::InsertRule(chain, rule) if looked_at => {
                Ok(unless(handle(kernel, ns, chain, rule)?.is_some()))
            }
            About::AddElement(set, element)
                if looked_at && self.freed.contains(&(set, element.key.as_slice())) =>
            {
                Ok(Need::Send(None))
            }
            About::AddElement(_, element) if looked_at => {
                same_element(item.step, element, found.as_ref())
            }
            About::DelElement(set, element) if !self.replaced.contains(&set.table) => {
                let goes = found.is_some_and(|found| holds(element, &found));
                if goes {
                    self.freed.insert((set, element.key.as_slice()));
                }
                Ok(unless(!goes))
            }
            About::DelRuleOf(chain, rule) => {
                let handle = handle(kernel, ns, chain, rule)?;
                Ok(handle.map_or(Need::Nothing, |handle| Need::Send(Some(handle))))
            }
            About::DelTable(id) => Ok(unless(kernel.table_comment(ns, id)?.is_none())),
            // In a table that is replaced there is nothing left to remove.
            About::DelElement(..) => Ok(Need::Nothing),
            About::AddTable(_)
            | About::AddChain(..)
            | About::AddSet(..)
            | About::InsertRule(..)
            | About::FlushChain(_)
            | About::AddElement(..) => Ok(Need::Send(None)),
        }
    }
}

fn unless(is_done: bool) -> Need {
    if is_done { Need::Nothing } else { Need::Send(None) }
}

/// The key whose element has to be known before a step can be judged.
fn key(item: &Item<'_>, replaced: &BTreeSet<&TableId>) -> Option<(SetId, Vec<Value>)> {
    let (set, element) = match item.about {
        About::AddElement(set, element) if item.is_ensured() => (set, element),
        About::DelElement(set, element) => (set, element),
        About::AddTable(_)
        | About::DelTable(_)
        | About::AddChain(..)
        | About::AddSet(..)
        | About::InsertRule(..)
        | About::DelRuleOf(..)
        | About::FlushChain(_)
        | About::AddElement(..) => return None,
    };
    (!replaced.contains(&set.table)).then(|| (set.clone(), element.key.clone()))
}

fn same_table(kernel: &mut Kernel, ns: &Ns, step: &Step, wanted: &Table) -> Result<Need, Error> {
    match kernel.table_comment(ns, &wanted.id)? {
        None => Ok(Need::Send(None)),
        Some(comment) if comment == wanted.comment => Ok(Need::Nothing),
        Some(comment) => Err(exists(step, &format!("one with the comment \"{comment}\""))),
    }
}

fn same_set(
    kernel: &mut Kernel,
    ns: &Ns,
    step: &Step,
    table: &TableId,
    wanted: &Set,
) -> Result<Need, Error> {
    match kernel.set_shape(ns, &SetId::new(table, &wanted.name))? {
        None => Ok(Need::Send(None)),
        Some(shape) if shape == SetShape::of(wanted) => Ok(Need::Nothing),
        Some(_) => Err(exists(step, "one of other types")),
    }
}

fn same_element(step: &Step, wanted: &Element, found: Option<&RawElement>) -> Result<Need, Error> {
    match found {
        None => Ok(Need::Send(None)),
        Some(found) if holds(wanted, found) => Ok(Need::Nothing),
        Some(found) => Err(exists(step, &format!("one of \"{}\"", found.comment))),
    }
}

/// Same data and same owner; the key is what it was found by.
fn holds(element: &Element, found: &RawElement) -> bool {
    found.comment == element.comment && found.data == encode(&element.data)
}

fn handle(
    kernel: &mut Kernel,
    ns: &Ns,
    chain: &ChainId,
    rule: &Rule,
) -> Result<Option<u64>, Error> {
    let rules = kernel.raw_rules(ns, chain)?;
    Ok(rules.iter().find(|r| nft::same_rule(chain, rule, &r.expressions)).map(|r| r.handle))
}

fn exists(step: &Step, what: &str) -> Error {
    Error::found(step.to_string(), Kind::Exists, format!("there is already {what}"))
}
