//! What implementations of CNI easily miss: what runtimes do beside the specification's text, and
//! what other programs do to a host. docs/development/easily-missed.md says for each item which
//! tests show it; here are those that belong to no other topic, and the test of that page.

mod attachments;
mod host;
mod page;
mod runtime;

use anyhow::{Result, ensure};
use e2e::{Chain, Cni, Host, Lab, Place as _, PluginSet, bins};
use serde_json::{Value, json};

/// `netd`, in a directory that each host has for itself.
const NETD: &str = "/opt/netd";

/// A host with the plugins and `netd`.
fn host(lab: &Lab) -> Result<Host> {
    let host = lab.host("host")?;
    PluginSet::Ours.install(&host)?;
    host.copy_program(&bins::program("netd")?, NETD)?;
    Ok(host)
}

/// The network `name` on a bridge of that name, with one port published where `port` is not 0.
fn network(name: &str, number: u8, port: u16) -> Chain {
    let conflist = json!({ "cniVersion": "1.1.0", "name": name, "plugins": [
        { "type": "bridge", "bridge": name, "isDefaultGateway": true, "ipMasq": true,
          "ipam": { "type": "host-local", "subnet": format!("10.{number}.0.0/24") } },
        { "type": "portmap", "capabilities": { "portMappings": true } },
        { "type": "firewall", "ingressPolicy": "same-bridge" },
    ]});
    let ports = match port {
        0 => json!([]),
        _ => json!([{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }]),
    };
    Chain::new(conflist).with_args(json!({ "portMappings": ports }))
}

/// Calls every plugin of a chain, last first, with `keys` in its configuration, and no prevResult.
fn call_all(chain: &Chain, cni: &Cni, verb: &str, keys: &Value) -> Result<()> {
    for mut conf in chain.plugins()?.into_iter().rev() {
        let plugin = conf.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        conf.extend(keys.as_object().cloned().unwrap_or_default());
        cni.call(verb, &plugin, &Value::Object(conf))?.result()?;
    }
    Ok(())
}

/// Demands that nothing of any container is on the host: no link but these, element, reservation,
/// record, or file in the making.
fn nothing_is_left(host: &Host, links: &[&str]) -> Result<()> {
    let there = host.interfaces()?;
    ensure!(there == links, "links: {there:?}");
    let ruleset = host.run(&["nft", "list", "ruleset"])?.stdout;
    ensure!(!ruleset.contains("eth") && !ruleset.contains("10."), "elements: {ruleset}");
    let left = host.sh(
        "! [ -e /var/lib/cni/networks ] || find /var/lib/cni/networks -type f ! -name lock ! -name 'last_reserved_ip.*' ! -name .netd-index
         ! [ -e /run/netd ] || find /run/netd -path '*attachments*' -type f ! -name '*lock*'",
    )?;
    ensure!(left.stdout.is_empty(), "files: {}", left.stdout);
    Ok(())
}
