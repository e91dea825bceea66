//! `netd cni gc`: by a list of what is valid, or by what is left of namespaces that are gone.
//!
//! Without a list nobody can know what is valid, so there is no default: an empty list, which is
//! what cnitool passes, takes the network from every container that runs.

use std::process::ExitCode;

use attach::Store;
use clap::error::ErrorKind;
use cni::{Attachment, Error, skel};
use serde_json::{Value, json};

use super::{Dirs, network};
use crate::cli::failure;
use crate::cli::output::{self, Output, Table};
use crate::stale::{Known, Outcome, Sweep};

/// Said where it is not clear what is valid.
const SAY_WHAT_IS_VALID: &str = "say what may stay: name every valid attachment of NETWORK with \
    --valid CONTAINER/IFNAME (all others are removed), or say --none-valid, or use --stale to \
    remove only attachments whose namespace is gone";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The network's name [--stale: default: all]
    network: Option<String>,
    /// An attachment that stays; may be repeated. All others of the network are removed
    #[arg(long, value_name = "CONTAINER/IFNAME", value_parser = attachment)]
    #[arg(conflicts_with_all = ["none_valid", "stale"])]
    valid: Vec<Attachment>,
    /// Remove every attachment of the network
    #[arg(long, conflicts_with = "stale")]
    none_valid: bool,
    /// Remove the attachments whose network namespace is gone
    #[arg(long)]
    stale: bool,
    /// Only print what --stale would remove
    #[arg(long, requires = "stale", conflicts_with_all = ["valid", "none_valid"])]
    dry_run: bool,
    #[command(flatten)]
    dirs: Dirs,
    #[command(flatten)]
    output: Output,
}

/// GC, or DEL of what is stale.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.stale {
        return stale(args);
    }
    let listed = args.none_valid || !args.valid.is_empty();
    let (Some(name), true) = (&args.network, listed) else {
        let kind = ErrorKind::MissingRequiredArgument;
        return Err(clap::Error::raw(kind, SAY_WHAT_IS_VALID).into());
    };
    let runtime = args.dirs.runtime()?;
    let network = network(&runtime, name)?;
    if network.disable_gc {
        output::note(&format!("network {name:?} has disableGC: nothing was done"));
        return Ok(ExitCode::SUCCESS);
    }
    runtime.gc(&network, &args.valid)?;
    Ok(ExitCode::SUCCESS)
}

fn stale(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = args.dirs.runtime()?;
    let store = Store::open()?;
    let sweep = Sweep { runtime: &runtime, records: &store, dry_run: args.dry_run };
    let mut table = Table::new(["NETWORK", "CONTAINER", "INTERFACE", "NETNS", "KNOWN BY"]);
    let mut document = Vec::new();
    let mut failed = false;
    let report = |outcome: Outcome<'_>| match outcome {
        Outcome::Removed(known) => {
            let key = &known.key;
            let netns = known.netns().map(|path| path.display().to_string()).unwrap_or_default();
            let by = known_by(known);
            table.row([&key.network, &key.container_id, &key.ifname, &netns, &by.join(" ")]);
            document.push(json!({
                "network": key.network, "containerID": key.container_id, "ifname": key.ifname,
                "netns": netns, "knownBy": by,
            }));
        }
        Outcome::Kept(note) => output::note(&note),
        Outcome::Failed(error) => {
            failure::tell(&error);
            failed = true;
        }
    };
    sweep.run(args.network.as_deref(), report)?;
    let removed = document.len();
    let key = if args.dry_run { "stale" } else { "removed" };
    args.output.print(&table, &json!({ key: Value::Array(document) }))?;
    if removed == 0 && !failed {
        output::note("nothing is stale");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn known_by(known: &Known) -> Vec<&'static str> {
    let by = [(known.cached.is_some(), "cache"), (!known.records.is_empty(), "record")];
    by.into_iter().filter(|(is, _)| *is).map(|(_, by)| by).collect()
}

fn attachment(text: &str) -> Result<Attachment, Error> {
    let (container_id, ifname) = text
        .split_once('/')
        .ok_or_else(|| Error::environment("expected CONTAINER/IFNAME, as in 4f2a/eth0"))?;
    skel::validate_container_id(container_id)?;
    skel::validate_ifname(ifname)?;
    Ok(Attachment { container_id: container_id.to_owned(), ifname: ifname.to_owned() })
}
