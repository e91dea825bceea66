//! `netd cni status`: whether networks could serve an ADD, in the words of all their plugins.

use std::process::ExitCode;

use cni::runtime::{NetworkList, Runtime};
use cni::{Code, Error};
use serde_json::json;

use super::{Dirs, networks, plugin_by_plugin};
use crate::cli::output::{Output, Table};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The network's name [default: all]
    network: Option<String>,
    #[command(flatten)]
    dirs: Dirs,
    #[command(flatten)]
    output: Output,
}

/// STATUS of every plugin. The exit status is 1 unless all could serve an ADD.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = args.dirs.runtime()?;
    let (networks, unreadable) = networks(&runtime, args.network.as_deref())?;
    let mut table = Table::new(["NETWORK", "STATUS", "REASON"]);
    let mut document = Vec::new();
    let mut failed = unreadable;
    for network in &networks {
        let errors = errors(&runtime, network);
        let status = word(network, &errors);
        let reasons: Vec<String> = errors.iter().map(Error::to_string).collect();
        let reason = match network.version.has_gc_and_status() {
            true => reasons.join("; "),
            false => format!("cniVersion {} has no STATUS", network.version),
        };
        table.row([&network.name, status, &reason]);
        let errors: Vec<_> = errors
            .iter()
            .map(|e| json!({"code": e.code.number(), "msg": e.msg, "details": e.details}))
            .collect();
        failed |= !errors.is_empty();
        document.push(json!({"network": network.name, "status": status, "errors": errors}));
    }
    args.output.print(&table, &document.into())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All plugins are asked, though a runtime would stop at the first that is not ready.
fn errors(runtime: &Runtime, network: &NetworkList) -> Vec<Error> {
    plugin_by_plugin(network).filter_map(|alone| runtime.status(&alone).err()).collect()
}

/// The status in a word, of the worst error.
fn word(network: &NetworkList, errors: &[Error]) -> &'static str {
    let has = |code| errors.iter().any(|error| error.code == code);
    if errors.iter().any(|e| !matches!(e.code, Code::NotAvailable | Code::LimitedConnectivity)) {
        "failed"
    } else if has(Code::LimitedConnectivity) {
        "limited"
    } else if has(Code::NotAvailable) {
        "unavailable"
    } else if network.version.has_gc_and_status() {
        "ready"
    } else {
        "unknown"
    }
}
