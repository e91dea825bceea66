//! `netd lease list`.

use std::process::ExitCode;

use serde_json::json;

use super::{cluster, document, shown};
use crate::cli::output::{self, Output, Table};
use crate::config::options::StoreFlags;
use crate::lease::Overview;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    store: StoreFlags,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let overview = cluster(&args.store)?.overview().await?;
    args.output.print(&table(&overview), &documents(&overview))?;
    for (key, error) in &overview.malformed {
        output::note(&format!(
            "warning: {key:?} is no lease ({error}): flanneld drops its peers for it"
        ));
    }
    for (lease, _) in &overview.leases {
        if let Err(error) = &lease.value {
            output::note(&format!(
                "warning: the lease of {} cannot be read ({error})",
                shown(&lease.subnet)
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(overview: &Overview) -> Table {
    let mut table = Table::new(["SUBNET", "PUBLIC IP", "BACKEND", "LEASE", "HOST"]);
    for (lease, owner) in &overview.leases {
        let (public_ip, backend) = match &lease.value {
            Ok(value) => (value.public_ip.to_string(), value.backend_type.as_str()),
            Err(_) => ("?".to_owned(), "?"),
        };
        let session = lease.entry.session.map_or("reserved".to_owned(), |id| id.to_string());
        let host = owner.as_ref().map_or(String::new(), |owner| {
            let state = if owner.alive { "" } else { " (silent)" };
            format!("{}{state}", owner.host)
        });
        table.row([&shown(&lease.subnet), &public_ip, backend, &session, &host]);
    }
    table
}

fn documents(overview: &Overview) -> serde_json::Value {
    let leases = overview.leases.iter().map(|(lease, owner)| document(lease, owner.as_ref()));
    let malformed = overview.malformed.iter();
    let malformed =
        malformed.map(|(key, error)| json!({ "key": key, "reason": error.to_string() }));
    json!({
        "leases": leases.collect::<Vec<_>>(),
        "malformed": malformed.collect::<Vec<_>>(),
    })
}
