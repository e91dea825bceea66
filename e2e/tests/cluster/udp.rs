//! flannel's first backend: packets in datagrams, carried by the agent itself.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::probe::{Pinged, Pinging};
use e2e::{NETD, PATIENCE, Place as _, wait_until};

use crate::packets::Traffic;
use crate::site::{Site, all_reach_all, run, says, wire_of_ping};

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
fn another_address_mtu_and_network_are_followed_without_losing_a_packet() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, NO_BACKEND, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let node = &site.nodes[0];
        let shows =
            |what: &str, script: &str| wait_until(what, PATIENCE, || node.host.sh(script).is_ok());
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        node.host.sh("sysctl -qw net.ipv4.conf.all.promote_secondaries=1
            ip addr add 192.0.2.110/24 dev eth0
            ip addr change 192.0.2.10/24 dev eth0 preferred_lft 0")?;
        shows("the port at the new address", "ss -Huln | grep -q '192.0.2.110:8285 '")?;
        let key = format!("{}/subnets/{}", e2e::PREFIX, node.key()?);
        wait_until("the new address in the lease", PATIENCE, || {
            let lease = site.etcd.list(&key).unwrap_or_default();
            lease.iter().any(|(_, value)| value.contains(r#""PublicIP":"192.0.2.110""#))
        })?;
        // The peer sends to it by now.
        wire_of_ping(node, "udp dst port 8285", (&members[1], &members[0]), |packet| {
            packet.destination == "192.0.2.110.8285"
        })?;
        node.host.run(&["ip", "link", "set", "eth0", "mtu", "1400"])?;
        shows("another MTU", "ip link show flannel0 | grep -q 'mtu 1372 '")?;
        shows("another MTU for containers", "grep -q FLANNEL_MTU=1372 /run/flannel/subnet.env")?;
        site.etcd.configure(r#"{"Network":"10.4.0.0/15","SubnetLen":24}"#)?;
        shows("a wider network", "grep -q NETWORK=10.4.0.0/15 /run/flannel/subnet.env")?;
        let passed = [there.end()?, back.end()?];
        writeln!(std::io::stderr(), "udp, followed: {passed:?}")?;

        node.host.sh("ip addr del 192.0.2.10/24 dev eth0")?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        // Back where it was, whose socket may still be there.
        node.host.sh("ip addr add 192.0.2.10/24 dev eth0; ip addr del 192.0.2.110/24 dev eth0
            ip route replace default via 192.0.2.1")?;
        shows("the port at the old address", "ss -Huln | grep -q '192.0.2.10:8285 '")?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        let other_port =
            r#"{"Network":"10.4.0.0/15","SubnetLen":24,"Backend":{"Type":"udp","Port":9}}"#;
        site.etcd.configure(other_port)?;
        wait_until("another port is refused", PATIENCE, || says(node, 200, "Backend.Port is 9"))
    })
}

#[test]
fn the_gap_of_an_agent_that_is_killed_is_short() -> Result<()> {
    run(|lab| {
        let mut site =
            Site::new(lab, r#"{"Network":"10.5.0.0/16","Backend":{"Type":"udp"}}"#, 2, &[])?;
        let members = site.members()?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        let host = site.nodes[0].host.clone();
        let state = || host.sh("ip -o addr show flannel0; ip route show proto 78");
        let before = state()?.stdout;
        let pinging = Pinging::start(&members[1].container, members[0].ip, BEAT, 20)?;
        for _ in 0..KILLS {
            site.nodes[0].kill();
            site.nodes[0].resume()?;
            site.nodes[0].wait_ready()?;
            members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        }
        let Pinged { answered, lost, log } = pinging.end()?;
        let gap = BEAT * u32::try_from(lost.len())? / KILLS;
        writeln!(
            std::io::stderr(),
            "backend udp: nothing got through for {} ms of each of {KILLS} kills ({} of {} pings)",
            gap.as_millis(),
            lost.len(),
            lost.len() + answered
        )?;
        ensure!(gap < GAP, "{log}");
        assert_eq!(state()?.stdout, before, "the device and its routes are the same");
        Ok(())
    })
}
