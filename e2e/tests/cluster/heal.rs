//! What breaks and heals.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, Place as _, probe, wait_until};
use rustix::process::Signal;

use crate::outage::STATE;
use crate::site::{Site, VXLAN, all_reach_all, run};

#[test]
fn a_device_that_somebody_deletes_is_back_with_all_peers() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 3, &["-ip-masq"])?;
        let members = site.members()?;
        let mac = site.nodes[0].mac("flannel.1")?;
        site.nodes[0].host.sh("ip link del flannel.1")?;
        for other in members.iter().skip(1) {
            other.wait_to_reach(members[0].ip, PATIENCE)?;
        }
        assert_eq!(site.nodes[0].mac("flannel.1")?, mac, "peers need not learn anything");
        all_reach_all(&members)
    })
}

#[test]
fn rules_are_back_within_100_ms_of_a_flush() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &["-ip-masq"])?;
        let host = &site.nodes[0].host;
        // Measured where it happens: the loop ends when the table is there again.
        let script = "nft flush ruleset; start=$(date +%s%N); \
             until nft list table inet netd_cluster >/dev/null 2>&1; do :; done; \
             echo $((($(date +%s%N) - start) / 1000000))";
        let ms: u64 = host.sh(script)?.stdout.trim().parse()?;
        ensure!(ms <= 100, "{ms} ms");
        Ok(())
    })
}

/// More routes than news of which a socket holds, there and gone; and what leads to others goes among them.
const FLOOD: &str = "seq 0 65535 | awk '{ printf \"route add blackhole 198.18.%d.%d\\n\", $1 / 256, $1 % 256 }' >/run/flood
    ip -batch /run/flood; ip route flush proto 78
    ip route flush type blackhole";

#[test]
fn news_of_the_kernel_that_are_lost_in_a_flood_are_made_up_for() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq", "-iptables-resync=3600"])?;
        let members = site.members()?;
        let node = &mut site.nodes[0];
        let before = node.host.sh(STATE)?.stdout;
        node.agent()?.signal(Signal::STOP)?;
        node.host.sh(FLOOD)?;
        ensure!(node.host.sh(STATE)?.stdout != before, "nothing leads to the other host");
        node.agent()?.signal(Signal::CONT)?;
        wait_until("all as before", PATIENCE, || {
            node.host.sh(STATE).is_ok_and(|now| now.stdout == before)
        })?;
        let metrics = node.health("metrics")?.1;
        let lost = |line: &str| line.strip_prefix("netd_kernel_event_losses_total ")?.parse().ok();
        ensure!(metrics.lines().find_map(lost) > Some(0), "{metrics}");
        members[0].wait_to_reach(members[1].ip, PATIENCE)
    })
}

#[test]
fn a_cable_that_is_pulled_and_put_back_needs_nobodys_help() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let switch = &site.internet.host;
        switch.sh("ip link set uplink0 down")?;
        ensure!(!probe::pings(&members[1].container, members[0].ip)?, "the cable is pulled");
        switch.sh("ip link set uplink0 up")?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)
    })
}

#[test]
fn an_outage_of_the_store_disturbs_no_container_and_is_made_up_for() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        site.etcd.signal(Signal::STOP)?;
        all_reach_all(&members)?;
        site.nodes[0].stop()?;
        all_reach_all(&members)?;
        site.etcd.signal(Signal::CONT)?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        site.etcd.crash_and_restart()?;
        // A host that comes after it is found by those that were there before.
        site.add(lab, "late", &["-ip-masq"])?;
        site.nodes[2].wait_ready()?;
        let late = site.nodes[2].add("web")?;
        members[0].wait_to_reach(late.ip, PATIENCE)
    })
}
