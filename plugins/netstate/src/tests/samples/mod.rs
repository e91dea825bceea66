//! One operation of every kind, in an order in which all can be done.

mod content;
mod links;
mod tables;

use std::net::IpAddr;

use crate::{LinkName, LinkRef, Ns, Op, Step};

/// An operation, and how to see that it did what it says.
pub(super) struct Sample {
    pub(super) step: Step,
    /// A shell command that succeeds once it is done.
    pub(super) check: Option<&'static str>,
    /// The kernel may have been built without it.
    pub(super) may_lack_support: bool,
}

pub(super) fn all() -> Vec<Sample> {
    let mut samples = links::links();
    samples.extend(content::content());
    samples.extend(tables::tables());
    samples.extend(content::removals());
    samples
}

#[test]
fn there_is_a_sample_of_every_kind_of_operation() {
    let kinds: std::collections::BTreeSet<u8> =
        all().iter().map(|sample| number(&sample.step.op)).collect();
    assert_eq!(kinds, (0..KINDS).collect());
}

const KINDS: u8 = 25;

/// Does not compile when a kind is missing: then [`KINDS`] and the samples need one more.
fn number(op: &Op) -> u8 {
    match op {
        Op::AddLink { .. } => 0,
        Op::SetLink { .. } => 1,
        Op::DelLink(_) => 2,
        Op::AddAddr(_) => 3,
        Op::DelAddr(_) => 4,
        Op::AddRoute(_) => 5,
        Op::DelRoute(_) => 6,
        Op::AddNeigh(_) => 7,
        Op::DelNeigh(_) => 8,
        Op::AddFdb(_) => 9,
        Op::DelFdb(_) => 10,
        Op::AddRule(_) => 11,
        Op::DelRule(_) => 12,
        Op::SetSysctl { .. } => 13,
        Op::AddTable(_) => 14,
        Op::DelTable(_) => 15,
        Op::AddChain { .. } => 16,
        Op::AddSet { .. } => 17,
        Op::InsertRule { .. } => 18,
        Op::DelRuleOf { .. } => 19,
        Op::AddElement { .. } => 20,
        Op::DelElement { .. } => 21,
        Op::AddWgPeer(_) => 22,
        Op::DelWgPeer(_) => 23,
        Op::FlushChain(_) => 24,
    }
}

fn at(ns: Ns, link: &str) -> LinkRef {
    LinkRef { ns, name: name(link) }
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn net(text: &str) -> ipnetwork::IpNetwork {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

struct Unchecked(Step);

fn host(op: Op) -> Unchecked {
    Unchecked(Step::fresh(Ns::Host, op))
}

fn container(op: Op) -> Unchecked {
    Unchecked(Step::fresh(Ns::Container, op))
}

impl Unchecked {
    fn plain(self) -> Sample {
        Sample { step: self.0, check: None, may_lack_support: false }
    }

    fn shows(self, check: &'static str) -> Sample {
        Sample { step: self.0, check: Some(check), may_lack_support: false }
    }

    fn maybe(self) -> Sample {
        Sample { step: self.0, check: None, may_lack_support: true }
    }
}
