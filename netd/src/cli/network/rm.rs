//! `netd network rm`

use std::process::ExitCode;

use crate::api::networks::ClientError;
use crate::cli::agent::Agent;
use crate::cli::output;

/// Arguments of `netd network rm`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Do not error if the network does not exist
    #[arg(short, long)]
    force: bool,
    /// Names, ids, or beginnings of ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
    #[command(flatten)]
    agent: Agent,
}

/// Prints what was removed, as it was named.
///
/// # Errors
/// No agent runs.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (removed, failures) =
        super::for_each(&args.agent, &args.networks, async |client, word| {
            match client.remove(word).await {
                Ok(()) => Ok(Some(word.to_owned())),
                Err(ClientError::Refused { absent: true, .. }) if args.force => Ok(None),
                Err(error) => Err(error),
            }
        })?;
    let lines = removed.into_iter().flatten().map(|word| format!("{word}\n"));
    output::print(&lines.collect::<String>())?;
    Ok(super::told(&failures))
}
