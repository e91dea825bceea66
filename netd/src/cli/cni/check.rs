//! `netd cni check`.

use std::process::ExitCode;

use super::AttachmentArgs;
use crate::cli::output;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    attachment: AttachmentArgs,
}

/// CHECK. It prints nothing where all is well.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (runtime, network, container) = args.attachment.resolve()?;
    runtime.check(&network, &container)?;
    if network.disable_check {
        output::note(&format!("network {:?} has disableCheck: nothing was checked", network.name));
    }
    Ok(ExitCode::SUCCESS)
}
