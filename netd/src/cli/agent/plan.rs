//! `netd plan`: what the agent would change now.

use std::process::ExitCode;

use super::Agent;
use crate::api::status::ask;
use crate::cli::{output, runtime};

/// Arguments of `netd plan`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    agent: Agent,
}

/// Prints the commands, one per line; nothing where all is well.
///
/// # Errors
/// No agent runs, or it cannot tell.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let socket = args.agent.socket()?;
    let commands = runtime::block_on(async { Ok(ask(&socket, "/v1/plan").await?) })?;
    output::print(&commands)?;
    if commands.is_empty() {
        output::note("nothing differs");
    }
    Ok(ExitCode::SUCCESS)
}
