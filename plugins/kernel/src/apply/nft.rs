//! nf_tables steps: a run of them is one transaction.
//!
//! A transaction that fails is expensive (the kernel waits for a grace period to throw it away), so
//! what may be there already is asked for first. What comes in between is seen by the refusal:
//! then everything is asked once more.

use std::collections::BTreeSet;

use netstate::nft::{ChainId, Element, Rule, Set, SetId, Table, TableId, Value};
use netstate::{Mode, Ns, Op, Step};
use rustix::io::Errno;

use super::{Work, is_gone};
use crate::Kernel;
use crate::error::{Error, Kind, Refusal};
use crate::netlink::Batch;
use crate::nft::{self, RawElement, SetShape, encode};

/// Times a transaction is made anew because others came in between.
const ATTEMPTS: usize = 4;

pub(super) fn run(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    let mut left: Vec<&Step> = steps.iter().collect();
    let mut attempts = 0;
    while !left.is_empty() && !work.stopped {
        let ready = match prepare(work, ns, &mut left) {
            Ok(ready) => ready,
            Err(error) => {
                if let Some(step) = steps.first() {
                    work.fail(step, error);
                }
                return;
            }
        };
        if work.stopped || left.is_empty() {
            return;
        }
        attempts += 1;
        match commit(work, ns, &left, &ready) {
            Ok(()) => return left.iter().for_each(|step| work.done(step, true, None)),
            Err((at, refusal)) => {
                let Some(step) = left.get(at).copied() else { return };
                let again = attempts < ATTEMPTS && came_between(step, &refusal);
                if !again {
                    left.remove(at);
                    let error = explain(work.kernel, ns, step, refusal);
                    work.fail(step, error);
                }
            }
        }
    }
}

/// What a step needs beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ready {
    AsItIs,
    /// The rule to remove.
    Handle(u64),
}

/// Asks for what may be there, reports the steps that need nothing more, and keeps the others.
fn prepare(work: &mut Work<'_>, ns: &Ns, left: &mut Vec<&Step>) -> Result<Vec<Ready>, Error> {
    let fresh = fresh_tables(left);
    let keys: Vec<(SetId, Vec<Value>)> = left.iter().filter_map(|s| asked(s, &fresh)).collect();
    let mut there = Vec::new();
    for keys in keys.chunks(64) {
        there.extend(work.kernel.raw_elements(ns, keys)?);
    }
    let mut there = there.into_iter();
    let (mut kept, mut ready) = (Vec::new(), Vec::new());
    for step in std::mem::take(left) {
        let found = asked(step, &fresh).and_then(|_| there.next().flatten());
        match need(work.kernel, ns, step, &fresh, found.as_ref()) {
            Ok(Need::Send(what)) => {
                kept.push(step);
                ready.push(what);
            }
            Ok(Need::Nothing) => work.done(step, false, None),
            Err(error) => work.fail(step, error),
        }
    }
    *left = kept;
    Ok(ready)
}

enum Need {
    Send(Ready),
    Nothing,
}

/// Whether a step has to be sent.
fn need(
    kernel: &mut Kernel,
    ns: &Ns,
    step: &Step,
    fresh: &BTreeSet<&TableId>,
    found: Option<&RawElement>,
) -> Result<Need, Error> {
    let send = Need::Send(Ready::AsItIs);
    let ensure = step.mode == Mode::Ensure;
    match &step.op {
        Op::AddTable(table) if ensure && !fresh.contains(&table.id) => {
            same_table(kernel, ns, step, table)
        }
        Op::AddChain { table, chain } if ensure && !fresh.contains(table) => {
            let id = ChainId { table: table.clone(), name: chain.name.clone() };
            Ok(if kernel.chain(ns, &id)?.is_some() { Need::Nothing } else { send })
        }
        Op::AddSet { table, set } if ensure && !fresh.contains(table) => {
            same_set(kernel, ns, step, table, set)
        }
        Op::AddElement { element, .. } if ensure => same_element(step, element, found),
        Op::DelElement { set, element } if !fresh.contains(&set.table) => {
            Ok(if found.is_some_and(|f| holds(element, f)) { send } else { Need::Nothing })
        }
        Op::InsertRule { chain, rule } if ensure && !fresh.contains(&chain.table) => {
            let there = handle(kernel, ns, chain, rule)?.is_some();
            Ok(if there { Need::Nothing } else { send })
        }
        Op::DelRuleOf { chain, rule } => Ok(match handle(kernel, ns, chain, rule)? {
            Some(handle) => Need::Send(Ready::Handle(handle)),
            None => Need::Nothing,
        }),
        Op::DelTable(id) => {
            Ok(if kernel.table_comment(ns, id)?.is_some() { send } else { Need::Nothing })
        }
        _ => Ok(send),
    }
}

/// Sends the steps as one transaction.
///
/// # Errors
/// The step at which the kernel refused it; nothing of it has been done.
fn commit(
    work: &mut Work<'_>,
    ns: &Ns,
    steps: &[&Step],
    ready: &[Ready],
) -> Result<(), (usize, Refusal)> {
    let mut batch = Batch::default();
    nft::begin(&mut batch, work.kernel.bound_to(ns));
    let mut owners = vec![0];
    for (at, (step, ready)) in steps.iter().zip(ready).enumerate() {
        put(&mut batch, at, step, *ready);
        owners.resize(batch.len(), at);
    }
    nft::end(&mut batch);
    let first = |errno: Errno| (0, Refusal::from(errno));
    let socket = work.kernel.netfilter(ns).map_err(|e| {
        let errno = e.errno().unwrap_or(Errno::OPNOTSUPP.raw_os_error());
        (0, Refusal { errno, text: e.to_string() })
    })?;
    let replies = socket.exchange(batch, 1).map_err(first)?;
    match replies.first_refusal() {
        None => Ok(()),
        Some((message, refusal)) => {
            Err((owners.get(message).copied().unwrap_or(0), refusal.clone()))
        }
    }
}

fn put(batch: &mut Batch, at: usize, step: &Step, ready: Ready) {
    match (&step.op, ready) {
        (Op::AddTable(table), _) => {
            nft::add_table(batch, table);
            nft::table_contents(batch, table);
        }
        (Op::DelTable(id), _) => nft::del_table(batch, id),
        (Op::AddChain { table, chain }, _) => nft::add_chain(batch, table, chain),
        (Op::AddSet { table, set }, _) => {
            // Sets of tables are counted from 1.
            const OWN_NUMBERS: u32 = 1 << 16;
            let number = OWN_NUMBERS + u32::try_from(at).unwrap_or_default();
            nft::add_set(batch, table, set, number);
        }
        (Op::InsertRule { chain, rule }, _) => nft::insert_rule(batch, chain, rule),
        (Op::DelRuleOf { chain, .. }, Ready::Handle(handle)) => {
            nft::del_rule(batch, chain, handle);
        }
        (Op::AddElement { set, element }, _) => nft::add_element(batch, set, element),
        (Op::DelElement { set, element }, _) => nft::del_element(batch, set, &element.key),
        _ => {}
    }
}

/// Tables that the run itself removes: what is in them now does not matter.
fn fresh_tables<'s>(steps: &[&'s Step]) -> BTreeSet<&'s TableId> {
    steps
        .iter()
        .filter_map(|s| if let Op::DelTable(id) = &s.op { Some(id) } else { None })
        .collect()
}

/// The key whose element has to be known before a step can be judged.
fn asked(step: &Step, fresh: &BTreeSet<&TableId>) -> Option<(SetId, Vec<Value>)> {
    match &step.op {
        Op::AddElement { set, element } if step.mode == Mode::Ensure => Some((set, element)),
        Op::DelElement { set, element } => Some((set, element)),
        _ => None,
    }
    .filter(|(set, _)| !fresh.contains(&set.table))
    .map(|(set, element)| (set.clone(), element.key.clone()))
}

fn same_table(kernel: &mut Kernel, ns: &Ns, step: &Step, wanted: &Table) -> Result<Need, Error> {
    match kernel.table_comment(ns, &wanted.id)? {
        None => Ok(Need::Send(Ready::AsItIs)),
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
        None => Ok(Need::Send(Ready::AsItIs)),
        Some(shape) if shape == SetShape::of(wanted) => Ok(Need::Nothing),
        Some(_) => Err(exists(step, "one of other types")),
    }
}

fn same_element(step: &Step, wanted: &Element, found: Option<&RawElement>) -> Result<Need, Error> {
    match found {
        None => Ok(Need::Send(Ready::AsItIs)),
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

/// Someone made or removed the thing after it was asked for.
fn came_between(step: &Step, refusal: &Refusal) -> bool {
    (step.op.is_removal() && is_gone(refusal))
        || (step.mode == Mode::Ensure && refusal.is(Errno::EXIST))
}

/// The refusal of a step; for a key that is taken, with its holder.
fn explain(kernel: &mut Kernel, ns: &Ns, step: &Step, refusal: Refusal) -> Error {
    if let Op::AddElement { set, element } = &step.op
        && refusal.is(Errno::EXIST)
        && let Ok(Some(holder)) = kernel.element(ns, set, &element.key)
    {
        let text = format!("there is already {}", netstate::nft::nft_element(&holder));
        return Error::refused(step.to_string(), Refusal { text, ..refusal });
    }
    Error::refused(step.to_string(), refusal)
}

fn exists(step: &Step, what: &str) -> Error {
    Error::found(step.to_string(), Kind::Exists, format!("there is already {what}"))
}
