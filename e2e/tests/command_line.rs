//! `netd cni` with this project's plugins on one host: what a person at a shell does.

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, Lab, Place as _, PluginSet, bins};
use serde_json::{Value, json};

/// A directory that each host has for itself; `/usr` is the machine's.
const NETD: &str = "/opt/netd";

/// A host with the plugins, `netd` and the network `net`.
fn host(lab: &Lab) -> Result<Host> {
    let host = lab.host("host")?;
    PluginSet::Ours.install(&host)?;
    host.copy_program(&bins::program("netd")?, NETD)?;
    let conflist = json!({"cniVersion": "1.1.0", "name": "net", "plugins": [
        {"type": "bridge", "isGateway": true, "ipMasq": true,
         "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "firewall"},
    ]});
    host.write_file("/etc/cni/net.d/10-net.conflist", conflist.to_string())?;
    Ok(host)
}

/// Runs `netd cni` and gives its stdout.
fn netd(host: &Host, words: &str) -> Result<String> {
    let words: Vec<&str> = [NETD, "cni"].into_iter().chain(words.split(' ')).collect();
    Ok(host.run(&words)?.stdout)
}

const PORTS: &str =
    r#"--capability-args {"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}"#;

#[test]
fn an_attachment_is_made_checked_and_taken_away() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let container = host.add_container("c1")?;
        let before = host.run(&["ip", "-o", "link"])?.stdout.lines().count();
        ensure!(netd(&host, "status")?.contains("net      ready"), "ready before");
        let result: Value = serde_json::from_str(&netd(&host, &format!("add net c1 {PORTS}"))?)?;
        let address = result.pointer("/ips/0/address").and_then(Value::as_str);
        let address = address.context("an address in the result")?;
        let shown = container.run(&["ip", "-o", "addr", "show", "eth0"])?.stdout;
        ensure!(shown.contains(address), "{address} is not in {shown}");
        netd(&host, "check net c1")?;
        netd(&host, "del net c1")?;
        netd(&host, "del net c1")?;
        ensure!(container.run(&["ip", "link", "show", "eth0"]).is_err(), "eth0 is still there");
        let after = host.run(&["ip", "-o", "link"])?.stdout.lines().count();
        ensure!(after == before + 1, "only the bridge stays");
        ensure!(host.list("/var/lib/cni/results")?.is_empty());
        Ok(())
    })
}

#[test]
fn repair_restores_what_nft_flush_ruleset_took() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        host.add_container("c1")?;
        netd(&host, &format!("add net c1 {PORTS}"))?;
        let ruleset = || Ok::<_, anyhow::Error>(host.run(&["nft", "list", "ruleset"])?.stdout);
        let before = ruleset()?;
        host.run(&["nft", "flush", "ruleset"])?;
        ensure!(host.run(&[NETD, "cni", "check", "net", "c1"]).is_err(), "CHECK misses nothing");
        let commands = netd(&host, "repair")?;
        ensure!(commands.starts_with("nft add table inet netd"), "{commands}");
        ensure!(ruleset()? == before, "{before}\n{}", ruleset()?);
        netd(&host, "check net c1")?;
        ensure!(netd(&host, "repair")?.is_empty(), "repaired twice");
        Ok(())
    })
}

#[test]
fn gc_stale_frees_what_a_vanished_container_held() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        for name in ["gone", "stays"] {
            host.run(&["ip", "netns", "add", name])?;
            netd(&host, &format!("add net {name} --container-id {name}"))?;
        }
        // Another runtime, with a cache of its own and a plugin that keeps no records.
        let foreign = "/var/lib/cni/networks/net/10.1.0.77";
        host.write_file(foreign, "foreign\r\neth0")?;
        host.run(&["ip", "netns", "del", "gone"])?;
        let listed = netd(&host, "gc --stale --dry-run --output json")?;
        let removed = netd(&host, "gc --stale --output json")?;
        let removed: Value = serde_json::from_str(&removed)?;
        let listed: Value = serde_json::from_str(&listed)?;
        ensure!(listed.get("stale") == removed.get("removed"), "{listed} {removed}");
        let id = removed.pointer("/removed/0/containerID").and_then(Value::as_str);
        ensure!(id == Some("gone"), "{removed}");
        ensure!(host.list("/run/netd/attachments/net")? == ["stays"]);
        let reserved = host.list("/var/lib/cni/networks/net")?;
        ensure!(!reserved.contains(&"10.1.0.2".to_owned()), "{reserved:?}");
        for kept in ["10.1.0.3", "10.1.0.77"] {
            ensure!(reserved.contains(&kept.to_owned()), "{kept} is not in {reserved:?}");
        }
        netd(&host, "check net stays --container-id stays")?;
        Ok(())
    })
}

#[test]
fn gc_stale_after_a_reboot_needs_only_the_cache() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        host.run(&["ip", "netns", "add", "c1"])?;
        netd(&host, &format!("add net c1 {PORTS}"))?;
        // What a reboot leaves: the disk.
        host.sh("ip netns del c1; ip link del cni0; nft flush ruleset; rm -r /run/netd")?;
        netd(&host, "gc --stale")?;
        ensure!(host.list("/var/lib/cni/results")?.is_empty());
        let reserved = host.list("/var/lib/cni/networks/net")?;
        ensure!(!reserved.iter().any(|name| name.starts_with("10.")), "{reserved:?}");
        Ok(())
    })
}
