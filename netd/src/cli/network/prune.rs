//! `netd network prune`

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::cli::agent::Agent;
use crate::cli::filters::{self, Filter};
use crate::cli::output;

const WARNING: &str = "WARNING! This will remove all custom networks not used by at least one \
                       container.\nAre you sure you want to continue? [y/N] ";

/// Arguments of `netd network prune`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Provide filter values (as in until=24h)
    #[arg(long = "filter", value_name = "KEY=VALUE", value_parser = filters::parse)]
    filters: Vec<Filter>,
    #[command(flatten)]
    agent: Agent,
}

/// Prints the names of what was removed.
///
/// # Errors
/// Why nothing was.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.force && !confirmed()? {
        return Ok(ExitCode::SUCCESS);
    }
    let filters = filters::by_key(&args.filters);
    let pruned = super::ask(&args.agent, async |client| Ok(client.prune(&filters).await?))?;
    if !pruned.networks_deleted.is_empty() {
        let names = pruned.networks_deleted.join("\n");
        output::print(&format!("Deleted Networks:\n{names}\n\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn confirmed() -> anyhow::Result<bool> {
    output::print(WARNING)?;
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
