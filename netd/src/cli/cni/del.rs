//! `netd cni del`.

use std::process::ExitCode;

use super::AttachmentArgs;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    attachment: AttachmentArgs,
}

/// DEL. It prints nothing.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (runtime, network, container) = args.attachment.resolve()?;
    runtime.del(&network, &container)?;
    Ok(ExitCode::SUCCESS)
}
