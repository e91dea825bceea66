//! Hosts that are in several networks by one agent.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Lab, Member, NETD, Node, PATIENCE, PREFIX, Place as _, SUBNET_ENV, snapshot, wait_until,
};

use crate::operate::{as_before, netd, status};
use crate::packets::Traffic;
use crate::site::{Site, VXLAN, all_reach_all, run};

mod trouble;

const BLUE: &str = r#"{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","VNI":1}}"#;
const GREEN: &str = r#"{"Network":"10.2.0.0/16","Backend":{"Type":"vxlan","VNI":2}}"#;
const PLAIN: &str = r#"{"Network":"10.2.0.0/16","Backend":{"Type":"host-gw"}}"#;
const OPTIONS: [&str; 3] = ["-networks=blue,green", "-ip-masq", "--cni-conf-dir=/etc/cni/net.d"];

/// All that is made of both networks on a host.
const STATE: &str = "for kind in link neigh; do ip -d $kind show dev flannel.1; done
    ip -d link show type vxlan | sed 's/^[0-9]*: //'; ip neigh show nud permanent
    ip route show proto 78; nft list table inet netd_cluster; cat /run/flannel/networks/*.env";

/// Two hosts that are in networks blue and green, both ready.
fn two_hosts(lab: &Lab, green: &str) -> Result<Site> {
    let mut site = Site::without_nodes(lab)?;
    configure(&site, "blue", BLUE)?;
    configure(&site, "green", green)?;
    for name in ["host1", "host2"] {
        site.add(lab, name, &OPTIONS)?;
    }
    site.nodes.iter_mut().try_for_each(Node::wait_ready)?;
    Ok(site)
}

fn configure(site: &Site, network: &str, json: &str) -> Result<()> {
    site.etcd.ctl(&["put", &format!("{PREFIX}/{network}/config"), json]).map(drop)
}

/// A container in a network on each host, by the list that the agent has written.
fn members(site: &Site, network: &str) -> Result<Vec<Member>> {
    site.nodes.iter().map(|node| join(node, network)).collect()
}

fn join(node: &Node, network: &str) -> Result<Member> {
    let text = node.host.read(&format!("/etc/cni/net.d/10-netd-{network}.conflist"))?;
    node.add_by(network, serde_json::from_str(&text).context("read the conflist")?)
}

/// Waits until a restart of the first host could do without the store.
fn kept(site: &Site) -> Result<()> {
    let first = site.nodes.first().context("a host")?;
    let file = first.host.path("/var/lib/netd/netd.redb");
    for network in ["blue", "green"] {
        let leases = site.etcd.list(&format!("{PREFIX}/{network}/subnets/"))?;
        let subnets: Vec<&str> =
            leases.iter().filter_map(|(key, _)| key.rsplit('/').next()).collect();
        wait_until("the other host is on the disk", PATIENCE, || {
            let text = std::fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            subnets.iter().any(|key| text.contains(&format!("/{network}/peers/{key}")))
        })?;
    }
    Ok(())
}

fn said(node: &Node, path: &str) -> (u16, String) {
    node.health(path).unwrap_or_default()
}

fn pinging<'m>(of: &'m [Member]) -> Result<[Traffic; 2]> {
    let [one, other]: &'m [Member; 2] = of.try_into().context("two containers")?;
    Ok([Traffic::start(one, other)?, Traffic::start(other, one)?])
}

fn all_passed(traffic: impl IntoIterator<Item = [Traffic; 2]>) -> Result<()> {
    for one in traffic.into_iter().flatten() {
        writeln!(std::io::stderr(), "{:?}", one.end()?)?;
    }
    Ok(())
}

#[test]
fn containers_of_each_network_reach_each_other_and_an_agent_that_is_killed_takes_both_over()
-> Result<()> {
    run(|lab| {
        let mut site = two_hosts(lab, GREEN)?;
        let (blue, green) = (members(&site, "blue")?, members(&site, "green")?);
        all_reach_all(&blue)?;
        all_reach_all(&green)?;
        // flannel's keys and files, as they were.
        for (network, subnet) in [("blue", "10.1."), ("green", "10.2.")] {
            let prefix = format!("{PREFIX}/{network}/subnets/{subnet}");
            ensure!(site.etcd.list(&prefix)?.len() == 2, "{:?}", site.etcd.list(PREFIX)?);
            let env = site.nodes[0].host.read(&format!("/run/flannel/networks/{network}.env"))?;
            ensure!(env.contains(&format!("FLANNEL_SUBNET={subnet}")), "{env}");
        }
        let host = site.nodes[0].host.clone();
        ensure!(host.read(SUBNET_ENV).is_err(), "the only network's file");
        let before = host.sh(STATE)?.stdout;
        for part in ["flannel.1", "flannel.2", "here4-blue", "cluster4-green"] {
            ensure!(before.contains(part), "{part}: {before}");
        }
        let traffic = [pinging(&blue)?, pinging(&green)?];
        for _ in 0..3 {
            site.nodes[0].kill();
            site.nodes[0].resume()?;
            site.nodes[0].wait_ready()?;
        }
        // The same without the store.
        kept(&site)?;
        site.etcd.kill()?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let text = said(&site.nodes[0], "readyz").1;
        for away in ["; blue: the store is away", "; green: the store is away"] {
            ensure!(text.contains(away), "{text}");
        }
        all_passed(traffic)?;
        assert_eq!(host.sh(STATE)?.stdout, before, "all was taken over");
        let log = site.nodes[0].agent()?.log();
        ensure!(log.contains("network{name=green}: "), "{log}");
        ensure!(!log.contains("the kernel differed"), "{log}");
        Ok(())
    })
}

#[test]
fn status_metrics_and_plan_tell_of_each_network() -> Result<()> {
    run(|lab| {
        let site = two_hosts(lab, PLAIN)?;
        let node = &site.nodes[0];
        let told = status(&node.host)?;
        ensure!(told["ready"] == true && told["store"]["reachable"] == true, "{told}");
        let both = ["blue", "green"].map(|name| &told["networks"][name]);
        let kinds = both.map(|one| &one["backend"]["type"]);
        ensure!(kinds == ["vxlan", "host-gw"], "{told}");
        ensure!(both.iter().all(|one| one["ready"] == true && one["peers"]["total"] == 1));
        let table = netd(&node.host, &["status"])?;
        ensure!(table.code == 0 && table.stdout.contains("\nnetwork    green\n"), "{table:?}");
        let metrics = said(node, "metrics").1;
        for line in [
            "netd_ready{network=\"blue\"} 1",
            "netd_peers{network=\"green\"} 1",
            "netd_lease_state{network=\"green\",state=\"held\"} 1",
            "netd_store_reachable 1",
        ] {
            ensure!(metrics.lines().any(|there| there == line), "{line}: {metrics}");
        }
        ensure!(said(node, "readyz") == (200, "flanneld is ready".to_owned()));

        let clean = netd(&node.host, &["plan"])?;
        ensure!(clean.code == 0 && clean.stdout.is_empty(), "{clean:?}");
        node.host.sh("sysctl -qw net.ipv4.ip_forward=0")?;
        let off = netd(&node.host, &["plan"])?;
        ensure!(off.stdout.matches("ip_forward=1").count() == 1, "once for both: {off:?}");
        node.host.sh("sysctl -qw net.ipv4.ip_forward=1")?;

        // Administrators say which.
        let url = format!("-etcd-endpoints={}", site.etcd.url());
        let networks = ("NETD_NETWORKS", "blue,green");
        let ask = |words: &[&str]| {
            let command = node.host.command(&[NETD]).args(words).arg(&url);
            command.env(networks.0, networks.1).output()
        };
        let leases = ask(&["lease", "list", "--network=green"])?;
        let of_green = |text: &str| text.contains("10.2.") && !text.contains("10.1.");
        ensure!(leases.code == 0 && of_green(&leases.stdout), "{leases:?}");
        let which = ask(&["lease", "list"])?;
        ensure!(which.code == 2 && which.stderr.contains("blue, green"), "{which:?}");
        Ok(())
    })
}

#[test]
fn a_network_that_is_there_gets_a_second_one_beside_it_without_losing_a_packet() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let before = site.members()?;
        let key = site.nodes[0].key()?;
        configure(&site, "green", GREEN)?;
        let traffic = pinging(&before)?;
        let old = format!("-networks=old={PREFIX},green");
        let Site { nodes, etcd, .. } = &mut site;
        for node in nodes {
            node.kill();
            *node = Node::start(&node.host, etcd, &[&old, OPTIONS[1], OPTIONS[2]])?;
            node.wait_ready()?;
        }
        all_passed([traffic])?;
        let keys = site.etcd.list(&format!("{PREFIX}/subnets"))?;
        ensure!(keys.len() == 2 && keys.iter().any(|(there, _)| there.ends_with(&key)), "{keys:?}");
        all_reach_all(&members(&site, "green")?)?;
        before[0].wait_to_reach(before[1].ip, PATIENCE)
    })
}

#[test]
fn after_leave_nothing_of_any_network_is_left() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        configure(&site, "blue", BLUE)?;
        configure(&site, "green", PLAIN)?;
        let host = lab.host("host1")?;
        site.uplinks.push(site.internet.connect(lab, &host)?);
        snapshot::quiet(&host)?;
        host.sh("sysctl -qw net.ipv4.ip_forward=1; mkdir -p /etc/cni/net.d
             iptables-nft -P FORWARD DROP; iptables-nft -N CNI-FORWARD; iptables-nft -N CNI-ADMIN
             iptables-nft -A CNI-FORWARD -j CNI-ADMIN; iptables-nft -A FORWARD -j CNI-FORWARD")?;
        let before = snapshot::settled(&host)?;
        site.nodes.push(Node::start(&host, &site.etcd, &OPTIONS)?);
        site.add(lab, "host2", &OPTIONS)?;
        site.nodes.iter_mut().try_for_each(Node::wait_ready)?;
        let made = host.sh("nft list ruleset; ip route show proto 78; ip link")?.stdout;
        for part in ["cluster4-blue", "10.2.0.0/16", "via 192.0.2.", "flannel.1"] {
            ensure!(made.contains(part), "{part}: {made}");
        }
        site.nodes[0].kill();
        let endpoints = format!("-etcd-endpoints={}", site.etcd.url());
        let words = |command| [&[command, endpoints.as_str()][..], &OPTIONS].concat();
        let cleaned = netd(&host, &words("cleanup"))?;
        ensure!(cleaned.code == 0 && cleaned.stdout.contains("blue.env"), "{cleaned:?}");
        as_before(&host, &before)?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        site.nodes[0].kill();
        let left = netd(&host, &words("leave"))?;
        for lease in ["lease 10.1.", "lease 10.2."] {
            ensure!(left.code == 0 && left.stdout.contains(lease), "{left:?}");
        }
        as_before(&host, &before)?;
        ensure!(host.list("/var/lib/netd")? == ["lock", "networks.redb"], "nothing is remembered");
        let machine = host.read("/etc/machine-id")?;
        let keys = site.etcd.list("/")?;
        ensure!(keys.iter().all(|(key, _)| !key.contains(machine.trim())), "{keys:?}");
        let leases = |name: &str| site.etcd.list(&format!("{PREFIX}/{name}/subnets"));
        ensure!(leases("blue")?.len() == 1 && leases("green")?.len() == 1, "{keys:?}");
        let other = &site.nodes[1].host;
        wait_until("the other host has no route to it", PATIENCE, || {
            other.run(&["ip", "route", "show", "proto", "78"]).is_ok_and(|o| o.stdout.is_empty())
        })
    })
}
