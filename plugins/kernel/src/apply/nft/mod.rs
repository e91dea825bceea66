//! nf_tables steps: a run of them is one transaction.
//!
//! A transaction that fails is expensive (the kernel waits for a grace period to throw it away), so
//! what may be there already is asked for first. What comes in between is seen by the refusal:
//! then everything is asked once more.

mod there;

use netstate::nft::{Chain, ChainId, Element, Rule, Set, SetId, Table, TableId};
use netstate::{Mode, Ns, Op, Step};
use rustix::io::Errno;

use super::{Work, is_gone};
use crate::Kernel;
use crate::error::{Error, Refusal};
use crate::netlink::Batch;
use crate::nft;
use there::{Asked, Need};

/// Times a transaction is made anew because others came in between.
const ATTEMPTS: usize = 4;

pub(super) fn run(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    let mut left: Vec<Item<'_>> = steps.iter().filter_map(Item::new).collect();
    let mut attempts = 0;
    while !left.is_empty() && !work.stopped {
        let ready = match prepare(work, ns, left) {
            Ok(ready) => ready,
            Err(error) => {
                if let Some(step) = steps.first() {
                    work.fail(step, error);
                }
                return;
            }
        };
        left = ready.iter().map(|(item, _)| *item).collect();
        if left.is_empty() || work.stopped {
            return;
        }
        attempts += 1;
        match commit(work, ns, &ready) {
            Ok(()) => return left.iter().for_each(|item| work.done(item.step, true, None)),
            Err((at, refusal)) => {
                let Some(Item { step, .. }) = left.get(at).copied() else { return };
                let again = attempts < ATTEMPTS && came_between(step, &refusal);
                if !again {
                    left.remove(at);
                    let error = explain(work.kernel, ns, step, refusal);
                    refuse(work, step, error);
                }
            }
        }
    }
}

/// A step about nf_tables.
#[derive(Debug, Clone, Copy)]
struct Item<'s> {
    step: &'s Step,
    about: About<'s>,
}

#[derive(Debug, Clone, Copy)]
enum About<'s> {
    AddTable(&'s Table),
    DelTable(&'s TableId),
    AddChain(&'s TableId, &'s Chain),
    AddSet(&'s TableId, &'s Set),
    InsertRule(&'s ChainId, &'s Rule),
    DelRuleOf(&'s ChainId, &'s Rule),
    FlushChain(&'s ChainId),
    AddElement(&'s SetId, &'s Element),
    DelElement(&'s SetId, &'s Element),
}

impl<'s> Item<'s> {
    fn new(step: &'s Step) -> Option<Self> {
        let about = match &step.op {
            Op::AddTable(table) => About::AddTable(table),
            Op::DelTable(id) => About::DelTable(id),
            Op::AddChain { table, chain } => About::AddChain(table, chain),
            Op::AddSet { table, set } => About::AddSet(table, set),
            Op::InsertRule { chain, rule } => About::InsertRule(chain, rule),
            Op::DelRuleOf { chain, rule } => About::DelRuleOf(chain, rule),
            Op::FlushChain(chain) => About::FlushChain(chain),
            Op::AddElement { set, element } => About::AddElement(set, element),
            Op::DelElement { set, element } => About::DelElement(set, element),
            Op::AddLink { .. }
            | Op::SetLink { .. }
            | Op::DelLink(_)
            | Op::AddAddr(_)
            | Op::DelAddr(_)
            | Op::AddRoute(_)
            | Op::DelRoute(_)
            | Op::AddNeigh(_)
            | Op::DelNeigh(_)
            | Op::AddFdb(_)
            | Op::AddWgPeer(_)
            | Op::DelWgPeer(_)
            | Op::DelFdb(_)
            | Op::AddRule(_)
            | Op::DelRule(_)
            | Op::SetSysctl { .. } => return None,
        };
        Some(Self { step, about })
    }

    /// The table it is about.
    fn table(&self) -> &'s TableId {
        match self.about {
            About::AddTable(table) => &table.id,
            About::DelTable(id) | About::AddChain(id, _) | About::AddSet(id, _) => id,
            About::InsertRule(chain, _) | About::DelRuleOf(chain, _) | About::FlushChain(chain) => {
                &chain.table
            }
            About::AddElement(set, _) | About::DelElement(set, _) => &set.table,
        }
    }

    fn is_ensured(&self) -> bool {
        self.step.mode == Mode::Ensure
    }
}

/// Asks for what may be there, reports the steps that need nothing more, and keeps the others,
/// each with the handle of the rule it removes.
fn prepare<'s>(
    work: &mut Work<'_>,
    ns: &Ns,
    items: Vec<Item<'s>>,
) -> Result<Vec<(Item<'s>, Option<u64>)>, Error> {
    let mut asked = Asked::new(work.kernel, ns, &items)?;
    let mut kept = Vec::new();
    for item in items {
        match asked.need(work.kernel, ns, &item) {
            Ok(Need::Send(handle)) => kept.push((item, handle)),
            Ok(Need::Nothing) => work.done(item.step, false, None),
            Err(error) => refuse(work, item.step, error),
        }
    }
    Ok(kept)
}

/// Of a plan that makes something none of a transaction is done without a step of it, be it a removal:
/// a rule that is put in another place would be there twice.
fn refuse(work: &mut Work<'_>, step: &Step, error: Error) {
    work.fail(step, error);
    work.stopped |= !work.teardown;
}

/// Sends the steps as one transaction.
///
/// # Errors
/// The step at which the kernel refused it; nothing of it has been done.
fn commit(
    work: &mut Work<'_>,
    ns: &Ns,
    items: &[(Item<'_>, Option<u64>)],
) -> Result<(), (usize, Refusal)> {
    let mut batch = Batch::default();
    nft::begin(&mut batch, work.kernel.bound_to(ns));
    let mut owners = vec![0];
    for (at, (item, handle)) in items.iter().enumerate() {
        put(&mut batch, at, item, *handle);
        owners.resize(batch.len(), at);
    }
    nft::end(&mut batch);
    let socket = work.kernel.netfilter(ns).map_err(|e| {
        let errno = e.errno().unwrap_or(Errno::OPNOTSUPP.raw_os_error());
        (0, Refusal { errno, text: e.to_string() })
    })?;
    let replies = match socket.exchange(batch, 1) {
        Ok(replies) => replies,
        Err(errno) => {
            items.iter().for_each(|(item, _)| work.perhaps_done(item.step));
            return Err((0, Refusal::from(errno)));
        }
    };
    match replies.first_refusal() {
        None => Ok(()),
        Some((message, refusal)) => {
            Err((owners.get(message).copied().unwrap_or(0), refusal.clone()))
        }
    }
}

fn put(batch: &mut Batch, at: usize, item: &Item<'_>, handle: Option<u64>) {
    match item.about {
        About::AddTable(table) => {
            nft::add_table(batch, table);
            nft::table_contents(batch, table);
        }
        About::DelTable(id) => nft::del_table(batch, id),
        About::AddChain(table, chain) => nft::add_chain(batch, table, chain),
        About::AddSet(table, set) => {
            // Sets of tables are counted from 1.
            const OWN_NUMBERS: u32 = 1 << 16;
            let number = OWN_NUMBERS + u32::try_from(at).unwrap_or_default();
            nft::add_set(batch, table, set, number);
        }
        About::InsertRule(chain, rule) => nft::insert_rule(batch, chain, rule),
        About::DelRuleOf(chain, _) => {
            handle.into_iter().for_each(|handle| nft::del_rule(batch, chain, handle));
        }
        About::FlushChain(chain) => nft::flush_chain(batch, chain),
        About::AddElement(set, element) => nft::add_element(batch, set, element),
        About::DelElement(set, element) => nft::del_element(batch, set, &element.key),
    }
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
