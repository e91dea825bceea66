//! `netd cni repair`: puts back what somebody took away, as `nft flush ruleset` does.

use std::process::ExitCode;

use attach::Store;
use kernel::Kernel;
use serde_json::json;

use crate::cli::output::{self, Format, Output};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    output: Output,
}

/// Restores tables, elements and firewall rules of all live attachments of the plugins that keep
/// records, and prints the commands that stand for what was missing.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = Store::open()?;
    let commands = attach::repair(&mut Kernel::open(None), &store)?;
    match args.output.format {
        Format::Json => output::print(&format!("{}\n", cni::json::pretty(&json!(commands))))?,
        Format::Table => {
            output::print(&commands.iter().map(|c| format!("{c}\n")).collect::<String>())?;
            if commands.is_empty() {
                output::note("nothing is missing");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
