//! Hosts that are reached by IPv6.

use anyhow::{Context as _, Result, ensure};
use e2e::guest::{Guest, apart};
use e2e::{Capture, Node, PATIENCE, Place as _, wait_until};
use serde_json::{Value, json};

use crate::across::{others, wait_others};
use crate::guest::{below, netns, together};
use crate::site::{Site, run, serves};

/// Starts the agent of a host anew, with these options.
fn again(site: &mut Site, host: usize, options: &[&str]) -> Result<()> {
    let of = site.host(host)?.clone();
    site.nodes[host].kill();
    site.nodes[host] = Node::start(&of, &site.etcd, options)?;
    serves(&mut site.nodes[host])
}

fn trouble(site: &Site, host: usize) -> Result<String> {
    let all = others(site, host, "ov")?;
    let told: Vec<&str> = all.iter().filter_map(|it| it["Trouble"].as_str()).collect();
    Ok(told.concat())
}

#[test]
fn an_overlay_is_carried_by_ipv6_between_hosts_of_that_family_and_others_are_told_apart()
-> Result<()> {
    run(3, |site| {
        // The first is told to, the second has no other address on its interface, and the third has both.
        again(site, 0, &["-iface=2001:db8:1::a"])?;
        site.host(1)?.sh("ip -4 addr flush dev eth0
             ip addr add 192.0.2.11/32 dev lo
             ip route add 192.0.2.1 dev eth0 src 192.0.2.11")?;
        again(site, 1, &[])?;
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        let vteps = || -> Result<Vec<Value>> {
            let members = site.stored("members/")?.into_iter();
            members.map(|(_, it)| Ok(serde_json::from_str::<Value>(&it)?["vtep"].clone())).collect()
        };
        wait_until("hosts have told where they are", PATIENCE, || {
            let all = vteps().unwrap_or_default();
            ["2001:db8:1::a", "2001:db8:1::b", "192.0.2.12"]
                .iter()
                .all(|ip| all.contains(&json!(ip)))
        })?;
        for host in [1, 2] {
            site.wait_shown(host, "ov")?;
        }
        let a = Guest::new(site.host(0)?, "a", "ov", &json!({}))?;
        let b = Guest::new(site.host(1)?, "b", "ov", &json!({}))?;
        wait_others(site, 0, "ov", 1)?;
        let capture = Capture::start(site.host(0)?, "eth0", "ip6 and udp port 4789")?;
        together(&a, &b)?;
        together(&b, &a)?;
        let ends = ["2001:db8:1::a".parse()?, "2001:db8:1::b".parse()?];
        capture.stop_when("VXLAN both ways", |packets| {
            ends.iter().all(|ip| packets.iter().any(|packet| packet.source_is(*ip)))
        })?;
        let links: Value = serde_json::from_str(&a.shows(&["ip", "-j", "link", "show", "eth0"])?)?;
        assert_eq!(links[0]["mtu"], 1430, "70 bytes less");
        let tunnel =
            below(site.host(1)?, &netns(site, "ov")?, &["ip", "-d", "link", "show", "vxlan0"])?;
        ensure!(tunnel.stdout.contains("local 2001:db8:1::b"), "{}", tunnel.stdout);
        assert_eq!(trouble(site, 0)?, "");

        let c = Guest::new(site.host(2)?, "c", "ov", &json!({}))?;
        wait_others(site, 0, "ov", 2)?;
        let told = trouble(site, 0)?;
        ensure!(
            told.contains("one is known by an IPv4 address, and the other by one of IPv6"),
            "{told}"
        );
        apart(&a, c.at())?;
        again(site, 2, &["-iface=2001:db8:1::c"])?;
        wait_until("it is known by the same family", PATIENCE, || {
            trouble(site, 0).is_ok_and(|told| told.is_empty())
        })?;
        let from = c.container.name();
        together(&a, &c).with_context(|| from)
    })
}

#[test]
fn a_host_whose_default_route_of_ipv4_is_gone_for_a_while_stays_known_by_ipv4() -> Result<()> {
    run(2, |site| {
        let host = site.host(1)?.clone();
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        site.wait_shown(1, "ov")?;
        let a = Guest::new(site.host(0)?, "a", "ov", &json!({}))?;
        let b = Guest::new(&host, "b", "ov", &json!({}))?;
        wait_others(site, 0, "ov", 1)?;
        together(&a, &b)?;
        let known = site.stored("members/")?;
        host.sh("ip -4 route del default
             ip link set eth0 mtu 1480")?;
        // Who knows the new MTU has looked since the route went.
        let mut number = 0;
        wait_until("the interface is looked at", PATIENCE, || {
            number += 1;
            let guest = Guest::new(&host, &format!("c{number}"), "ov", &json!({}));
            guest.is_ok_and(|guest| {
                guest
                    .shows(&["ip", "link", "show", "eth0"])
                    .is_ok_and(|shown| shown.contains("mtu 1430 "))
            })
        })?;
        assert_eq!(site.stored("members/")?, known);
        together(&a, &b)?;
        together(&b, &a)
    })
}
