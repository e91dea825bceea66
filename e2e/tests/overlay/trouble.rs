//! What is told of overlays that are not as they should be, and of a host that etcd does not confirm: by `netd
//! status`, `/readyz` and `/metrics`, until it is over.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::attach;
use e2e::guest::Guest;
use e2e::{NETD, Node, PATIENCE, Place as _, probe, wait_until};
use serde_json::{Value, json};

use crate::guest::{below, netns};
use crate::site::{Site, run, run_with, serves};

/// A network for the host's own lease, with which it is ready.
const CONFIGURATION: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;

/// What is told: `status`, `readyz` and `metrics`.
fn told(node: &Node) -> Result<[String; 3]> {
    let status = node.host.command(&[NETD, "status"]).output()?;
    let (code, ready) = node.health("readyz")?;
    ensure!(code == 200 && status.code == 0, "not ready: {ready}; {}", status.stdout);
    Ok([status.stdout, ready, node.health("metrics")?.1])
}

/// Waits until all three say something, or do not.
fn wait_told(node: &Node, text: &str, metric: &str, is_told: bool) -> Result<()> {
    let what = format!("{text:?} is told: {is_told}");
    let is_so = |told: [String; 3]| {
        let [status, ready, metrics] = told;
        let has_text = [status.contains(text), ready.contains(text)] == [is_told; 2];
        has_text && metrics.lines().any(|line| line == metric)
    };
    wait_until(&what, PATIENCE, || told(node).is_ok_and(is_so))
        .with_context(|| format!("{:?}", told(node)))
}

/// What `status` says for programs.
fn of_cluster(site: &Site) -> Result<Value> {
    let status = site.host(0)?.command(&[NETD, "status", "--output", "json"]).output()?;
    let status: Value = serde_json::from_str(&status.stdout)?;
    Ok(status["clusterNetworks"].clone())
}

#[test]
fn a_program_that_has_the_port_of_overlays_is_told_until_it_is_gone() -> Result<()> {
    run(1, |site| {
        site.etcd.configure(CONFIGURATION)?;
        site.nodes[0].wait_ready()?;
        assert_eq!(of_cluster(site)?, Value::Null, "no network is shared");
        for name in ["ov", "next"] {
            site.done(0, &["create", "-d", "overlay", name])?;
        }
        let host = site.nodes[0].host.clone();
        let guest = Guest::new(&host, "one", "ov", &json!({}))?;
        let netns = netns(site, "ov")?;
        site.nodes[0].kill();
        below(&host, &netns, &["ip", "link", "del", "vxlan0"])?;
        let listen = "import socket, signal; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 4789)); print('bound', flush=True); signal.pause()";
        let mut other = host.spawn("other", &["python3", "-c", listen])?;
        other.wait_for_log("bound", PATIENCE)?;
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        site.nodes[0].wait_ready()?;
        let text = "another program has UDP port 4789, which overlays need (ss -lnup sport = :4789 names it)";
        wait_told(&site.nodes[0], text, "netd_cluster_networks_troubled 1", true)?;
        let overlays = of_cluster(site)?["overlays"].clone();
        let first = overlays[0].as_str().unwrap_or_default();
        ensure!(first.starts_with("overlay ov: ") && first.contains("vxlan0"), "{overlays}");
        // A network whose first container comes now: refused with the same words, and nothing is left.
        let refused = host.add_container("two")?;
        let why = attach(&refused, "next", &json!({})).expect_err("no tunnel end").to_string();
        ensure!(why.contains(text) && why.contains("next"), "{why}");
        assert_eq!(host.list("/run/netd/netns")?.len(), 1);
        assert_eq!(of_cluster(site)?["overlays"].as_array().map(Vec::len), Some(1));

        drop(other);
        wait_told(&site.nodes[0], text, "netd_cluster_networks_troubled 0", false)?;
        attach(&refused, "next", &json!({}))?;
        let same = Guest::new(&host, "three", "ov", &json!({}))?;
        probe::ping(&guest.container, same.ip)?;
        Ok(())
    })
}

#[test]
fn a_host_that_etcd_does_not_confirm_says_so_gives_out_no_address_and_is_well_again_with_it()
-> Result<()> {
    // New addresses are given out for half of that, and it is confirmed every third.
    run_with(1, &["-subnet-ttl=12"], |site| {
        site.etcd.configure(CONFIGURATION)?;
        site.nodes[0].wait_ready()?;
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        let _guest = Guest::new(site.host(0)?, "one", "ov", &json!({}))?;
        let status = site.host(0)?.command(&[NETD, "status"]).output()?.stdout;
        ensure!(status.contains("member     networks of the cluster: 1, confirmed"), "{status}");
        assert_eq!(of_cluster(site)?["troubles"], json!([]));

        site.etcd.kill()?;
        let silent = "for the hosts that share networks this one is down, or will be in 30 s";
        let unconfirmed = "no container gets a new address of a network of the cluster";
        let says = |site: &Site, text: &str| {
            site.host(0)
                .and_then(|host| host.command(&[NETD, "status"]).output())
                .is_ok_and(|status| status.stdout.contains(text))
        };
        for text in [silent, unconfirmed] {
            wait_until(text, Duration::from_secs(30), || says(site, text))?;
        }
        let metrics = site.nodes[0].health("metrics")?.1;
        for metric in ["netd_cluster_networks_live 0", "netd_cluster_networks_allocates 0"] {
            ensure!(metrics.lines().any(|line| line == metric), "{metric}: {metrics}");
        }
        let late = site.host(0)?.add_container("late")?;
        let why = attach(&late, "ov", &json!({})).expect_err("no address").to_string();
        ensure!(why.contains("etcd has not confirmed lately"), "{why}");

        // An agent that starts now knows what it knew.
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        let remembered = "what is known of networks of the cluster is of before this start";
        wait_until(remembered, PATIENCE, || says(site, remembered))?;
        assert_eq!(of_cluster(site)?["remembered"], json!(true));
        site.etcd.resume()?;
        wait_until("nothing is wrong", PATIENCE * 2, || {
            of_cluster(site).is_ok_and(|it| it["troubles"] == json!([]))
        })?;
        let well = of_cluster(site)?;
        assert_eq!((&well["live"], &well["allocates"]), (&json!(true), &json!(true)));
        attach(&late, "ov", &json!({})).map(drop)
    })
}
