//! Restores what records say should be there: after `nft flush ruleset`, a firewall's reload, or
//! somebody's hand.

use drivers::ruleset::{self, Ip};
use kernel::Kernel;
use netstate::nft::TableId;
use netstate::{Datapath, LinkName, NsNames, Plan, Scope};

use crate::record::{self, Record, Store};
use crate::tables::Constant;
use crate::{Error, forward, tables};

/// Puts back tables, classes, elements and firewall rules of all live records; returns the
/// commands that stand for what was done.
///
/// # Errors
/// The first that hinders: [`Error::Kernel`], [`Error::NewerTable`] ... What was restored before
/// it stays.
pub fn repair(kernel: &mut Kernel, store: &Store) -> Result<Vec<String>, Error> {
    let live = record::live(store)?;
    let mut done = Vec::new();
    for table in Constant::ALL {
        let id = table.id();
        if !live.iter().any(|r| needs(r, &id)) {
            continue;
        }
        done.extend(tables::restore(kernel, store, table)?);
    }
    for record in &live {
        done.extend(elements(kernel, record)?);
        for ip in Ip::BOTH {
            done.extend(firewall(kernel, record, ip)?);
        }
    }
    Ok(done)
}

fn needs(record: &Record, table: &TableId) -> bool {
    let mut sets = record.elements.iter().chain(&record.shared).map(|(set, _)| &set.table);
    sets.any(|t| t == table)
        || (*table == ruleset::inet_id() && !tables::classes_of(record).is_empty())
}

fn elements(kernel: &mut Kernel, record: &Record) -> Result<Vec<String>, Error> {
    for class in tables::classes_of(record) {
        match kernel.apply(&class.create()).failed {
            Some((_, e)) if e.kind() != kernel::Kind::Exists => return Err(e.into()),
            _ => {}
        }
    }
    let mut done = Vec::new();
    for desired in [record.elements_desired(), record.shared_desired()] {
        let observed = kernel.observe(&Scope::of(&desired))?;
        let plan = Plan::missing(&observed, &desired);
        done.extend(apply(kernel, &plan)?);
    }
    Ok(done)
}

fn firewall(kernel: &mut Kernel, record: &Record, ip: Ip) -> Result<Vec<String>, Error> {
    let Some(note) = record.notes.get(&forward::note(ip)) else { return Ok(Vec::new()) };
    let Some((link, admin)) = note.split_once(' ') else { return Ok(Vec::new()) };
    let link = LinkName::new(link)?;
    let commands = forward::closed(kernel, ip, &link, admin)?;
    forward::open(kernel, ip, &link, admin)?;
    Ok(commands)
}

fn apply(kernel: &mut Kernel, plan: &Plan) -> Result<Vec<String>, Error> {
    if let Some((_, e)) = kernel.apply(plan).failed {
        return Err(e.into());
    }
    Ok(plan.steps.iter().map(|s| s.command(&NsNames::default())).collect())
}
