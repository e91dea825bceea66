//! What an operator asks the agent, and what it answers.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, NETD, Output, PATIENCE, Place as _, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use crate::site::{Site, VXLAN, run};

/// A lease that lives for so many seconds, so that an outage can outlast it.
const SHORT: &str = "-subnet-ttl=6";

fn netd(host: &Host, words: &[&str]) -> Result<Output> {
    host.command(&[NETD]).args(words).output()
}

fn status(host: &Host) -> Result<Value> {
    let output = netd(host, &["status", "--output", "json"])?;
    serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))
}

/// The value of a metric, with its labels.
fn metric(site: &Site, name: &str) -> Result<Option<f64>> {
    let (code, text) = site.nodes[0].health("metrics")?;
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
fn an_outage_takes_readiness_away_once_the_lease_may_have_ended() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &[SHORT])?;
        site.etcd.signal(Signal::STOP)?;
        wait_until("the store is said not to answer", Duration::from_secs(60), || {
            metric(&site, "netd_store_reachable").is_ok_and(|value| value == Some(0.0))
        })?;
        wait_until("the lease is said to have lapsed", Duration::from_secs(60), || {
            let answer = site.nodes[0].health("readyz");
            answer.is_ok_and(|(code, text)| code == 503 && text.contains("no sign of life"))
        })?;
        let told = netd(&site.nodes[0].host, &["status"])?;
        ensure!(told.code == 1 && told.stdout.contains("does not answer"), "{told:?}");
        site.etcd.signal(Signal::CONT)?;
        site.nodes[0].wait_ready()?;
        ensure!(metric(&site, "netd_store_reachable")? == Some(1.0));
        Ok(())
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
