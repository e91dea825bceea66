//! What became of a plan.

use std::collections::BTreeMap;

use crate::link::LinkRef;
use crate::name::Mac;
use crate::op::{Mode, Op, Step};
use crate::plan::Plan;

/// A step the kernel has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The step.
    pub step: Step,
    /// Whether it changed anything: false where a shared object was there already.
    pub changed: bool,
    /// What undoes it, where more than [`Op::inverse`] is needed (an earlier value).
    pub undo: Option<Op>,
}

/// What the kernel chose for a link while a plan was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFacts {
    /// Interface index in its namespace.
    pub index: u32,
    /// Link-layer address; all zero where not known.
    pub mac: Mac,
    /// MTU in bytes; 0 where not known.
    pub mtu: u32,
}

/// What was done of a plan, in order, and what was not.
#[derive(Debug)]
pub struct Report<E> {
    /// Acknowledged steps, in order.
    pub done: Vec<Done>,
    /// The step that failed first, and why. Steps after it in the same batch may have been done
    /// all the same (a netlink batch is not atomic) and are then in `done`.
    pub failed: Option<(Step, E)>,
    /// Links that were made or looked up on the way.
    pub links: BTreeMap<LinkRef, LinkFacts>,
}

impl<E> Default for Report<E> {
    fn default() -> Self {
        Self { done: Vec::new(), failed: None, links: BTreeMap::new() }
    }
}

impl<E> Report<E> {
    /// The plan that takes back what was done, last first. What another wanted too stays.
    #[must_use]
    pub fn undo(&self) -> Plan {
        let undo = |done: &Done| {
            let op = done.undo.clone().or_else(|| done.step.op.inverse())?;
            let mode = if op.is_removal() { Mode::Fresh } else { Mode::Ensure };
            Some(Step { ns: done.step.ns.clone(), op, mode })
        };
        Plan { steps: self.done.iter().rev().filter(|d| d.changed).filter_map(undo).collect() }
    }

    /// Adds what another plan's report says.
    pub fn merge(&mut self, other: Self) {
        self.done.extend(other.done);
        self.links.extend(other.links);
        if self.failed.is_none() {
            self.failed = other.failed;
        }
    }
}
