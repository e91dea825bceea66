//! `netd lease`: the leases of the cluster for people and scripts.

mod acquire;
mod list;
mod release;
mod reserve;
mod show;

use std::process::ExitCode;

use super::{options, runtime};
use crate::config::options::StoreFlags;
use crate::lease::{Host, InvalidKey, Lease, Leases, Owner, SubnetKey};

/// Subcommands of `netd lease`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the subnets of all hosts
    List(list::Args),
    /// Print all that is known of one lease
    Show(show::Args),
    /// Delete a lease whose host is gone, so that others can have its subnet
    Release(release::Args),
    /// Make a lease last for ever: for the host that has it, or for one that is to come
    Reserve(reserve::Args),
    /// Lease a subnet for this host, and print it; it ends when nobody keeps it
    Acquire(acquire::Args),
}

/// Runs a subcommand.
///
/// # Errors
/// What the user is to be told; [`super::failure::report`] knows the exit status.
pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => runtime::block_on(list::run(args)),
        Command::Show(args) => runtime::block_on(show::run(args)),
        Command::Release(args) => runtime::block_on(release::run(args)),
        Command::Reserve(args) => runtime::block_on(reserve::run(args)),
        Command::Acquire(args) => runtime::block_on(acquire::run(args)),
    }
}

/// The cluster's leases, as seen by an administrator, who is no host of it.
fn cluster(flags: &StoreFlags) -> anyhow::Result<Leases> {
    let nobody = Host { machine_id: String::new(), boot_id: String::new(), name: String::new() };
    let store = options::of_store(flags)?;
    Ok(Leases::new(store.open()?, store.keyspace()?, nobody))
}

/// A subnet as people write it, `10.5.52.0/24`, or as the key has it.
fn subnet(text: &str) -> Result<SubnetKey, String> {
    text.replace('/', "-").parse().map_err(|error: InvalidKey| {
        format!("{error}: write it as in 10.5.52.0/24 or 10.5.52.0/24&fd00:5:0:52::/64")
    })
}

/// A subnet as people read it.
fn shown(subnet: &SubnetKey) -> String {
    let networks: Vec<String> = subnet.networks().map(|network| network.to_string()).collect();
    networks.join("&")
}

/// A lease as a JSON document.
fn document(lease: &Lease, owner: Option<&Owner>) -> serde_json::Value {
    let mut document = serde_json::json!({
        "key": lease.entry.key,
        "subnet": lease.subnet.v4.to_string(),
        "ipv6Subnet": lease.subnet.v6.map(|v6| v6.to_string()),
        "lease": lease.entry.session.map(|session| session.to_string()),
        "reserved": lease.entry.session.is_none(),
        "createRevision": lease.entry.create_revision,
        "modRevision": lease.entry.mod_revision,
        "owner": owner.map(|owner| serde_json::json!({
            "machineId": owner.machine_id, "host": owner.host, "alive": owner.alive,
        })),
    });
    let rest = match &lease.value {
        Ok(value) => serde_json::json!({
            "publicIP": value.public_ip,
            "publicIPv6": value.public_ipv6,
            "backendType": value.backend_type,
            "backendData": value.backend_data,
            "backendV6Data": value.backend_v6_data,
        }),
        Err(error) => serde_json::json!({ "malformed": error.to_string() }),
    };
    if let (Some(document), serde_json::Value::Object(rest)) = (document.as_object_mut(), rest) {
        document.extend(rest);
    }
    document
}
