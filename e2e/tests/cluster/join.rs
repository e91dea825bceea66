//! How soon a new host is one of the cluster.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use e2e::{Member, PATIENCE, PREFIX, Place as _, Process, SUBNET_ENV, wait_until};

use crate::site::{Site, VXLAN, run};

/// The longest time from a host's lease to the answers of all pings, in seconds.
const SOON: f64 = 1.0;

/// Hosts that are there already.
const OLD: usize = 2;

/// Prints each change of a lease with the time at which etcd's watcher told of it.
fn watch(site: &Site) -> Result<Process> {
    let script = format!(
        "ETCDCTL_API=3 etcdctl --endpoints {} watch --prefix {PREFIX}/ |
         while read -r line; do echo \"$EPOCHREALTIME $line\"; done",
        site.etcd.url()
    );
    let watcher = site.internet.host.spawn("watch", &["bash", "-c", &script])?;
    // Which says nothing before there is something to say.
    let probe = format!("{PREFIX}/probe");
    wait_until("the watcher watches", PATIENCE, || {
        site.etcd.ctl(&["put", &probe, "x"]).is_ok() && watcher.log().contains("probe")
    })?;
    site.etcd.ctl(&["del", &probe])?;
    Ok(watcher)
}

/// Pings until there is an answer, and prints when that was. A ping every 10 ms.
fn ping(from: &Member, to: &Member) -> Result<Process> {
    let script = format!(
        "busybox ping -i 0.01 -c 2000 {} | while read -r line; do
            case $line in *seq=*) echo \"$EPOCHREALTIME answered\"; break;; esac
         done",
        to.ip
    );
    let name = format!("ping-{}-{}", from.container.name().replace('/', "-"), to.ip);
    from.container.spawn(&name, &["bash", "-c", &script])
}

/// The time in front of the first line of a log that says so.
fn time(log: &str, said: &str) -> Result<f64> {
    let line = log.lines().find(|line| line.contains(said)).with_context(|| said.to_owned())?;
    let time = line.split(' ').next().unwrap_or_default();
    time.parse().with_context(|| format!("a time in {line:?}"))
}

#[test]
fn a_new_hosts_containers_reach_all_others_and_are_reached_within_a_second_of_its_lease()
-> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, OLD, &["-ip-masq"])?;
        let old = site.members()?;
        let watcher = watch(&site)?;
        site.add(lab, "new", &["-ip-masq"])?;
        let host = site.nodes[OLD].host.clone();
        let container = host.add_container("web")?;
        // As a runtime does that tries again: nothing of the subnet is known before.
        wait_until("the subnet", PATIENCE, || host.path(SUBNET_ENV).exists())?;
        let new = Member::of(container)?;
        let attached = time(&host.sh("echo \"$EPOCHREALTIME attached\"")?.stdout, "attached")?;
        let mut pings = Vec::new();
        for other in &old {
            pings.push(ping(&new, other)?);
            pings.push(ping(other, &new)?);
        }
        let mut last: f64 = 0.0;
        for ping in &mut pings {
            ping.wait_for_log("answered", PATIENCE)?;
            last = last.max(time(&ping.log(), "answered")?);
        }
        let leased = time(&watcher.log(), &site.uplinks[OLD].v4.to_string())?;
        writeln!(
            std::io::stderr(),
            "from the lease's key in etcd: {:.0} ms until a container is attached, {:.0} ms until \
             all {} pings are answered",
            (attached - leased) * 1e3,
            (last - leased) * 1e3,
            pings.len()
        )?;
        ensure!((0.0..=SOON).contains(&(last - leased)), "{leased}, {last}");
        Ok(())
    })
}
