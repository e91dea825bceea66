//! Keeps the constant nf_tables tables there.
//!
//! A table that is not there (the first ADD after a boot, or after `nft flush ruleset`) is made in
//! one transaction with the elements of every live record; one of an older schema is replaced in
//! one transaction with its elements kept; a newer one, or one that is not ours, is refused.

mod restore;

use std::collections::BTreeSet;
use std::sync::Arc;

use drivers::conditions;
use drivers::ports::Class;
use drivers::ruleset::{self, Ip};
use kernel::Kernel;
use netstate::nft::{Element, SetId, Table, TableId};
use netstate::{Ns, Op, Plan, Step};

use crate::record::{Record, Store};
use crate::{Error, record};

pub use restore::restore;

/// How often another program may be quicker.
const ATTEMPTS: usize = 16;

/// One of our tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constant {
    /// `table inet netd`.
    Inet,
    /// `table bridge netd`.
    Bridge,
}

impl Constant {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inet, Self::Bridge];

    /// Its family and name.
    #[must_use]
    pub fn id(self) -> TableId {
        match self {
            Self::Inet => ruleset::inet_id(),
            Self::Bridge => ruleset::bridge_id(),
        }
    }

    /// All of it; to be told only where it has to be made.
    fn table(self) -> Result<Table, Error> {
        match self {
            Self::Inet => Ok(ruleset::inet_table()?),
            Self::Bridge => Ok(ruleset::bridge_table()),
        }
    }
}

/// Makes sure that the table is there, of this schema; gives the generation of the ruleset that
/// has it.
///
/// # Errors
/// [`Error::NewerTable`], [`Error::ForeignTable`], or what the kernel says. Nothing is left half
/// made: each change is one transaction.
pub fn ensure(kernel: &mut Kernel, store: &Store, table: Constant) -> Result<u32, Error> {
    let id = table.id();
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let (generation, comment) = kernel.table_comment_at(&Ns::Host, &id)?;
        let steps = match comment {
            None => made_new(store, &table.table()?)?,
            Some(comment) => match ruleset::schema_of(&comment) {
                Some(ruleset::SCHEMA) => return Ok(generation),
                Some(old) if old < ruleset::SCHEMA => replaced(kernel, store, &table.table()?)?,
                Some(found) => return Err(newer(&id, found)),
                None => return Err(foreign(&id, comment)),
            },
        };
        let report = kernel.apply_at(&Plan { steps }, generation);
        match report.failed {
            None => return Ok(kernel.generation(&Ns::Host)?),
            Some((_, e))
                if matches!(e.kind(), kernel::Kind::Interrupted | kernel::Kind::Exists) =>
            {
                last = Some(e);
            }
            Some((_, e)) => return Err(e.into()),
        }
    }
    match last {
        Some(e) => Err(e.into()),
        None => Ok(kernel.generation(&Ns::Host)?),
    }
}

/// The table with the elements and classes of all live records.
fn made_new(store: &Store, table: &Table) -> Result<Vec<Step>, Error> {
    let live = record::live(store)?;
    let mut steps = vec![host(Op::AddTable(table.clone()))];
    steps.extend(classes(&live, &table.id));
    steps.extend(elements(live.iter().flat_map(of_record), &table.id));
    Ok(steps)
}

/// The table in place of an older one, with what was in the older one's sets.
fn replaced(kernel: &mut Kernel, store: &Store, table: &Table) -> Result<Vec<Step>, Error> {
    let live = record::live(store)?;
    let mut kept: BTreeSet<(SetId, Arc<Element>)> =
        live.iter().flat_map(of_record).cloned().collect();
    for set in &table.sets {
        let id = SetId::new(&table.id, &set.name);
        match kernel.elements(&Ns::Host, &id) {
            Ok(elements) => {
                for element in elements.into_iter().filter(|e| fits(e, set)) {
                    let there = |(i, e): &(SetId, Arc<Element>)| *i == id && e.key == element.key;
                    if !kept.iter().any(there) {
                        kept.insert((id.clone(), element.into()));
                    }
                }
            }
            Err(e) if e.kind() == kernel::Kind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut steps = vec![host(Op::DelTable(table.id.clone())), host(Op::AddTable(table.clone()))];
    steps.extend(classes(&live, &table.id));
    steps.extend(elements(kept.iter(), &table.id));
    Ok(steps)
}

/// Whether an element of an older schema's set is one of this schema's set of the same name.
fn fits(element: &Element, set: &netstate::nft::Set) -> bool {
    let types = |values: &[netstate::nft::Value]| {
        values.iter().map(netstate::nft::Value::data_type).collect::<Vec<_>>()
    };
    types(&element.key) == set.key && types(&element.data) == set.data
}

fn of_record(record: &Record) -> impl Iterator<Item = &(SetId, Arc<Element>)> {
    record.elements.iter().chain(&record.shared)
}

/// Elements of one table, once for each key.
pub(crate) fn elements<'a>(
    all: impl Iterator<Item = &'a (SetId, Arc<Element>)>,
    table: &TableId,
) -> Vec<Step> {
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    for (set, element) in all.filter(|(set, _)| set.table == *table) {
        if seen.insert((set.clone(), element.key.clone())) {
            steps.push(host(Op::AddElement { set: set.clone(), element: Arc::clone(element) }));
        }
    }
    steps
}

/// The classes of conditions that live records need.
pub(crate) fn classes(live: &[Record], table: &TableId) -> Vec<Step> {
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    if *table != ruleset::inet_id() {
        return steps;
    }
    for record in live {
        for class in classes_of(record) {
            if seen.insert(class.name()) {
                steps.extend(class.create().steps);
            }
        }
    }
    steps
}

/// The classes of conditions that a record needs.
pub(crate) fn classes_of(record: &Record) -> Vec<Class> {
    let class = |(ip, key): (Ip, &str)| {
        let text = record.notes.get(key)?;
        let conditions = conditions::parse(ip, text).ok()?;
        Some(Class { ip, conditions })
    };
    [(Ip::V4, "conditionsV4"), (Ip::V6, "conditionsV6")].into_iter().filter_map(class).collect()
}

fn host(op: Op) -> Step {
    Step::fresh(Ns::Host, op)
}

fn newer(table: &TableId, found: u32) -> Error {
    Error::NewerTable { table: table.to_string(), found, known: ruleset::SCHEMA }
}

fn foreign(table: &TableId, comment: String) -> Error {
    Error::ForeignTable { table: table.to_string(), comment }
}
