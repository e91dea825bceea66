//! `netd lease acquire`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::{shown, subnet};
use crate::cli::options;
use crate::cli::output::{Output, Table};
use crate::config::options::StoreFlags;
use crate::lease::{Host, LeaseValue, Leases, Missing, SubnetKey, TIME_TO_LIVE, Wanted};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The address at which this host is reached
    #[arg(long, value_name = "IP")]
    public_ip: Ipv4Addr,
    /// The same for IPv6
    #[arg(long, value_name = "IP")]
    public_ipv6: Option<Ipv6Addr>,
    /// The subnet to take if nobody has it
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    subnet: Option<SubnetKey>,
    /// Take another subnet than the one that another host has now; refused where this host has a
    /// lease. Its agent goes over to it within seconds
    #[arg(long, conflicts_with = "subnet")]
    new: bool,
    /// How long the lease lives when nobody keeps it, in seconds
    #[arg(long, value_name = "SECONDS", hide = true)]
    ttl: Option<u64>,
    /// In place of the host's machine id
    #[arg(long, value_name = "ID", hide = true)]
    machine_id: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    store: StoreFlags,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut host = Host::this()?;
    if let Some(machine_id) = &args.machine_id {
        host.machine_id.clone_from(machine_id);
    }
    let store = options::of_store(&args.store)?;
    let leases = Leases::new(store.open()?, store.keyspace()?, host);
    let config = leases.config().await?;
    let mut value = LeaseValue::new(args.public_ip);
    value.public_ipv6 = args.public_ipv6;
    if args.new {
        has_none(&leases, args.public_ip).await?;
    }
    let wanted = Wanted {
        is_used: false,
        is_kept: false,
        value,
        previous: args.subnet,
        missing: leases.missing().await?.iter().flat_map(Missing::subnets).collect(),
        time_to_live: args.ttl.map_or(TIME_TO_LIVE, Duration::from_secs),
    };
    let held = leases.acquire(&config, &wanted).await?;
    let session = held.session.map_or("reserved".to_owned(), |id| id.to_string());
    let mut table = Table::new(["SUBNET", "LEASE"]);
    table.row([&shown(&held.subnet), &session]);
    let document = json!({
        "subnet": held.subnet.v4.to_string(),
        "ipv6Subnet": held.subnet.v6.map(|v6| v6.to_string()),
        "lease": held.session.map(|id| id.to_string()),
        "ttlSeconds": held.session.map(|_| held.time_to_live.as_secs()),
    });
    args.output.print(&table, &document)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses where this host has a lease: its containers would lose it.
async fn has_none(leases: &Leases, public_ip: Ipv4Addr) -> anyhow::Result<()> {
    let ours = leases.subnet_of(public_ip).await?;
    if let Some(subnet) = ours {
        anyhow::bail!(
            "this host has {}, and no other host has it: release that first (`netd leave`, or \
             `netd lease release` where no agent runs)",
            shown(&subnet)
        );
    }
    Ok(())
}
