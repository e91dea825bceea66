//! Containers on overlays, as who uses them sees it.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::{Guest, PORT, apart};
use e2e::{Capture, Internet, NETD, Place as _, Proto, probe};
use serde_json::{Value, json};

use crate::guest::{below, netns, reaches, together};
use crate::site::{Site, run};

const GATEWAY: &str = "{{(index .IPAM.Config 0).Gateway}}";
const WORLD: (IpAddr, u16) = (Internet::V4, Internet::PORT);

/// The number by which a network's frames are told.
fn vni(site: &Site) -> Result<u32> {
    let [(number, _)] = &site.stored("vnis/")?[..] else { anyhow::bail!("one number") };
    Ok(number.parse()?)
}

/// The MTU of a container's interface.
pub(crate) fn mtu(guest: &Guest, link: &str) -> Result<Value> {
    let links: Value = serde_json::from_str(&guest.shows(&["ip", "-j", "link", "show", link])?)?;
    Ok(links[0]["mtu"].clone())
}

#[test]
fn o1_containers_of_two_hosts_talk_by_vxlan_with_the_networks_number() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "my_overlay_net"])?;
        site.wait_shown(1, "my_overlay_net")?;
        let [one, other] = [&site.nodes[0].host, &site.nodes[1].host];
        let here = Guest::new(one, "here", "my_overlay_net", &json!({}))?;
        // As a runtime does it: by the list that the agent has written.
        let container = other.add_container("there")?;
        let add = [NETD, "cni", "add", "--conf-dir", "/run/netd/net.d", "my_overlay_net"];
        let result = other.command(&add).args([container.netns()]).run()?.json()?;
        let there = Guest::attached(container, result)?;
        ensure!(here.ip != there.ip, "{} twice", here.ip);

        let capture = Capture::start(one, "eth0", "udp port 4789")?;
        together(&here, &there)?;
        together(&there, &here)?;
        let marked = format!("vni {}", vni(site)?);
        let packets = capture.stop_when("VXLAN both ways", |packets| {
            let is_from = |ip: [u8; 4]| packets.iter().any(|it| it.source_is(ip.into()));
            is_from([192, 0, 2, 10]) && is_from([192, 0, 2, 11])
        })?;
        let other = packets
            .iter()
            .find(|packet| packet.text.contains("VXLAN") && !packet.text.contains(&marked));
        ensure!(other.is_none(), "{marked}: {other:?}");
        Ok(())
    })
}

#[test]
fn o2_a_container_has_the_overlay_first_and_leaves_by_a_bridge_of_the_host() -> Result<()> {
    run(1, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        let host = &site.nodes[0].host;
        let one = Guest::new(host, "one", "ov", &json!({}))?;
        let two = Guest::new(host, "two", "ov", &json!({}))?;
        for (link, expected) in [("eth0", 1450), ("eth1", 1500)] {
            assert_eq!(mtu(&one, link)?, expected, "{link}");
        }
        let names = |guest: &Guest| {
            let links = guest.result["interfaces"].as_array().cloned().unwrap_or_default();
            let inside = links.into_iter().filter(|link| link["sandbox"].is_string());
            inside.map(|link| link["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&one), ["eth0", "eth1"]);
        let gateway = site.done(0, &["inspect", "-f", GATEWAY, "netd_gwbridge"])?;
        // Networks of hosts are of 256 addresses.
        let of_way_out = gateway.trim_end_matches(|digit| digit != '.').to_owned();
        ensure!(!one.ip.to_string().starts_with(&of_way_out), "{} is of {gateway}", one.ip);
        let routes = one.shows(&["ip", "route"])?;
        ensure!(routes.contains(&format!("default via {gateway} dev eth1")), "{routes}");
        let out = probe::ask(&one.container, Proto::Tcp, WORLD)?;
        assert_eq!(out.source.ip(), IpAddr::from([192, 0, 2, 10]), "as the host");

        together(&one, &two)?;
        let way_out = e2e::address(&two.result, 1)?;
        ensure!(way_out.to_string().starts_with(&of_way_out), "{way_out} is not of {gateway}");
        apart(&one, (way_out, PORT))?;
        for (guest, network) in [(&one, "ov"), (&two, "ov")] {
            assert_eq!(missing(&guest.container, network, "eth0")?, Vec::<String>::new());
        }
        one.container.run(&["ip", "route", "del", "default"])?;
        let told = missing(&one.container, "ov", "eth0")?;
        ensure!(
            told.len() == 1 && told[0].contains(&format!("route add default via {gateway}")),
            "{told:?}"
        );

        detach(&one.container, "ov")?;
        let left = one.shows(&["ip", "-o", "link"])?;
        assert_eq!(left.lines().count(), 1, "{left}");
        ensure!(site.refused(0, &["rm", "netd_gwbridge"])?.contains("has active endpoints"));
        detach(&two.container, "ov")?;
        site.done(0, &["rm", "netd_gwbridge"])?;
        site.done(0, &["rm", "ov"]).map(drop)
    })
}

#[test]
fn o2_nothing_leaves_an_internal_overlay_and_ports_are_published_by_the_way_out() -> Result<()> {
    run(1, |site| {
        site.done(0, &["create", "-d", "overlay", "--internal", "closed"])?;
        site.done(0, &["create", "-d", "overlay", "open"])?;
        let host = &site.nodes[0].host;
        let inside = Guest::new(host, "inside", "closed", &json!({}))?;
        let links = inside.shows(&["ip", "-o", "link"])?;
        ensure!(!links.contains("eth1"), "{links}");
        assert_eq!(inside.shows(&["ip", "route", "show", "default"])?, "");
        apart(&inside, WORLD)?;

        let ports = json!({ "ports": [{ "hostPort": 8080, "containerPort": 80 }] });
        let web = Guest::new(host, "web", "open", &ports)?;
        let seen =
            probe::ask(&site.internet.host, Proto::Tcp, (IpAddr::from([192, 0, 2, 10]), 8080))?;
        assert_eq!(seen.source.ip(), IpAddr::from([192, 0, 2, 1]));
        detach(&web.container, "open")?;
        let again = host.add_container("again")?;
        attach(&again, "open", &ports).map(drop)
    })
}

#[test]
fn o4_overlays_with_equal_addresses_do_not_meet_and_a_container_on_both_reaches_both() -> Result<()>
{
    run(2, |site| {
        for (name, subnet) in [("red", "10.7.0.0/24"), ("blue", "10.8.0.0/24")] {
            site.done(0, &["create", "-d", "overlay", "--subnet", subnet, name])?;
            site.wait_shown(1, name)?;
        }
        let [one, other] = [&site.nodes[0].host, &site.nodes[1].host];
        let red = [
            Guest::new(one, "red1", "red", &json!({}))?,
            Guest::new(other, "red2", "red", &json!({}))?,
        ];
        let blue = [
            Guest::new(one, "blue1", "blue", &json!({}))?,
            Guest::new(other, "blue2", "blue", &json!({}))?,
        ];
        together(&red[0], &red[1])?;
        together(&blue[0], &blue[1])?;
        for from in &red {
            for to in &blue {
                apart(from, to.at())?;
            }
        }
        let both = json!({ "ifname": "eth2", "live": true });
        let result = attach(&red[0].container, "blue", &both)?;
        let on_blue = e2e::address(&result, 0)?;
        assert_eq!(reaches(&blue[1], (on_blue, PORT))?, blue[1].ip);
        assert_eq!(reaches(&red[0], blue[1].at())?, on_blue);
        together(&red[1], &red[0])
    })
}

#[test]
fn the_gateway_of_an_overlay_is_in_its_namespace_on_every_host() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "--ipv6", "ov"])?;
        site.wait_shown(1, "ov")?;
        let netns = netns(site, "ov")?;
        for node in &site.nodes {
            let guest = Guest::new(&node.host, "one", "ov", &json!({}))?;
            let shown = site.inspect(0, "ov")?;
            for config in shown["IPAM"]["Config"].as_array().context("subnets")? {
                let gateway: IpAddr = config["Gateway"].as_str().context("a gateway")?.parse()?;
                probe::ping(&guest.container, gateway)?;
                let there =
                    below(&node.host, &netns, &["ip", "addr", "show", "dev", "br0"])?.stdout;
                ensure!(there.contains(&gateway.to_string()), "{gateway} in {there}");
            }
        }
        Ok(())
    })
}
