//! `netd lease release`.

use std::process::ExitCode;

use super::{cluster, shown, subnet};
use crate::cli::output;
use crate::config::options::StoreFlags;
use crate::lease::SubnetKey;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The subnet, as in 10.5.52.0/24 or 10.5.52.0/24&fd00:5:0:52::/64
    #[arg(value_parser = subnet)]
    subnet: SubnetKey,
    #[command(flatten)]
    store: StoreFlags,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let released = cluster(&args.store)?.release(&args.subnet).await?;
    let of = released
        .value
        .map_or(String::new(), |value| format!(" of the host at {}", value.public_ip));
    output::note(&format!("released {}{of}", shown(&released.subnet)));
    Ok(ExitCode::SUCCESS)
}
