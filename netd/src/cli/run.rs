//! `netd run`: the agent. A command line of flanneld's means the same without `run`.

use std::process::ExitCode;
use std::time::Duration;

use crate::agent;
use crate::config::options::{self, Options, Request};

use super::options::environment;
use super::{failure, output};

/// How long the end waits for calls of the kernel's that threads are in; what they do is right without them.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// Arguments of `netd run`, read by flannel's rules: see `netd run --help`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(super) struct Args {
    /// Options, as `netd run --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// Whether the program was called as flanneld is: with options only.
pub(super) fn is_flannels(args: &[String]) -> bool {
    const OURS: [&str; 4] = ["-h", "--help", "-V", "--version"];
    args.first().is_some_and(|first| first.starts_with('-') && !OURS.contains(&first.as_str()))
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// What the user is to be told; [`super::failure::report`] knows the exit status.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    run_with(&args.options)
}

/// As [`run`], with options as they were given.
///
/// # Errors
/// As [`run`].
pub(super) fn run_with(options: &[String]) -> anyhow::Result<ExitCode> {
    let options = match Options::read(options, &environment())? {
        Request::Run(options) => *options,
        Request::Help => return output::print(&options::usage()).map(|()| ExitCode::SUCCESS),
        Request::Version => {
            let line = format!("netd {}\n", env!("CARGO_PKG_VERSION"));
            return output::print(&line).map(|()| ExitCode::SUCCESS);
        }
    };
    agent::log_to_stderr(&options.log);
    // One thread: the other one is the loop's, and a network namespace belongs to a thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(agent::run(options));
    runtime.shutdown_timeout(LAST_CALLS);
    match ran {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let configuration = error.is_configuration();
            tracing::error!("{}", cni::ErrorChain(&error));
            Ok(if configuration { ExitCode::from(failure::BAD_CONFIG) } else { ExitCode::FAILURE })
        }
    }
}
