//! `netd network`: networks of this host, with Docker's flags, texts and formats.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod ls;
mod prune;
mod rm;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgAction};
use netd_api::attach;

use super::agent::Agent;
use super::{output, runtime};
use crate::api::networks::{Client, ClientError};
use crate::config::options;

/// `netd network ...`
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a network
    Create(Box<create::Args>),
    /// List networks
    #[command(alias = "list")]
    Ls(ls::Args),
    /// Display detailed information on one or more networks
    Inspect(inspect::Args),
    /// Remove one or more networks
    #[command(alias = "remove")]
    Rm(rm::Args),
    /// Remove all networks that no container is on
    Prune(prune::Args),
    /// Connect a running container to a network
    Connect(Box<connect::Args>),
    /// Disconnect a container from a network
    Disconnect(disconnect::Args),
}

/// Does what the arguments say.
///
/// # Errors
/// What the user is to be told.
pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(args) => create::run(args),
        Command::Ls(args) => ls::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Rm(args) => rm::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Connect(args) => connect::run(args),
        Command::Disconnect(args) => disconnect::run(args),
    }
}

/// Lets switches have a value, `--internal=true`, as those of Docker's do (Go's `pflag`).
pub(super) fn with_values_of_switches(command: clap::Command) -> clap::Command {
    let with_value = |arg: Arg| {
        if !matches!(arg.get_action(), ArgAction::SetTrue) {
            return arg;
        }
        arg.action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .value_name("BOOL")
            .value_parser(boolean)
    };
    command.mut_args(with_value)
}

fn boolean(text: &str) -> Result<bool, String> {
    options::boolean(text).ok_or_else(|| "it is neither true nor false".to_owned())
}

/// Asks the agent for something.
///
/// # Errors
/// That no agent runs, or what it says.
pub(super) fn ask<T>(
    agent: &Agent,
    what: impl AsyncFnOnce(Client<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let socket = agent.socket()?;
    runtime::block_on(async { what(Client { socket: &socket }).await })
}

/// The answer for each word; failures are told once the others have been answered, as Docker does.
fn for_each<T>(
    agent: &Agent,
    words: &[String],
    mut one: impl AsyncFnMut(Client<'_>, &str) -> Result<T, ClientError>,
) -> anyhow::Result<(Vec<T>, Vec<ClientError>)> {
    ask(agent, async |client| {
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for word in words {
            match one(client, word).await {
                Ok(answer) => answers.push(answer),
                Err(refused @ ClientError::Refused { .. }) => failures.push(refused),
                Err(error) => return Err(error).context(format!("ask for network {word}")),
            }
        }
        Ok((answers, failures))
    })
}

/// An answer of netd's about a container in its own words.
fn of_attach(error: attach::Error) -> anyhow::Error {
    match error {
        attach::Error::Refused { text, .. } => anyhow::anyhow!(text),
        other @ (attach::Error::Absent { .. }
        | attach::Error::Socket { .. }
        | attach::Error::TooLong(_)
        | attach::Error::RequestTooLong(_)
        | attach::Error::Reply(_)) => other.into(),
    }
}

/// Tells failures; the status is 1 where there are any.
fn told(failures: &[ClientError]) -> ExitCode {
    failures.iter().for_each(|failure| output::note(&format!("error: {failure}")));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests;
