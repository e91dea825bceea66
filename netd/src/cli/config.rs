//! `netd config`: the cluster's network configuration, which flannel reads too.

mod differences;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use cni::json;

use super::output::{self, Output, Table};
use super::{options, runtime};
use crate::backend::{Backend, InvalidBackend};
use crate::config::network::NetworkConfig;
use crate::config::options::StoreFlags;
use crate::lease::ConfigError;
use crate::store::Txn;

/// Subcommands of `netd config`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print the configuration with all its defaults
    Show(ShowArgs),
    /// Check a configuration, say what it changes, and write it; one that is wrong changes nothing
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Print what is stored, to the byte
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    store: StoreFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// The configuration: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "CONFIG")]
    network: String,
    /// Check and compare, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreFlags,
}

/// Runs a subcommand.
///
/// # Errors
/// What the user is to be told; [`super::failure::report`] knows the exit status.
pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show(args) => runtime::block_on(show(args)),
        Command::Set(args) => runtime::block_on(set(args)),
    }
}

async fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let options = options::of_store(&args.store)?;
    let (store, key) = (options.open()?, options.keyspace()?.config());
    let entry = store.get(&key).await.map_err(ConfigError::Store)?;
    let entry = entry.ok_or_else(|| ConfigError::Absent { key: key.clone() })?;
    if args.raw {
        output::print(&format!("{}\n", String::from_utf8_lossy(&entry.value)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = NetworkConfig::parse(&entry.value)
        .map_err(|source| ConfigError::Invalid { key, source })?;
    let mut table = Table::new(["KEY", "VALUE"]);
    let mut document = serde_json::Map::new();
    for (name, value) in config.effective() {
        table.row([name, &text(&value)]);
        document.insert(name.to_owned(), serde_json::to_value(&value)?);
    }
    args.output.print(&table, &serde_json::Value::Object(document))?;
    Ok(ExitCode::SUCCESS)
}

async fn set(args: &SetArgs) -> anyhow::Result<ExitCode> {
    let bytes = read(&args.network)?;
    let new = NetworkConfig::parse(&bytes)?;
    check(&new)?;
    let options = options::of_store(&args.store)?;
    let (store, keys) = (options.open()?, options.keyspace()?);
    let key = keys.config();
    let before = store.get(&key).await.map_err(ConfigError::Store)?;
    let old = before.as_ref().map(|entry| NetworkConfig::parse(&entry.value));
    for line in differences::lines(old.as_ref(), &new) {
        output::note(&line);
    }
    let leases = store.list(&keys.subnets()).await?;
    for line in differences::unfit(&keys, leases.entries, &new) {
        output::note(&line);
    }
    if args.dry_run || before.as_ref().is_some_and(|entry| entry.value == bytes) {
        return Ok(ExitCode::SUCCESS);
    }
    let txn = match &before {
        Some(entry) => Txn::new().if_unchanged(&key, entry.mod_revision),
        None => Txn::new().if_absent(&key),
    };
    let outcome = store.txn(txn.put(&key, bytes, None)).await?;
    anyhow::ensure!(
        outcome.committed,
        "{key} was changed by somebody else meanwhile: look again, and try again"
    );
    Ok(ExitCode::SUCCESS)
}

/// Keys of a backend that netd has are right, or nothing is written; other types are others' business.
fn check(config: &NetworkConfig) -> Result<(), InvalidBackend> {
    match Backend::of(config) {
        Ok(_) | Err(InvalidBackend::Kind(_)) => Ok(()),
        Err(wrong) => Err(wrong),
    }
}

/// The argument itself, the file it names, or standard input.
fn read(config: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if config == "-" {
        std::io::stdin().read_to_end(&mut bytes).context("read standard input")?;
    } else if let Some(path) = config.strip_prefix('@').map(PathBuf::from) {
        bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    } else {
        bytes.extend_from_slice(config.as_bytes());
    }
    while bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.pop();
    }
    Ok(bytes)
}

/// A value as people read it.
fn text(value: &json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_of_a_backend_is_refused_and_a_type_of_others_is_theirs() {
        let checked = |backend: &str| {
            let text = format!(r#"{{"Network":"10.5.0.0/16","Backend":{backend}}}"#);
            check(&NetworkConfig::parse(text.as_bytes()).unwrap()).map_err(|e| e.to_string())
        };
        for fine in [
            r#"{"Type":"ipip","DirectRouting":true,"Unknown":1}"#,
            r#"{"Type":"wireguard","Mode":"auto"}"#,
            r#"{"Type":"extension","SubnetAddCommand":"for a shell; maybe"}"#,
            r#"{"Type":"ipsec","PSK":1}"#,
        ] {
            assert_eq!(checked(fine), Ok(()));
        }
        let refused = checked(r#"{"Type":"vxlan","VNI":10000000}"#).unwrap_err();
        assert!(refused.contains("use up to 9999999"), "{refused}");
        let refused = checked(r#"{"Type":"wireguard","Mode":"both"}"#).unwrap_err();
        assert!(refused.contains("use separate, auto, ipv4 or ipv6"), "{refused}");
    }
}
