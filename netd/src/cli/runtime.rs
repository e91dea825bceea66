//! Where a command waits for the network.

use std::future::Future;

use anyhow::Context;

/// Runs a command to its end on this thread.
///
/// # Errors
/// The command's.
pub(super) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start the runtime")?.block_on(command)
}
