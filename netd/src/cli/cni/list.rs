//! `netd cni list`: the networks of the configuration directories.

use std::process::ExitCode;

use serde_json::json;

use super::{Dirs, networks};
use crate::cli::failure::BAD_CONFIG;
use crate::cli::output::{Output, Table};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    dirs: Dirs,
    #[command(flatten)]
    output: Output,
}

/// Lists networks; no plugin is called. The exit status is 64 where a file cannot be read.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (networks, unreadable) = networks(&args.dirs.runtime()?, None)?;
    let mut table = Table::new(["NETWORK", "CNIVERSION", "PLUGINS"]);
    let mut document = Vec::new();
    for network in &networks {
        let version = network.version.as_str();
        let plugins: Vec<&str> = network.plugins.iter().map(|p| p.plugin_type.as_str()).collect();
        table.row([&network.name, version, &plugins.join(" ")]);
        document.push(json!({
            "network": network.name, "cniVersion": version, "plugins": plugins,
            "disableCheck": network.disable_check, "disableGC": network.disable_gc,
        }));
    }
    args.output.print(&table, &document.into())?;
    Ok(ExitCode::from(if unreadable { BAD_CONFIG } else { 0 }))
}
