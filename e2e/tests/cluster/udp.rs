//! flannel's first backend: packets in datagrams, carried by the agent itself.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{NETD, PATIENCE, Place as _};
use rustix::process::Signal;

use crate::site::{Site, all_reach_all, run, wire_of_ping};

/// Without a backend: flannel's code says udp, whatever its documentation says.
const NO_BACKEND: &str = r#"{"Network":"10.5.0.0/16"}"#;

/// Between two pings.
const BEAT: Duration = Duration::from_millis(10);
/// How often the agent is killed.
const KILLS: u32 = 10;
/// How long nothing may get through, on average, when the agent is killed and started again.
const GAP: Duration = Duration::from_secs(1);

#[test]
fn a_network_without_a_backend_is_connected_by_datagrams_of_bare_packets() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, NO_BACKEND, 3, &["-ip-masq"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[2].ip, PATIENCE)?;
        all_reach_all(&members)?;
        ensure!(site.nodes[0].env("FLANNEL_MTU")? == "1472");
        // The datagram is an IPv4 packet of ICMP and nothing else, one hop from its sender.
        let bare = "udp dst port 8285 and udp[8] = 0x45 and udp[17] = 1";
        wire_of_ping(&site.nodes[0], bare, (&members[0], &members[1]), |_| true)?;

        let host = &site.nodes[0].host;
        host.sh("ip link del flannel0")?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        host.sh("ip route flush proto 78")?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;

        site.nodes[0].stop()?;
        let host = &site.nodes[0].host;
        host.sh("ip addr show flannel0 | grep -q /32")?;
        host.run(&[NETD, "cleanup"])?;
        host.sh("! ip link show flannel0")?;
        Ok(())
    })
}

#[test]
fn the_gap_of_an_agent_that_is_killed_is_short() -> Result<()> {
    run(|lab| {
        let mut site =
            Site::new(lab, r#"{"Network":"10.5.0.0/16","Backend":{"Type":"udp"}}"#, 2, &[])?;
        let members = site.members()?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        let to = members[0].ip.to_string();
        let ping = ["busybox", "ping", "-i", "0.01", "-W", "1", &to];
        let mut pings = members[1].container.spawn("ping", &ping)?;
        pings.wait_for_log(" seq=20 ", PATIENCE)?;
        for _ in 0..KILLS {
            site.nodes[0].kill();
            site.nodes[0].resume()?;
            site.nodes[0].wait_ready()?;
            members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        }
        pings.signal(Signal::INT)?;
        pings.wait(PATIENCE)?;
        let log = pings.log();
        let numbers = log.lines().find(|line| line.contains("packets transmitted"));
        let mut numbers = numbers.context("ping's summary")?.split(' ');
        let sent: u32 = numbers.next().context("a number")?.parse()?;
        let received: u32 = numbers.nth(2).context("a number")?.parse()?;
        let gap = BEAT * sent.saturating_sub(received) / KILLS;
        writeln!(
            std::io::stderr(),
            "backend udp: nothing got through for {} ms of each of {KILLS} kills ({received} of {sent} pings)",
            gap.as_millis()
        )?;
        ensure!(gap < GAP, "{log}");
        Ok(())
    })
}
