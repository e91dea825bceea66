//! Who reaches whom on networks, and as whom. Names begin with the id of the behaviour of Docker's that is
//! shown.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use e2e::guest::{Guest, heard};
use e2e::{Place as _, Proto, probe};
use serde_json::json;

use crate::attach::{WORLD, WORLD_V6, World, in_world, shows, together};
use crate::site::run;

#[test]
fn b6_containers_of_two_networks_do_not_reach_each_other_and_those_of_one_do() -> Result<()> {
    run(|site| {
        site.host.run(&[
            "sysctl",
            "-qw",
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
        ])?;
        // It is not FORWARD that keeps them apart.
        site.host.sh("iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT")?;
        let guests = |network: &str, v6: &str| {
            site.done(&["create", "--ipv6", "--subnet", v6, network])?;
            let one = Guest::new(&site.host, &format!("{network}1"), network, &json!({}))?;
            let two = Guest::new(&site.host, &format!("{network}2"), network, &json!({}))?;
            Ok::<_, anyhow::Error>((one, two))
        };
        let (app1, app2) = guests("app", "fd00:a::/64")?;
        let (db1, _db2) = guests("db", "fd00:b::/64")?;
        together(&app1, &app2)?;
        for (one, other) in [(&app1, &db1), (&db1, &app1)] {
            let other = other.everywhere()?;
            heard(&site.host, &other, [true; 3])?;
            heard(&one.container, &other, [false; 3])?;
        }
        Ok(())
    })
}

#[test]
fn b8_siblings_are_apart_without_icc_and_still_reach_the_world() -> Result<()> {
    in_world(|world| {
        let site = &world.site;
        let option = "com.docker.network.bridge.enable_icc=false";
        site.done(&["create", "--ipv6", "-o", option, "quiet"])?;
        let one = Guest::new(&site.host, "one", "quiet", &json!({}))?;
        let two = Guest::new(&site.host, "two", "quiet", &json!({}))?;
        let apart = || heard(&one.container, &two.everywhere()?, [false; 3]);
        apart()?;
        for world in [WORLD, WORLD_V6] {
            probe::ask(&one.container, Proto::Tcp, world)?;
        }
        // Nor by a way round, over the host.
        for ((_, gateway), (ip, _)) in site.subnets("quiet")?.iter().zip(two.everywhere()?) {
            shows(&one.container, &["route", "add", &ip.to_string(), "via", gateway])?;
        }
        apart()
    })
}

#[test]
fn b8_nothing_leaves_an_internal_network_and_nothing_enters() -> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "--internal", "--ipv6", "vault"])?;
        let one = Guest::new(&site.host, "one", "vault", &json!({}))?;
        let two = Guest::new(&site.host, "two", "vault", &json!({}))?;
        together(&one, &two)?;
        for family in ["-4", "-6"] {
            assert_eq!(shows(&one.container, &[family, "route", "show", "default"])?, "");
        }
        let uplinks = [uplink.v4, uplink.v6].map(|ip| ip.to_string());
        for ((subnet, gateway), uplink) in site.subnets("vault")?.iter().zip(&uplinks) {
            shows(&one.container, &["route", "add", "default", "via", gateway])?;
            internet.host.run(&["ip", "route", "add", subnet, "via", uplink])?;
        }
        let forward = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
        site.host.run(&[&["sysctl", "-qw"][..], &forward].concat())?;
        heard(&one.container, &[WORLD, WORLD_V6], [false; 3])?;
        heard(&internet.host, &one.everywhere()?, [false; 3])?;
        Ok(())
    })
}

/// Whether a container that asks its neighbours for an address of the host's hears an answer.
fn is_answered(from: &Guest, of: IpAddr) -> Result<bool> {
    let of = of.to_string();
    let ask = ["busybox", "arping", "-f", "-c", "2", "-w", "2", "-I", "eth0", &of];
    let heard = from.container.command(&ask).output()?;
    ensure!(heard.stdout.contains("Sent"), "{heard:?}");
    Ok(heard.code == 0)
}

#[test]
fn b8_containers_of_an_isolated_network_reach_each_other_and_never_the_host() -> Result<()> {
    in_world(|world| {
        let World { site, uplink, .. } = world;
        let mode =
            |family: &str| format!("com.docker.network.bridge.gateway_mode_{family}=isolated");
        let (v4, v6) = (mode("ipv4"), mode("ipv6"));
        for (name, options) in [
            ("vault", &[][..]),
            ("isolated", &["-o", &v4]),
            ("dual", &["--ipv6", "-o", &v4, "-o", &v6]),
        ] {
            site.done(&[&["create", "--internal"], options, &[name]].concat())?;
            let one = Guest::new(&site.host, &format!("{name}1"), name, &json!({}))?;
            let two = Guest::new(&site.host, &format!("{name}2"), name, &json!({}))?;
            together(&one, &two)?;
            let bridge = site.done(&["inspect", "-f", "br-{{slice .Id 0 12}}", name])?;
            let addresses = site.host.run(&["ip", "-o", "addr", "show", "dev", &bridge])?.stdout;
            let is_apart = name != "vault";
            assert_eq!(addresses.is_empty(), is_apart, "{name}: {addresses}");
            assert_eq!(is_answered(&one, uplink.v4)?, !is_apart, "{name}");
        }
        Ok(())
    })
}

#[test]
fn b9_an_address_of_the_host_is_the_source_where_it_is_chosen() -> Result<()> {
    in_world(|world| {
        let World { site, uplink, .. } = world;
        site.host.run(&["ip", "addr", "add", "192.0.2.77/24", "dev", "eth0"])?;
        site.host.run(&["ip", "addr", "add", "2001:db8:1::77/64", "dev", "eth0", "nodad"])?;
        site.done(&[
            "create",
            "--ipv6",
            "-o",
            "com.docker.network.host_ipv4=192.0.2.77",
            "-o",
            "com.docker.network.host_ipv6=2001:db8:1::77",
            "chosen",
        ])?;
        site.done(&["create", "plain"])?;
        let chosen = Guest::new(&site.host, "one", "chosen", &json!({}))?;
        let plain = Guest::new(&site.host, "two", "plain", &json!({}))?;
        for proto in [Proto::Tcp, Proto::Udp] {
            let seen = probe::ask(&chosen.container, proto, WORLD)?.source.ip();
            assert_eq!(seen, IpAddr::from([192, 0, 2, 77]));
            let seen = probe::ask(&chosen.container, proto, WORLD_V6)?.source.ip();
            assert_eq!(seen, "2001:db8:1::77".parse::<IpAddr>()?);
            assert_eq!(probe::ask(&plain.container, proto, WORLD)?.source.ip(), uplink.v4);
        }
        Ok(())
    })
}

#[test]
fn b9_without_masquerade_a_container_is_seen_as_itself() -> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        let option = "com.docker.network.bridge.enable_ip_masquerade=false";
        site.done(&["create", "-o", option, "plain"])?;
        let guest = Guest::new(&site.host, "one", "plain", &json!({}))?;
        let subnet = site.subnet("plain")?;
        internet.host.run(&["ip", "route", "add", &subnet, "via", &uplink.v4.to_string()])?;
        assert_eq!(probe::ask(&guest.container, Proto::Tcp, WORLD)?.source.ip(), guest.ip);
        Ok(())
    })
}

#[test]
fn b10_the_mtu_is_that_of_the_bridge_and_of_both_ends() -> Result<()> {
    run(|site| {
        site.done(&["create", "-o", "com.docker.network.driver.mtu=1400", "app"])?;
        let guest = Guest::new(&site.host, "one", "app", &json!({}))?;
        ensure!(shows(&guest.container, &["link", "show", "eth0"])?.contains("mtu 1400"));
        let links = site.links()?;
        let ours = links.iter().filter(|link| link.alias.starts_with("netd:"));
        let mtus: Vec<u64> = ours.map(|link| link.mtu).collect();
        assert_eq!(mtus, [1400, 1400]);
        Ok(())
    })
}
