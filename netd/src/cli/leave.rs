//! `netd leave` and `netd cleanup`: the opposite of `netd run`, with the same options.

use std::process::ExitCode;

use super::options::environment;
use super::{output, runtime};
use crate::agent::{self, Left};
use crate::config::options::{self, Options, Request};

/// Arguments of both, read by flannel's rules.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(super) struct Args {
    /// The options of `netd run`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// Removes what the agent has made on this host, and keeps its lease.
///
/// # Errors
/// What the user is to be told; [`super::failure::report`] knows the exit status.
pub(super) fn cleanup(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(options) = read(args)? else { return Ok(ExitCode::SUCCESS) };
    tell(&runtime::block_on(async { Ok(agent::cleanup(&options).await?) })?)
}

/// Removes what the agent has made on this host, and gives its lease back.
///
/// # Errors
/// As [`cleanup`].
pub(super) fn leave(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(options) = read(args)? else { return Ok(ExitCode::SUCCESS) };
    tell(&runtime::block_on(async { Ok(agent::leave(&options).await?) })?)
}

/// The options; `None` where something was to be printed, and is.
fn read(args: &Args) -> anyhow::Result<Option<Options>> {
    match Options::read(&args.options, &environment())? {
        Request::Run(options) => return Ok(Some(*options)),
        Request::Help => output::print(&format!(
            "netd cleanup [OPTIONS]: remove devices, routes, rules and files of the agent; the lease stays\n\
             netd leave [OPTIONS]: the same, and give the lease back\n\n\
             The agent must be stopped. The options are those it is run with:\n\n{}",
            options::usage()
        ))?,
        Request::Version => output::print(&format!("netd {}\n", env!("CARGO_PKG_VERSION")))?,
    }
    Ok(None)
}

/// What was removed to stdout, all else to stderr; 1 where something could not be removed.
fn tell(left: &Left) -> anyhow::Result<ExitCode> {
    let removed: String = left.removed.iter().map(|line| format!("{line}\n")).collect();
    output::print(&removed)?;
    left.kept.iter().for_each(|line| output::note(line));
    left.failed.iter().for_each(|line| output::note(&format!("error: not removed: {line}")));
    Ok(if left.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
