//! The command line: one module per subcommand, each with its `Args` and a `run`.
//!
//! Exit statuses: 0; 1 where something failed or is not as it should be; 2 for arguments that make
//! no sense; 64 for configuration that cannot be read or is not there. Results go to stdout, all
//! else to stderr.

mod agent;
mod cni;
mod columns;
mod config;
mod containers;
mod failure;
mod filters;
mod lease;
mod leave;
mod listing;
mod network;
mod options;
mod output;
mod proxy;
mod ps;
mod run;
mod runtime;
mod shell;
mod subnet_env;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::config::options::with_two_dashes;

/// Container networking for Linux.
#[derive(Debug, Parser)]
#[command(name = "netd", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run CNI networks, with cnitool's habits
    #[command(subcommand)]
    Cni(cni::Command),
    /// Run the agent: lease a subnet and connect it with all others
    Run(run::Args),
    /// Tell how the agent on this host stands: 0 where it is ready, else 1
    Status(agent::status::Args),
    /// Print what the agent would change in the kernel now, as commands
    Plan(agent::plan::Args),
    /// Show or change the cluster's network configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Show or change the leases of the cluster's hosts
    #[command(subcommand)]
    Lease(lease::Command),
    /// Manage networks of this host, as `docker network` does
    #[command(subcommand)]
    Network(network::Command),
    /// List the containers on this host's networks
    Ps(ps::Args),
    /// Remove what the agent has made on this host; its lease stays
    Cleanup(leave::Args),
    /// Remove what the agent has made on this host, and give its lease back
    Leave(leave::Args),
    /// Hold published ports and carry what the kernel's rules cannot; the agent starts it
    #[command(hide = true)]
    Proxy,
    /// Print this host's subnet as flannel's subnet.env has it, or as options for Docker
    SubnetEnv(subnet_env::Args),
    /// Print a script by which a shell completes netd's commands and options
    Completion(shell::CompletionArgs),
    /// Print or write manual pages
    Man(shell::ManArgs),
}

/// Does what the program's arguments say.
#[must_use]
pub fn main() -> ExitCode {
    // Arguments that are no UTF-8 are left to clap, which says so.
    let text: Option<Vec<_>> = std::env::args_os().skip(1).map(|a| a.into_string().ok()).collect();
    let done = match text {
        Some(options) if run::is_flannels(&options) => run::run_with(&options),
        text => parsed(text).map_err(anyhow::Error::from).and_then(|cli| match cli.command {
            Command::Cni(command) => cni::run(&command),
            Command::Run(args) => run::run(&args),
            Command::Status(args) => agent::status::run(&args),
            Command::Plan(args) => agent::plan::run(&args),
            Command::Config(command) => config::run(&command),
            Command::Lease(command) => lease::run(&command),
            Command::Network(command) => network::run(&command),
            Command::Ps(args) => ps::run(&args),
            Command::Cleanup(args) => leave::cleanup(&args),
            Command::Leave(args) => leave::leave(&args),
            Command::Proxy => proxy::run(),
            Command::SubnetEnv(args) => subnet_env::run(&args),
            Command::Completion(args) => shell::completion(&args),
            Command::Man(args) => shell::man(&args),
        }),
    };
    done.unwrap_or_else(|error| failure::report(&error))
}

/// What clap makes of the arguments. Those of the commands that ask the store may be written with
/// one dash, as in a unit file of flanneld's.
fn parsed(words: Option<Vec<String>>) -> Result<Cli, clap::Error> {
    let matches = match words {
        Some(words) if words.first().is_some_and(|word| word == "lease" || word == "config") => {
            let words = std::iter::once("netd".to_owned()).chain(with_two_dashes(&words));
            command().try_get_matches_from(words)
        }
        Some(_) | None => command().try_get_matches(),
    };
    Cli::from_arg_matches(&matches?).map_err(|error| error.format(&mut command()))
}

fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("network", |of| of.mut_subcommands(network::with_values_of_switches))
        .mut_subcommand("ps", network::with_values_of_switches)
}
