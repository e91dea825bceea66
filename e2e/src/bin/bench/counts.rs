//! The table of what does not depend on the machine's load.

use anyhow::{Context as _, Result};
use e2e::load::trace::Calls;
use serde_json::Value;

use crate::{ATTACHED, PEERS_ATTACHED, Stage};

/// The table, and whether ours are the same beside any number of attached containers.
pub(crate) fn print(stages: &[Stage], peer: &Value) -> Result<()> {
    println!(
        "### System calls, netlink bytes, programs started\n\nThe whole chain, counted by strace.\n"
    );
    println!("| Attached | | | system calls | netlink bytes sent | received | programs started |");
    println!("|---|---|---|---|---|---|---|");
    let ours = stages.iter().map(|(attached, _, calls)| (*attached, "ours", calls));
    let mut seen: Vec<(&str, Calls)> = Vec::new();
    for (attached, name, value) in ours.chain([(PEERS_ATTACHED, "Debian", peer)]) {
        for verb in ["add", "del"] {
            let calls = Calls::of(value.get(verb).context("counts of a verb")?)?;
            println!(
                "| {attached} | {name} | {} | {} | {} | {} | {} |",
                verb.to_uppercase(),
                calls.total(),
                calls.sent,
                calls.received,
                calls.programs
            );
            if name == "ours" {
                seen.push((verb, calls));
            }
        }
    }
    for verb in ["add", "del"] {
        let mut all = seen.iter().filter(|(v, _)| *v == verb).map(|(_, calls)| calls);
        let first = all.next();
        let same = all.all(|calls| Some(calls) == first);
        let verb = verb.to_uppercase();
        let numbers = ATTACHED.map(|n| n.to_string()).join(", ");
        let verdict = if same { "identical, call by call," } else { "NOT identical" };
        println!("\nOurs, {verb}: {verdict} at {numbers} attached.");
    }
    Ok(())
}
