//! `netd lease show`.

use std::process::ExitCode;
use std::time::Duration;

use super::{cluster, document, shown, subnet};
use crate::cli::output::{Output, Table};
use crate::config::options::StoreFlags;
use crate::lease::{AdminError, Lease, Owner, SubnetKey};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The subnet, as in 10.5.52.0/24 or 10.5.52.0/24&fd00:5:0:52::/64
    #[arg(value_parser = subnet)]
    subnet: SubnetKey,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    store: StoreFlags,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let cluster = cluster(&args.store)?;
    let found =
        cluster.overview().await?.leases.into_iter().find(|(lease, _)| lease.subnet == args.subnet);
    let (lease, owner) = found.ok_or(AdminError::NotLeased(args.subnet))?;
    let life = cluster.time_to_live(&lease).await?;
    let remaining = life.map(|life| life.remaining);
    let mut json = document(&lease, owner.as_ref());
    if let Some(json) = json.as_object_mut() {
        json.insert("endsInSeconds".to_owned(), remaining.map(|left| left.as_secs()).into());
    }
    args.output.print(&table(&lease, owner.as_ref(), remaining), &json)?;
    Ok(ExitCode::SUCCESS)
}

fn table(lease: &Lease, owner: Option<&Owner>, remaining: Option<Duration>) -> Table {
    let mut table = Table::new(["PROPERTY", "VALUE"]);
    table.row(["subnet", &shown(&lease.subnet)]);
    table.row(["key", &lease.entry.key]);
    match &lease.value {
        Ok(value) => {
            table.row(["public IP", &value.public_ip.to_string()]);
            if let Some(address) = value.public_ipv6 {
                table.row(["public IPv6", &address.to_string()]);
            }
            table.row(["backend", &value.backend_type]);
            if let Some(data) = &value.backend_data {
                table.row(["backend data", &data.to_string()]);
            }
            if let Some(data) = &value.backend_v6_data {
                table.row(["backend data of IPv6", &data.to_string()]);
            }
        }
        Err(error) => table.row(["malformed", &error.to_string()]),
    }
    match lease.entry.session {
        Some(session) => table.row(["lease", &session.to_string()]),
        None => table.row(["lease", "none: reserved"]),
    }
    if let Some(left) = remaining {
        table.row(["ends in", &format!("{} s, unless it is kept", left.as_secs())]);
    }
    if let Some(owner) = owner {
        let state = if owner.alive { "alive" } else { "silent" };
        table.row(["host", &format!("{} ({}, {state})", owner.host, owner.machine_id)]);
    }
    table
}
