//! Puts right what somebody has changed inside one of the tables: its chains, rules and sets. Elements are
//! their owners'.

use std::collections::BTreeSet;
use std::sync::Arc;

use drivers::ruleset;
use kernel::{Kernel, Policy};
use netstate::nft::{Chain, ChainId, Table};
use netstate::{Datapath, Ns, NsNames, Op, Plan, Step};

use super::{Constant, classes, ensure, host, replaced};
use crate::record::{self, Store};
use crate::{Error, trace};

/// The chain of translations, before which those under conditions are ([`drivers::ports::Class`]).
const PORTS: &str = "ports";
/// What the names of their chains begin with.
const CONDITIONS: &str = "conditions_";
/// The administrator's own chain.
const USER: &str = "user";

/// Makes sure that a table is there as [`ensure`] does, and that its chains, rules and sets are those of
/// its schema; gives the commands that stand for what was changed. Chain `user` is left as it is,
/// unless a chain of the table was made another kind of chain: then the table is made anew in one transaction.
///
/// # Errors
/// As [`ensure`].
pub fn restore(kernel: &mut Kernel, store: &Store, table: Constant) -> Result<Vec<String>, Error> {
    let was_there = kernel.table_comment(&Ns::Host, &table.id())?.is_some();
    ensure(kernel, store, table)?;
    if !was_there {
        return Ok(vec![format!("nft add table {}", table.id())]);
    }
    let wanted = table.table()?;
    let mut plan = Plan { steps: missing_sets(kernel, &wanted)? };
    for chain in &wanted.chains {
        let id = ChainId { table: wanted.id.clone(), name: chain.name.clone() };
        match kernel.chain(&Ns::Host, &id)? {
            None => {
                let (table, chain) = (wanted.id.clone(), chain.clone());
                plan.steps.push(host(Op::AddChain { table, chain }));
            }
            Some(there) if there.policy != chain.hook.map(|_| Policy::Accept) => {
                let plan = Plan { steps: replaced(kernel, store, &wanted)? };
                return applied(kernel, &plan);
            }
            Some(_) if chain.name == USER => {}
            Some(_) => plan.steps.extend(rules(kernel, store, chain, &id)?),
        }
    }
    applied(kernel, &plan)
}

fn missing_sets(kernel: &mut Kernel, wanted: &Table) -> Result<Vec<Step>, Error> {
    let there = kernel.sets(&Ns::Host, &wanted.id)?;
    let there: BTreeSet<Arc<str>> = there.into_iter().map(|set| set.name).collect();
    let missing = wanted.sets.iter().filter(|set| !there.contains(set.name.as_str()));
    let add = |set: &netstate::nft::Set| Op::AddSet { table: wanted.id.clone(), set: set.clone() };
    Ok(missing.map(|set| host(add(set))).collect())
}

/// What makes the rules of a chain that is there those of the schema.
fn rules(
    kernel: &mut Kernel,
    store: &Store,
    chain: &Chain,
    id: &ChainId,
) -> Result<Vec<Step>, Error> {
    let but_jumps = if chain.name == PORTS { CONDITIONS } else { "" };
    if kernel.has_rules(&Ns::Host, id, &chain.rules, but_jumps)? {
        return Ok(Vec::new());
    }
    let mut steps = vec![host(Op::FlushChain(id.clone()))];
    // Each is put at the top.
    let rules = chain.rules.iter().rev();
    steps.extend(rules.map(|rule| host(Op::InsertRule { chain: id.clone(), rule: rule.clone() })));
    if chain.name == PORTS {
        let live = record::live(store)?;
        let jumps = classes(&live, &ruleset::inet_id()).into_iter();
        steps.extend(jumps.filter(|step| matches!(step.op, Op::InsertRule { .. })));
    }
    Ok(steps)
}

fn applied(kernel: &mut Kernel, plan: &Plan) -> Result<Vec<String>, Error> {
    let names = NsNames::default();
    trace::commands(plan, &names);
    match kernel.apply(plan).failed {
        Some((_, error)) => Err(error.into()),
        None => Ok(plan.steps.iter().map(|step| step.command(&names)).collect()),
    }
}
