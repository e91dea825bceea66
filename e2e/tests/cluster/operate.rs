//! What an operator asks the agent, and what it answers.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, NETD, Output, PATIENCE, Place as _, snapshot, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use crate::repair::STATE;
use crate::site::{DUAL, Site, VXLAN, run, says};

/// A lease that lives for so many seconds, so that an outage can outlast it.
const SHORT: &str = "-subnet-ttl=6";

pub(crate) fn netd(host: &Host, words: &[&str]) -> Result<Output> {
    host.command(&[NETD]).args(words).output()
}

pub(crate) fn status(host: &Host) -> Result<Value> {
    let output = netd(host, &["status", "--output", "json"])?;
    serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))
}

/// The value of a metric, with its labels.
fn metric(site: &Site, name: &str) -> Result<Option<f64>> {
    let (code, text) = site.nodes.first().context("a host")?.health("metrics")?;
    ensure!(code == 200, "{code}: {text}");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().context("a number")).transpose()
}

#[test]
fn status_and_metrics_tell_of_lease_store_kernel_and_peers() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.add(lab, "host1", &["-ip-masq"])?;
        let host = site.nodes[0].host.clone();
        site.nodes[0].agent()?.wait_for_log("there is no network configuration", PATIENCE)?;
        let early = netd(&host, &["status"])?;
        ensure!(early.code == 1 && early.stdout.contains("no: "), "{early:?}");
        let early = netd(&host, &["plan"])?;
        ensure!(early.code == 1 && early.stderr.contains("no network conf"), "{early:?}");
        ensure!(metric(&site, "netd_lease_state{state=\"none\"}")? == Some(1.0));

        site.etcd.configure(VXLAN)?;
        site.add(lab, "host2", &["-ip-masq"])?;
        site.nodes.iter_mut().try_for_each(e2e::Node::wait_ready)?;
        let foreign = r#"{"PublicIP":"192.0.2.77","BackendType":"udp","BackendData":null}"#;
        site.etcd.ctl(&["put", &format!("{}/subnets/10.5.77.0-24", e2e::PREFIX), foreign])?;
        wait_until("two peers, one not connected", PATIENCE, || {
            status(&host).is_ok_and(|status| {
                status["peers"]["total"] == 2 && status["peers"]["reasons"]["other-backend"] == 1
            })
        })?;
        let told = netd(&host, &["status"])?;
        let subnet = site.nodes[0].key()?.replace('-', "/");
        ensure!(told.code == 0, "{told:?}");
        for said in ["ready      yes\n", &subnet, "vxlan over eth0, 192.0.2.10, MTU 1450"] {
            ensure!(told.stdout.contains(said), "{said}: {told:?}");
        }
        let status = status(&host)?;
        ensure!(status["ready"] == true && status["lease"]["subnet"] == subnet, "{status}");
        for (name, wanted) in [
            ("netd_ready", 1.0),
            ("netd_lease_state{state=\"held\"}", 1.0),
            ("netd_lease_ttl_seconds", 86400.0),
            ("netd_store_reachable", 1.0),
            ("netd_reconcile_last_success", 1.0),
            ("netd_reconcile_steps_total{result=\"failed\"}", 0.0),
            ("netd_peers", 2.0),
            ("netd_peers_unconnected{reason=\"other-backend\"}", 1.0),
            ("netd_resyncs_total", 1.0),
        ] {
            let value = metric(&site, name)?;
            ensure!(value == Some(wanted), "{name}: {value:?}, not {wanted}");
        }
        ensure!(metric(&site, "netd_lease_since_keep_alive_seconds")?.is_some_and(|s| s < 60.0));

        // The kernel's events are counted, and what was put back.
        let count = |name| metric(&site, name).ok().flatten().unwrap_or_default();
        let (applied, events) =
            ("netd_reconcile_steps_total{result=\"applied\"}", "netd_kernel_events_total");
        let before = (count(applied), count(events));
        host.sh("ip route flush proto 78")?;
        wait_until("the route is back, and counted", PATIENCE, || {
            count(applied) > before.0 && count(events) > before.1
        })?;

        site.nodes[0].stop()?;
        let absent = netd(&host, &["status"])?;
        ensure!(absent.code == 1 && absent.stderr.contains("netd does not run"), "{absent:?}");
        Ok(())
    })
}

#[test]
fn the_age_of_a_lease_goes_on_over_a_restart_and_begins_anew_with_another() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &[])?;
        let age = |site: &Site| metric(site, "netd_lease_age_seconds")?.context("an age");
        let mut before = 0.0;
        wait_until("the lease is two seconds old", PATIENCE, || {
            before = age(&site).unwrap_or_default();
            before > 2.0
        })?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let after = age(&site)?;
        ensure!(after >= before, "{after} s, and {before} s before the restart");

        let key = format!("{}/subnets/{}", e2e::PREFIX, site.nodes[0].key()?);
        site.etcd.ctl(&["del", &key])?;
        wait_until("the lease that was taken again is a new one", PATIENCE, || {
            age(&site).is_ok_and(|age| age < after)
        })
    })
}

#[test]
fn an_outage_takes_readiness_away_once_the_lease_may_have_ended() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &[SHORT])?;
        site.etcd.signal(Signal::STOP)?;
        wait_until("the store is said not to answer", Duration::from_secs(60), || {
            metric(&site, "netd_store_reachable").is_ok_and(|value| value == Some(0.0))
        })?;
        wait_until("the lease is said to have lapsed", Duration::from_secs(60), || {
            says(&site.nodes[0], 503, "no sign of life")
        })?;
        let told = netd(&site.nodes[0].host, &["status"])?;
        ensure!(told.code == 1 && told.stdout.contains("does not answer"), "{told:?}");
        site.etcd.signal(Signal::CONT)?;
        site.nodes[0].wait_ready()?;
        ensure!(metric(&site, "netd_store_reachable")? == Some(1.0));
        Ok(())
    })
}

/// Of the device's VNI and port the kernel has one alone: as long as another device has them, netd cannot
/// make its own.
const TAKEN: &str =
    "ip link set flannel.1 down name taken; ip link set flannel-v6.1 down name taken6";

#[test]
fn what_plan_prints_makes_all_right_when_it_is_run() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, DUAL, 2, &["-ip-masq", "-iptables-resync=3600"])?;
        let members = site.members()?;
        let node = &mut site.nodes[0];
        let state = |host: &Host| anyhow::Ok(host.sh(&format!("{STATE}\nstate"))?.stdout);
        let before = state(&node.host)?;
        node.host.sh(TAKEN)?;
        let kinds = [
            "link add name flannel.1 ",
            "addr add",
            "link set",
            "neigh",
            "fdb",
            "route",
            "-6 route",
        ];
        let mut plan = String::new();
        wait_until("a plan of both devices and of what is on them", PATIENCE, || {
            plan = netd(&node.host, &["plan"]).map(|shown| shown.stdout).unwrap_or_default();
            plan.contains("name flannel-v6.1 ") && kinds.iter().all(|kind| plan.contains(kind))
        })
        .with_context(|| plan.clone())?;
        node.agent()?.signal(Signal::STOP)?;
        node.host.sh("ip link del taken; ip link del taken6")?;
        node.host.sh(&plan).with_context(|| plan.clone())?;
        let after = state(&node.host)?;
        ensure!(after == before, "{}\n{plan}", snapshot::differences(&before, &after));
        node.agent()?.signal(Signal::CONT)?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        wait_until("nothing differs", PATIENCE, || {
            netd(&site.nodes[0].host, &["plan"]).is_ok_and(|shown| shown.stdout.is_empty())
        })
    })
}

#[test]
fn plan_prints_what_would_be_done_and_does_nothing() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq", "-iptables-resync=3600"])?;
        let host = site.nodes[0].host.clone();
        let clean = netd(&host, &["plan"])?;
        ensure!(clean.code == 0 && clean.stdout.is_empty(), "{clean:?}");
        ensure!(clean.stderr.contains("nothing differs"), "{clean:?}");
        // A sysctl that somebody has turned off is told by no event.
        host.sh("sysctl -qw net.ipv4.ip_forward=0")?;
        let off = netd(&host, &["plan"])?;
        ensure!(off.code == 0 && off.stdout.ends_with("ip_forward=1\n"), "{off:?}");
        ensure!(off.stdout.lines().count() == 1, "{off:?}");
        let now = host.read("/proc/sys/net/ipv4/ip_forward")?;
        ensure!(now.trim() == "0", "nothing was changed");
        Ok(())
    })
}

#[test]
fn after_leave_the_host_is_as_it_was_and_its_lease_is_free() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        let host = lab.host("host1")?;
        site.uplinks.push(site.internet.connect(lab, &host)?);
        snapshot::quiet(&host)?;
        // What netd turns on and leaves on; a FORWARD that drops, as dockerd leaves it; a link and a
        // route of somebody else's.
        host.sh("sysctl -qw net.ipv4.ip_forward=1; mkdir -p /etc/cni/net.d
             iptables-nft -P FORWARD DROP; iptables-nft -N CNI-FORWARD; iptables-nft -N CNI-ADMIN
             iptables-nft -A CNI-FORWARD -j CNI-ADMIN; iptables-nft -A FORWARD -j CNI-FORWARD
             ip link add flannel.9 type vxlan id 9 dstport 8472 dev eth0
             ip route add 198.51.100.0/24 via 192.0.2.1")?;
        let before = snapshot::settled(&host)?;
        let conflist = "-cni-conf-dir=/etc/cni/net.d";
        let options = ["-ip-masq", "-ip-blackhole-route", conflist];
        site.nodes.push(e2e::Node::start(&host, &site.etcd, &options)?);
        site.add(lab, "host2", &[])?;
        site.nodes.iter_mut().try_for_each(e2e::Node::wait_ready)?;
        let rules = host.sh("nft list ruleset; ip route show proto 78")?.stdout;
        ensure!(rules.contains("netd_cluster") && rules.contains("10.5.0.0/16"), "{rules}");
        let key = format!("{}/subnets/{}", e2e::PREFIX, site.nodes[0].key()?);
        let endpoints = format!("-etcd-endpoints={}", site.etcd.url());
        let words = |command| vec![command, endpoints.as_str(), conflist];

        let refused = netd(&host, &words("leave"))?;
        ensure!(refused.code == 1 && refused.stderr.contains("another netd runs"), "{refused:?}");
        // Killed, so that the sign of life is still there.
        site.nodes[0].kill();
        let cleaned = netd(&host, &words("cleanup"))?;
        ensure!(cleaned.code == 0 && cleaned.stdout.contains("flannel.1"), "{cleaned:?}");
        ensure!(site.etcd.list("/")?.iter().any(|(there, _)| *there == key), "the lease stays");
        as_before(&host, &before)?;

        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        ensure!(key.ends_with(&site.nodes[0].key()?), "the subnet is the same");
        site.nodes[0].kill();
        let left = netd(&host, &words("leave"))?;
        ensure!(left.code == 0 && left.stdout.contains("lease 10.5."), "{left:?}");
        as_before(&host, &before)?;
        let machine = host.read("/etc/machine-id")?;
        let keys = site.etcd.list("/")?;
        let own = |there: &str| there == key || there.contains(machine.trim());
        ensure!(keys.iter().all(|(there, _)| !own(there)), "{keys:?}");
        ensure!(host.list("/var/lib/netd")? == ["lock", "networks.redb"], "nothing is remembered");
        // The other host has noticed.
        let other = &site.nodes[1].host;
        wait_until("the other host has no route to it", PATIENCE, || {
            other.run(&["ip", "route", "show", "proto", "78"]).is_ok_and(|o| o.stdout.is_empty())
        })?;

        let again = netd(&host, &words("leave"))?;
        ensure!(again.code == 0 && again.stdout.is_empty(), "{again:?}");
        as_before(&host, &before)
    })
}

#[test]
fn leave_without_a_store_takes_the_host_away_and_says_what_stays() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &["-ip-masq"])?;
        let host = site.nodes[0].host.clone();
        site.nodes[0].stop()?;
        let url = site.etcd.url().to_owned();
        let nobody = netd(&host, &["leave", "-etcd-endpoints=http://192.0.2.9:2379"])?;
        ensure!(nobody.code == 1 && nobody.stderr.contains("not removed: "), "{nobody:?}");
        ensure!(!host.interfaces()?.contains(&"flannel.1".to_owned()), "the device is gone");
        let left = netd(&host, &["leave", &format!("-etcd-endpoints={url}")])?;
        ensure!(left.code == 0 && left.stdout.contains("lease 10.5."), "{left:?}");
        ensure!(site.etcd.list(&format!("{}/subnets", e2e::PREFIX))?.is_empty());
        Ok(())
    })
}

pub(crate) fn as_before(host: &Host, before: &str) -> Result<()> {
    let after = snapshot::settled(host)?;
    let differences = snapshot::differences(before, &after);
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}
