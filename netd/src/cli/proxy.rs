//! `netd proxy`: see [`crate::proxy`]. Its standard input is the socket on which the agent asks.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use anyhow::Context;
use rustix::net::sockopt::socket_acceptconn;
use rustix::process::setsid;

use super::runtime;
use crate::{agent, limits, proxy};

/// Runs until there is nothing to hold.
///
/// # Errors
/// Standard input that is no listening socket.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    agent::log_to_stderr("info");
    let stdin = io::stdin();
    let listens = socket_acceptconn(stdin.as_fd()).unwrap_or(false);
    anyhow::ensure!(
        listens,
        "netd proxy is started by the agent, with a listening socket as its standard input"
    );
    let listener = UnixListener::from(stdin.as_fd().try_clone_to_owned().context("copy stdin")?);
    // A terminal's signals are meant for the agent. It fails for who leads a session already.
    let _ = setsid();
    // Started by `/proc/self/exe`, it would be "exe" to whoever looks for who holds a port. A name is no matter.
    let _ = rustix::thread::set_name(c"netd");
    // Six files for each connection that is carried.
    limits::raise_open_files();
    runtime::block_on(async { Ok(proxy::serve(listener).await?) })?;
    Ok(ExitCode::SUCCESS)
}
