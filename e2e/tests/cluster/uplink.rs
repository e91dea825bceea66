//! The interface between hosts changes while the agent runs: its address, its MTU.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::probe::{Pinged, Pinging};
use e2e::{Node, PATIENCE, PREFIX, Place as _, wait_until};

use crate::lost;
use crate::outage::Withdrawn;
use crate::packets::{BEAT, Traffic};
use crate::site::{DUAL, HOST_GW, Site, VXLAN, run, says, v6};

/// The most pings that may be lost while an address is taken away before there is another: 200 a
/// second are sent.
const LOST: usize = 60;

/// What leads from a host to others.
const LEADS: &str = "ip route show proto 78; ip neigh show nud permanent dev flannel.1
    bridge fdb show dev flannel.1";

/// What its lease says.
fn published(site: &Site, node: &Node) -> Result<String> {
    let key = format!("{PREFIX}/subnets/{}", node.key()?);
    let entries = site.etcd.list(&key)?;
    Ok(entries.into_iter().next().context("a lease")?.1)
}

/// Waits until its lease and its device say so, and the peer's forwarding entry.
fn wait_moved(site: &Site, to: &str) -> Result<()> {
    let [moved, peer] = site.nodes.as_slice() else { anyhow::bail!("two hosts") };
    let mac = moved.mac("flannel.1")?;
    wait_until(&format!("all says {to}"), PATIENCE, || {
        let shows = |node: &Node, words: &[&str], text: &str| {
            node.host.run(words).is_ok_and(|shown| shown.stdout.contains(text))
        };
        let live = site.etcd.list("/netd/v1/hosts/").unwrap_or_default();
        let alive = format!("\"publicIP\":\"{to}\"");
        live.iter().any(|(_, value)| value.contains(&alive))
            && published(site, moved)
                .is_ok_and(|value| value.contains(&format!("\"PublicIP\":\"{to}\"")))
            && shows(moved, &["ip", "-d", "link", "show", "flannel.1"], &format!("local {to} "))
            && shows(
                peer,
                &["bridge", "fdb", "show", "dev", "flannel.1"],
                &format!("{mac} dst {to} "),
            )
    })
}

/// The number of the device: another one if it was made anew.
fn index(node: &Node) -> Result<String> {
    node.host.read("/sys/class/net/flannel.1/ifindex")
}

#[test]
fn an_address_that_changes_while_the_old_one_is_there_costs_no_packet() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let host = &site.nodes[0].host;
        let (key, device) = (site.nodes[0].key()?, index(&site.nodes[0])?);
        let leads = || anyhow::Ok(host.sh(LEADS)?.stdout);
        let (held, withdrawn) = (leads()?, Withdrawn::watch(host)?);
        let (there, back) =
            (Traffic::start(&members[0], &members[1])?, Traffic::start(&members[1], &members[0])?);
        host.sh("sysctl -qw net.ipv4.conf.all.promote_secondaries=1")?;
        let begin = Instant::now();
        // As systemd-networkd and NetworkManager do it: the old one is not for anything new.
        host.sh("ip addr add 192.0.2.110/24 dev eth0
            ip addr change 192.0.2.10/24 dev eth0 preferred_lft 0")?;
        wait_moved(&site, "192.0.2.110")?;
        let took = begin.elapsed();
        host.sh("ip addr del 192.0.2.10/24 dev eth0")?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        let passed = [there.end()?, back.end()?];
        ensure!(key == site.nodes[0].key()? && device == index(&site.nodes[0])?);
        assert_eq!(leads()?, held, "what leads to others is as it was");
        withdrawn.nothing()?;
        writeln!(std::io::stderr(), "another address, {} ms: {passed:?}", took.as_millis())?;
        Ok(())
    })
}

#[test]
fn an_ipv6_address_that_changes_is_published_and_costs_no_packet() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, DUAL, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let [one, other] = members.as_slice() else { anyhow::bail!("two containers") };
        one.wait_to_reach(v6(other)?, PATIENCE)?;
        let host = &site.nodes[0].host;
        let device = || host.read("/sys/class/net/flannel-v6.1/ifindex");
        let before = (lost::key(&site.nodes[0])?, device()?);
        let pings = [(one, other), (other, one)]
            .map(|(from, to)| Pinging::start(&from.container, v6(to)?, BEAT, 20))
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        host.sh("ip addr add 2001:db8:1::110/64 dev eth0 nodad
            ip addr change 2001:db8:1::a/64 dev eth0 preferred_lft 0")?;
        wait_until("the lease and the peer say so", PATIENCE, || {
            let peer = site.nodes[1].host.run(&["bridge", "fdb", "show", "dev", "flannel-v6.1"]);
            let lease = site.etcd.list(&lost::key(&site.nodes[0]).unwrap_or_default());
            peer.is_ok_and(|shown| shown.stdout.contains(" dst 2001:db8:1::110 "))
                && lease.is_ok_and(|all| all.iter().any(|(_, value)| value.contains(":1::110\"")))
        })?;
        host.sh("ip addr del 2001:db8:1::a/64 dev eth0")?;
        one.wait_to_reach(v6(other)?, PATIENCE)?;
        for ping in pings {
            let Pinged { answered, lost, log } = ping.end()?;
            writeln!(std::io::stderr(), "another IPv6 address: {lost:?} of {answered} pings lost")?;
            ensure!(lost.is_empty(), "{log}");
        }
        ensure!(before == (lost::key(&site.nodes[0])?, device()?));
        Ok(())
    })
}

#[test]
fn by_host_gw_the_peers_routes_follow_without_losing_a_packet() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, HOST_GW, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        site.nodes[0].host.sh("ip addr add 192.0.2.110/24 dev eth0
            ip addr change 192.0.2.10/24 dev eth0 preferred_lft 0")?;
        wait_until("the peer's route", PATIENCE, || {
            let shown = site.nodes[1].host.run(&["ip", "route", "show", "proto", "78"]);
            shown.is_ok_and(|shown| shown.stdout.contains("via 192.0.2.110 dev eth0"))
        })?;
        let passed = [there.end()?, back.end()?];
        writeln!(std::io::stderr(), "host-gw: {passed:?}")?;
        Ok(())
    })
}

#[test]
fn an_address_that_is_replaced_is_published_and_the_peers_follow() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let host = site.nodes[0].host.clone();
        let (key, device) = (site.nodes[0].key()?, index(&site.nodes[0])?);
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        let begin = Instant::now();
        host.sh("ip addr del 192.0.2.10/24 dev eth0; ip addr add 192.0.2.110/24 dev eth0
            ip route add default via 192.0.2.1")?;
        wait_moved(&site, "192.0.2.110")?;
        let took = begin.elapsed();
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        let passed = [there.count()?, back.count()?];
        writeln!(std::io::stderr(), "address replaced, {} ms: {passed:?}", took.as_millis())?;
        ensure!(passed.iter().all(|passed| passed.lost.len() < LOST), "{passed:?}");
        ensure!(key == site.nodes[0].key()? && device == index(&site.nodes[0])?);
        // Without an address it says so.
        host.sh("ip addr del 192.0.2.110/24 dev eth0")?;
        wait_until("not ready for want of an address", PATIENCE, || {
            says(&site.nodes[0], 503, "default route")
        })?;
        host.sh("ip addr add 192.0.2.111/24 dev eth0; ip route add default via 192.0.2.1")?;
        wait_moved(&site, "192.0.2.111")?;
        site.nodes[0].wait_ready()?;
        let status = host.command(&[e2e::NETD, "status"]).output()?;
        ensure!(status.stdout.contains("vxlan over eth0, 192.0.2.111"), "{status:?}");
        Ok(())
    })
}

#[test]
fn a_public_address_that_was_given_stays_and_the_source_follows() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &["-public-ip=203.0.113.77", "-iface=eth0"])?;
        let node = &site.nodes[0];
        let before = published(&site, node)?;
        ensure!(before.contains("203.0.113.77"), "{before}");
        node.host.sh("ip addr add 192.0.2.110/24 dev eth0
            ip addr change 192.0.2.10/24 dev eth0 preferred_lft 0")?;
        wait_until("the source of outer packets", PATIENCE, || {
            let shown = node.host.run(&["ip", "-d", "link", "show", "flannel.1"]);
            shown.is_ok_and(|shown| shown.stdout.contains("local 192.0.2.110 "))
        })?;
        assert_eq!(published(&site, node)?, before);
        Ok(())
    })
}

#[test]
fn the_mtu_of_the_interface_is_followed_by_device_and_subnet_env() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let node = &site.nodes[0];
        let traffic = Traffic::start(&members[0], &members[1])?;
        let device = index(node)?;
        for (mtu, inner) in [(1400, 1350), (1500, 1450)] {
            let begin = Instant::now();
            node.host.run(&["ip", "link", "set", "eth0", "mtu", &mtu.to_string()])?;
            wait_until(&format!("an MTU of {inner}"), PATIENCE, || {
                let shown = node.host.read("/sys/class/net/flannel.1/mtu");
                let env = node.env("FLANNEL_MTU");
                shown.is_ok_and(|shown| shown.trim() == inner.to_string())
                    && env.is_ok_and(|env| env == inner.to_string())
            })?;
            writeln!(std::io::stderr(), "MTU {mtu}: {} ms", begin.elapsed().as_millis())?;
        }
        let passed = traffic.end()?;
        writeln!(std::io::stderr(), "{passed:?}")?;
        ensure!(device == index(node)?);
        Ok(())
    })
}
