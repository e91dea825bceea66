//! `netd lease reserve`.

use std::net::Ipv4Addr;
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
    /// The address of the host it is for [default: of the host that has leased it]
    #[arg(long, value_name = "IP")]
    public_ip: Option<Ipv4Addr>,
    #[command(flatten)]
    store: StoreFlags,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let cluster = cluster(&args.store)?;
    let config = cluster.config().await?;
    cluster.reserve(&config, &args.subnet, args.public_ip).await?;
    output::note(&format!("reserved {}", shown(&args.subnet)));
    Ok(ExitCode::SUCCESS)
}
