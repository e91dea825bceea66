//! `netd cni add`: prints the result as cnitool does, so that scripts can use either.

use std::process::ExitCode;

use super::AttachmentArgs;
use crate::cli::output;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    attachment: AttachmentArgs,
}

/// ADD. A failure leaves nothing behind, or its details say what.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (runtime, network, container) = args.attachment.resolve()?;
    let result = runtime.add(&network, &container)?;
    output::print(&result.to_json(network.version)?)?;
    Ok(ExitCode::SUCCESS)
}
