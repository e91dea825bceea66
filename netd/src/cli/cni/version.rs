//! `netd cni version`: what the plugins of networks speak, as they say themselves.

use std::process::ExitCode;

use serde_json::json;

use super::{Dirs, networks, plugin_by_plugin};
use crate::cli::failure;
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

/// VERSION of every plugin. The exit status is 1 unless all answered.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = args.dirs.runtime()?;
    let (networks, unreadable) = networks(&runtime, args.network.as_deref())?;
    let mut table = Table::new(["NETWORK", "PLUGIN", "VERSIONS"]);
    let mut document = Vec::new();
    let mut failed = unreadable;
    for network in &networks {
        for alone in plugin_by_plugin(network) {
            match runtime.version(&alone) {
                Ok(answers) => {
                    for (plugin, versions) in answers {
                        table.row([&network.name, &plugin, &versions.join(" ")]);
                        document.push(json!({
                            "network": network.name, "plugin": plugin, "versions": versions,
                        }));
                    }
                }
                Err(error) => {
                    failure::tell(&error);
                    failed = true;
                }
            }
        }
    }
    args.output.print(&table, &document.into())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
