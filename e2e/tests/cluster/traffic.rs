//! The rules of traffic, held to what packets meet: flannel's six of `FLANNEL-POSTRTG`, its two of
//! `FLANNEL-FWD`, and the blackhole route. What stays in the cluster, and multicast, are in `reach`.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Capture, Host, Internet, Member, Node, PATIENCE, Place as _, Proto, Uplink, probe, wait_until,
};
use serde_json::json;

use crate::site::{Site, VXLAN, all_reach_all, run};

const WORLD: (IpAddr, u16) = (Internet::V4, Internet::PORT);

/// The world knows the way to a host's containers, so that it can answer those whose source is kept.
fn know_way(site: &Site, at: usize) -> Result<()> {
    let (node, uplink) = pair(site, at)?;
    let subnet = node.key()?.replace('-', "/");
    let via = uplink.v4.to_string();
    site.internet.host.run(&["ip", "route", "replace", &subnet, "via", &via]).map(drop)
}

fn pair(site: &Site, at: usize) -> Result<(&Node, &Uplink)> {
    site.nodes.get(at).zip(site.uplinks.get(at)).context("a host")
}

/// As whom the world sees a container, by TCP and UDP alike.
fn seen_as(member: &Member) -> Result<IpAddr> {
    let [tcp, udp] = [Proto::Tcp, Proto::Udp].map(|p| probe::ask(&member.container, p, WORLD));
    let (tcp, udp) = (tcp?.source.ip(), udp?.source.ip());
    ensure!(tcp == udp, "{tcp} by TCP, {udp} by UDP");
    Ok(tcp)
}

/// A container whose bridge translates nothing, so that only the agent's rules do.
fn plain(node: &Node) -> Result<Member> {
    let delegate = json!({ "isDefaultGateway": true, "ipMasq": false });
    let plugin = json!({ "type": "overlay", "delegate": delegate });
    node.add_by("plain", json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [plugin] }))
}

fn tables(host: &Host) -> Result<String> {
    Ok(host.run(&["nft", "list", "tables"])?.stdout)
}

#[test]
fn nothing_is_masqueraded_unless_it_is_asked_for() -> Result<()> {
    for (options, masqueraded) in [(&[][..], false), (&["-ip-masq"][..], true)] {
        run(|lab| {
            let site = Site::new(lab, VXLAN, 1, options)?;
            know_way(&site, 0)?;
            let (node, uplink) = pair(&site, 0)?;
            let member = plain(node)?;
            let expected = if masqueraded { uplink.v4 } else { member.ip };
            assert_eq!(seen_as(&member)?, expected, "{options:?}");
            assert_eq!(tables(&node.host)?.contains("netd_cluster"), masqueraded);
            assert_eq!(node.env("FLANNEL_IPMASQ")?, masqueraded.to_string());
            Ok(())
        })?;
    }
    Ok(())
}

/// Rule 1: kube-proxy translates what bears its mark, among other marks or alone, and nobody else.
#[test]
fn flows_that_bear_kube_proxys_mark_are_left_to_it() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &["-ip-masq"])?;
        know_way(&site, 0)?;
        let member = plain(&site.nodes[0])?;
        let (node, uplink) = pair(&site, 0)?;
        node.host.sh("nft add table ip marks
             nft 'add chain ip marks early { type filter hook prerouting priority mangle; }'")?;
        let rows = [
            ("0x4000", true),
            ("0x4001", true),
            ("0xffffffff", true),
            ("0x8000", false),
            ("0x1", false),
        ];
        for (mark, kept) in rows {
            let rule = format!(
                "flush chain ip marks early; add rule ip marks early ip saddr {} meta mark set {mark}",
                member.ip
            );
            node.host.run(&["nft", &rule])?;
            let expected = if kept { member.ip } else { uplink.v4 };
            assert_eq!(seen_as(&member)?, expected, "{mark}");
        }
        Ok(())
    })
}

/// Rules 4 and 6: who comes from outside by this host is seen as who it is by containers here, and
/// as this host by those of others, so that their answers come back this way.
#[test]
fn who_comes_from_outside_is_translated_only_on_the_way_to_another_hosts_containers() -> Result<()>
{
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        know_way(&site, 0)?;
        let world = &site.internet.host;
        let via = site.uplinks[0].v4.to_string();
        let far = site.nodes[1].key()?.replace('-', "/");
        world.run(&["ip", "route", "replace", &far, "via", &via])?;
        let (gateway, _) = site.nodes[0].subnet()?;
        let base = IpAddr::from(std::net::Ipv4Addr::from(u32::from(gateway) - 1));
        let router: IpAddr = [192, 0, 2, 1].into();
        for (member, expected) in members.iter().zip([router, base]) {
            let _server = probe::serve(&member.container, 80, &[])?;
            for proto in [Proto::Tcp, Proto::Udp] {
                let seen = probe::ask(world, proto, (member.ip, 80))?;
                assert_eq!(seen.source.ip(), expected, "{proto:?} to {}", member.ip);
            }
        }
        Ok(())
    })
}

/// Both ways: containers that ask are seen as who they are, and so is who asks them, also by another
/// host's containers, which answer without a detour.
#[test]
fn between_the_cluster_and_networks_that_are_left_out_nothing_is_translated() -> Result<()> {
    run(|lab| {
        let out = "--ip-masq-exclude=203.0.113.0/24";
        let nodes = "--ip-masq-exclude=192.0.2.0/24";
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq", out, nodes])?;
        for at in [0, 1] {
            know_way(&site, at)?;
        }
        let members = [plain(&site.nodes[0])?, plain(&site.nodes[1])?];
        for member in &members {
            assert_eq!(seen_as(member)?, member.ip);
        }
        all_reach_all(&members)?;
        let world = &site.internet.host;
        let (via, far) = (site.uplinks[0].v4.to_string(), site.nodes[1].key()?.replace('-', "/"));
        world.run(&["ip", "route", "replace", &far, "via", &via])?;
        let _server = probe::serve(&members[1].container, 80, &[])?;
        for proto in [Proto::Tcp, Proto::Udp] {
            let seen = probe::ask(world, proto, (members[1].ip, 80))?;
            assert_eq!(seen.source.ip(), IpAddr::from([192, 0, 2, 1]), "{proto:?}");
        }
        // Whoever removes the rules finds them put back.
        let host = &site.nodes[0].host;
        host.run(&["nft", "flush", "chain", "inet", "netd_cluster", "postrouting"])?;
        wait_until("the rules are back", PATIENCE, || {
            let shown = host.run(&["nft", "list", "table", "inet", "netd_cluster"]);
            shown.is_ok_and(|shown| shown.stdout.matches("@apart4").count() == 2)
        })?;
        assert_eq!(seen_as(&members[0])?, members[0].ip);
        Ok(())
    })
}

#[test]
fn what_is_not_left_out_is_masqueraded_as_ever() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &["-ip-masq", "--ip-masq-exclude=198.51.100.0/24"])?;
        let member = plain(&site.nodes[0])?;
        assert_eq!(seen_as(&member)?, site.uplinks[0].v4);
        Ok(())
    })
}

/// As dockerd leaves it, which may start at any time. No other table can overrule that drop.
#[test]
fn containers_are_let_through_where_iptables_drops_what_nobody_accepts() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        site.add(lab, "closed", &["-ip-masq", "-iptables-forward-rules=false"])?;
        site.nodes[2].wait_ready()?;
        let mut members = site.members()?;
        all_reach_all(&members)?;
        for drop in ["iptables -P FORWARD DROP", "iptables -F FORWARD", "iptables -F CNI-FORWARD"] {
            for node in &site.nodes {
                node.host.sh(&format!("{drop} 2>/dev/null || true"))?;
            }
            // Long before the next look at everything.
            members[0].wait_to_reach(members[1].ip, Duration::from_secs(5))?;
            ensure!(!probe::pings(&members[2].container, members[0].ip)?, "FORWARD drops");
        }
        let closed = members.pop().context("a container of the closed host")?;
        all_reach_all(&members)?;
        assert_eq!(seen_as(&members[0])?, site.uplinks[0].v4);
        let rules = site.nodes[0].host.run(&["iptables", "-S"])?.stdout;
        ensure!(rules.contains("-P FORWARD DROP"), "{rules}");
        for end in ["-s 10.5.0.0/16", "-d 10.5.0.0/16"] {
            let accepts = |line: &&str| line.contains(end) && line.ends_with("-j ACCEPT");
            assert_eq!(rules.lines().filter(accepts).count(), 1, "{end}: {rules}");
        }
        closed.del()
    })
}

#[test]
fn what_is_for_nobody_on_a_hosts_subnet_ends_there_with_a_blackhole_route() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq", "-ip-blackhole-route"])?;
        let host = &site.nodes[0].host;
        let (gateway, length) = site.nodes[0].subnet()?;
        let nobody: IpAddr = std::net::Ipv4Addr::from(u32::from(gateway) + 76).into();
        let subnet = format!("{}/{length}", std::net::Ipv4Addr::from(u32::from(gateway) - 1));
        ends_here(host, nobody)?;
        // A bridge that is there has its own route, which wins.
        let members = site.members()?;
        all_reach_all(&members)?;
        members[0].del()?;
        host.run(&["ip", "link", "del", "cni0"])?;
        ends_here(host, nobody)?;
        // It is the route that does it.
        let shown = host.run(&["ip", "route", "show", "type", "blackhole"])?.stdout;
        ensure!(shown.contains(&subnet), "{shown}");
        site.nodes[0].stop()?;
        let host = &site.nodes[0].host;
        host.run(&["ip", "route", "flush", "type", "blackhole"])?;
        let capture = Capture::start(host, "eth0", "icmp")?;
        ensure!(!probe::pings(host, nobody)?, "somebody is at {nobody}");
        capture.stop_when("the ping", |all| all.iter().any(|p| p.destination_is(nobody)))?;
        site.nodes[0].resume()?;
        site.nodes[0].agent()?.wait_for_log("ready", PATIENCE)
    })
}

/// Nothing for an address leaves the host; a ping to elsewhere after it does.
fn ends_here(host: &Host, nobody: IpAddr) -> Result<()> {
    let capture = Capture::start(host, "eth0", "icmp")?;
    ensure!(!probe::pings(host, nobody)?, "somebody is at {nobody}");
    probe::ping(host, Internet::V4)?;
    let packets = capture.stop_when("the ping", |all| {
        all.iter().any(|packet| packet.destination_is(Internet::V4))
    })?;
    ensure!(!packets.iter().any(|packet| packet.destination_is(nobody)), "{packets:?}");
    Ok(())
}
