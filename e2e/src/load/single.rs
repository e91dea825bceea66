//! Plugins called by themselves: what starting one costs, and ADD and DEL of the simple ones.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::child::{self, Cost};
use super::namespaces;

/// The container of these calls; its number is one that no attachment of a chain has.
const CONTAINER: u32 = 9_998;

/// Where host-local keeps the reservations of network `NAME`.
const RESERVATIONS: &str = "/var/lib/cni/networks";

/// ADD and DEL (of `version`: VERSION only) by one plugin of `dir`: `version`, `loopback`,
/// `macvlan`, or `host-local-COUNT` in a directory of COUNT reservations of others.
///
/// # Errors
///
/// When a plugin fails, or `what` is none of these.
pub fn round(dir: &str, what: &str) -> Result<(Cost, Option<Cost>)> {
    namespaces::make(CONTAINER)?;
    let plugin = |name: &str, conf: Value| -> Result<(Cost, Option<Cost>)> {
        let add = call(dir, name, "ADD", &conf)?;
        Ok((add, Some(call(dir, name, "DEL", &conf)?)))
    };
    let version = "1.0.0";
    match what {
        "version" => Ok((call(dir, "bridge", "VERSION", &json!({"cniVersion": version}))?, None)),
        "loopback" => {
            plugin(what, json!({"cniVersion": version, "name": "lo", "type": "loopback"}))
        }
        "macvlan" => {
            make_parent()?;
            plugin(
                what,
                json!({"cniVersion": version, "name": "mv", "type": what, "master": "parent0",
                    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/16"}]]}}),
            )
        }
        _ => {
            let count = what.strip_prefix("host-local-").context("a plugin to call")?;
            let name = format!("reserved{count}");
            reserve(&name, count.parse()?)?;
            plugin(
                "host-local",
                json!({"cniVersion": version, "name": name, "type": "bridge",
                    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.90.0.0/16"}]]}}),
            )
        }
    }
}

fn call(dir: &str, plugin: &str, verb: &str, conf: &Value) -> Result<Cost> {
    let mut command = Command::new(format!("{dir}/{plugin}"));
    command.env_clear().env("CNI_COMMAND", verb).env("CNI_PATH", dir);
    command.env("CNI_CONTAINERID", namespaces::id(CONTAINER)).env("CNI_IFNAME", "eth1");
    let netns = namespaces::path(CONTAINER);
    if plugin == "loopback" {
        command.env("CNI_IFNAME", "lo");
    }
    command.env("CNI_NETNS", netns);
    Ok(child::run(&mut command, conf.to_string().as_bytes())?.cost)
}

fn make_parent() -> Result<()> {
    if Path::new("/sys/class/net/parent0").exists() {
        return Ok(());
    }
    let script = "ip link add parent0 type veth peer name parent1; ip link set parent1 up; ip link set parent0 up";
    let status = Command::new("sh").args(["-ec", script]).status().context("run ip")?;
    if !status.success() {
        bail!("make the parent link: {status}");
    }
    Ok(())
}

/// Writes reservations as the reference plugin keeps them: a file for each address.
fn reserve(network: &str, count: u32) -> Result<()> {
    let dir = Path::new(RESERVATIONS).join(network);
    if dir.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir)?;
    let mut last = String::new();
    for number in 0..count {
        let [_, _, high, low] = (number + 2).to_be_bytes();
        last = format!("10.90.{high}.{low}");
        std::fs::write(dir.join(&last), format!("other{number}\r\neth0"))?;
    }
    std::fs::write(dir.join("last_reserved_ip.0"), last).context("write the marker")
}
