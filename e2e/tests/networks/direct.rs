//! Containers on a parent directly, by driver `macvlan`. Names begin with the id of the behaviour of
//! Docker's that is shown. What the machine's kernel may lack is in test program `direct_vm`.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::{Guest, PORT, apart};
use e2e::probe::{Pinged, Pinging};
use e2e::{Host, Lab, PATIENCE, Place as _, Process, Proto, probe, snapshot, wait_until};
use serde_json::json;

use crate::attach::{default_route, refusal, shows, together};
use crate::connect::cni;
use crate::site::Site;

/// A host with an agent, and a neighbour on the wire at its `eth0`, which is the router.
struct Lan {
    site: Site,
    neighbour: Host,
    _server: Process,
}

/// The neighbour's addresses.
const ROUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 7, 0, 2));
const ROUTER_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2));

/// Of a network on that wire, with the addresses that others have.
const LAN: [&str; 11] = [
    "create",
    "-d",
    "macvlan",
    "-o",
    "parent=eth0",
    "--subnet",
    "10.7.0.0/24",
    "--gateway",
    "10.7.0.2",
    "--aux-address",
    "me=10.7.0.1",
];
const LAN_V6: [&str; 5] = ["--ipv6", "--subnet", "fd07::/64", "--gateway", "fd07::2"];

fn on_lan(test: impl FnOnce(&mut Lan) -> Result<()>) -> Result<()> {
    Lab::run(|lab| {
        let (host, neighbour) = (lab.host("host")?, lab.host("neighbour")?);
        let port = neighbour.port("eth0", "10.7.0.2/24 fd07::2/64");
        lab.wire(&host.port("eth0", "10.7.0.1/24"), &port)?;
        let _server = probe::serve(&neighbour, PORT, &[])?;
        let site = Site::start(&host, &["--standalone"])?;
        test(&mut Lan { site, neighbour, _server })
    })
}

#[test]
fn m1_containers_of_a_macvlan_network_are_on_the_parents_wire_and_the_host_does_not_reach_them()
-> Result<()> {
    on_lan(|lan| {
        let site = &lan.site;
        let links = site.links()?;
        site.done(&[&LAN[..], &LAN_V6, &["lan"]].concat())?;
        let more = json!({
            "mac": "02:00:00:00:00:77",
            "ips": ["10.7.0.77", "fd07::77"],
            "names": ["web"],
            "ports": [{ "hostPort": 8080, "containerPort": PORT }],
        });
        let web = Guest::new(&site.host, "web", "lan", &more)?;
        let other = Guest::new(&site.host, "other", "lan", &json!({}))?;
        assert_eq!(site.links()?, links, "nothing of a container is on the host");
        assert_eq!(
            (web.ip.to_string(), web.v6()?.to_string()),
            ("10.7.0.77".into(), "fd07::77".into())
        );
        assert_eq!(other.ip.to_string(), "10.7.0.3");
        together(&web, &other)?;
        for (from, family) in [(&web, ROUTER), (&web, ROUTER_V6), (&other, ROUTER)] {
            let seen = probe::ask(&from.container, Proto::Tcp, (family, PORT))?.source.ip();
            ensure!(seen == from.ip || seen == from.v6()?, "seen as {seen}");
        }
        probe::ask(&lan.neighbour, Proto::Udp, web.at())?;
        ensure!(!probe::pings(&site.host, web.ip)?, "the host reaches a macvlan of its own parent");
        ensure!(probe::refusal(&site.host, Proto::Tcp, ("127.0.0.1".parse()?, 8080))?.is_err());
        assert_eq!(default_route(&web.container)?, "default via 10.7.0.2 dev eth0 proto static");
        let out = shows(&web.container, &["-6", "route", "show", "default"])?;
        ensure!(out.starts_with("default via fd07::2 dev eth0"), "{out}");
        let shown = &site.inspect("lan")?["Containers"]["web"];
        assert_eq!(shown["MacAddress"], "02:00:00:00:00:77");
        assert_eq!(shown["IPv6Address"], "fd07::77/64");
        ensure!(shows(&web.container, &["link"])?.contains("02:00:00:00:00:77"));
        assert_eq!(missing(&web.container, "lan", "eth0")?, Vec::<String>::new());
        web.container.run(&["ip", "route", "del", "default"])?;
        let told = missing(&web.container, "lan", "eth0")?.join("\n");
        ensure!(told.contains("route add default via 10.7.0.2 dev eth0"), "{told}");
        let active = site.refused(&["rm", "lan"])?;
        ensure!(active.contains("has active endpoints") && active.contains("web"), "{active}");
        for guest in [&web, &other] {
            detach(&guest.container, "lan")?;
            assert_eq!(shows(&guest.container, &["-o", "link"])?.lines().count(), 1);
        }
        site.done(&["rm", "lan"])?;
        assert_eq!(site.links()?, links);
        Ok(())
    })
}

#[test]
fn m1_a_macvlan_without_a_gateway_has_everything_on_the_link() -> Result<()> {
    on_lan(|lan| {
        let site = &lan.site;
        site.done(&[&LAN[..7], &["--ip-range", "10.7.0.128/25", "lan"]].concat())?;
        let guest = Guest::new(&site.host, "one", "lan", &json!({}))?;
        assert_eq!(default_route(&guest.container)?, "default dev eth0 proto static scope link");
        assert_eq!(guest.ip.to_string(), "10.7.0.128");
        assert_eq!(missing(&guest.container, "lan", "eth0")?, Vec::<String>::new());
        // Of two networks the one of higher priority leads out, and what it displaced comes back.
        site.done(&["create", "app"])?;
        attach(&guest.container, "app", &json!({ "ifname": null, "live": true, "gwPriority": 1 }))?;
        ensure!(default_route(&guest.container)?.contains("dev eth1"));
        detach(&guest.container, "app")?;
        assert_eq!(default_route(&guest.container)?, "default dev eth0 proto static scope link");
        Ok(())
    })
}

#[test]
fn m1_modes_keep_siblings_apart_or_give_one_container_the_parent() -> Result<()> {
    on_lan(|lan| {
        let site = &lan.site;
        let create = |mode: &str| {
            let mode = format!("macvlan_mode={mode}");
            let mtu = "com.docker.network.driver.mtu=1400";
            site.done(&[&LAN[..], &["-o", &mode, "-o", mtu, "lan"]].concat())
        };
        for mode in ["private", "vepa"] {
            create(mode)?;
            let guest = |name: &str| Guest::new(&site.host, name, "lan", &json!({}));
            let (a, b) = (guest("a")?, guest("b")?);
            apart(&a, b.at())?;
            probe::ask(&a.container, Proto::Tcp, (ROUTER, PORT))?;
            let link = shows(&a.container, &["-d", "link", "show", "eth0"])?;
            ensure!(link.contains("mtu 1400") && link.contains(&format!("mode {mode}")), "{link}");
            detach(&a.container, "lan")?;
            detach(&b.container, "lan")?;
            a.container.remove()?;
            b.container.remove()?;
            site.done(&["rm", "lan"])?;
        }
        create("passthru")?;
        let wrong = site.host.add_container("wrong")?;
        let told = refusal(attach(&wrong, "lan", &json!({ "mac": "02:00:00:00:00:77" })))?;
        ensure!(told.contains("mac: 02:00:00:00:00:77") && told.contains("leave it out"), "{told}");
        let one = Guest::new(&site.host, "one", "lan", &json!({}))?;
        probe::ask(&one.container, Proto::Tcp, (ROUTER, PORT))?;
        assert_eq!(missing(&one.container, "lan", "eth0")?, Vec::<String>::new());
        let told = refusal(attach(&wrong, "lan", &json!({})))?;
        ensure!(told.contains("macvlan_mode passthru, and one has its parent"), "{told}");
        Ok(())
    })
}

#[test]
fn m1_a_parent_that_is_gone_or_too_small_is_named_with_what_to_do() -> Result<()> {
    on_lan(|lan| {
        let site = &lan.site;
        let mtu = "com.docker.network.driver.mtu=9000";
        site.done(&[&LAN[..], &["-o", mtu, "large"]].concat())?;
        let container = site.host.add_container("one")?;
        let told = refusal(attach(&container, "large", &json!({})))?;
        ensure!(told.contains("driver.mtu: 9000 is more than 1500"), "{told}");
        site.host.sh("ip link add gone type veth peer name far")?;
        site.done(&["create", "-d", "macvlan", "-o", "parent=gone", "lost"])?;
        site.host.sh("ip link del gone")?;
        let told = refusal(attach(&container, "lost", &json!({})))?;
        ensure!(
            told.contains("no interface gone") && told.contains("remove the network"),
            "{told}"
        );
        assert_eq!(shows(&container, &["-o", "link"])?.lines().count(), 1);
        let told = site.refused(&[&LAN[..], &["-o", "macvlan_mode=passthru", "p"]].concat())?;
        ensure!(told.contains("network large"), "{told}");
        let option = ["create", "-d", "macvlan", "-o", "parent=eth0", "-o", "host_access=true"];
        let told = site.refused(&[&option[..], &["-o", "macvlan_mode=private", "x"]].concat())?;
        ensure!(told.contains("host_access") && told.contains("macvlan_mode private"), "{told}");
        Ok(())
    })
}

#[test]
fn m1_with_host_access_the_host_and_its_containers_reach_each_other() -> Result<()> {
    on_lan(|lan| {
        let site = &mut lan.site;
        let links = site.links()?;
        site.done(&[&LAN[..], &LAN_V6, &["-o", "host_access=true", "lan"]].concat())?;
        let aux = |at: usize| -> Result<IpAddr> {
            let shown = site.inspect("lan")?;
            let path = format!("/IPAM/Config/{at}/AuxiliaryAddresses/host");
            Ok(shown.pointer(&path).and_then(|ip| ip.as_str()).context("an address")?.parse()?)
        };
        let (host, host_v6) = (aux(0)?, aux(1)?);
        assert_eq!((host.to_string(), host_v6.to_string()), ("10.7.0.3".into(), "fd07::1".into()));
        let _server = probe::serve(&site.host, PORT, &[])?;
        let one = Guest::new(&site.host, "one", "lan", &json!({}))?;
        let two = Guest::new(&site.host, "two", "lan", &json!({}))?;
        let reach = |site: &Site| -> Result<()> {
            for (to, from) in [(one.ip, host), (one.v6()?, host_v6)] {
                let seen = probe::ask(&site.host, Proto::Tcp, (to, PORT))?;
                assert_eq!(seen.source.ip(), from, "to {to}");
                let seen = probe::ask(&one.container, Proto::Tcp, (from, PORT))?;
                assert_eq!(seen.source.ip(), to, "to {from}");
            }
            // By the address on the parent, too.
            probe::ask(&one.container, Proto::Tcp, ("10.7.0.1".parse()?, PORT)).map(drop)
        };
        reach(site)?;
        together(&one, &two)?;
        // For all others the host is where it was.
        lan.neighbour.sh("ip neigh flush all")?;
        probe::ask(&lan.neighbour, Proto::Tcp, ("10.7.0.1".parse()?, PORT))?;
        let parent = site.links()?.into_iter().find(|link| link.name == "eth0").context("eth0")?;
        let neighbour = lan.neighbour.run(&["ip", "neigh", "show", "10.7.0.1"])?.stdout;
        ensure!(neighbour.contains(&parent.mac), "{neighbour}");
        // Somebody takes the host's link away, or sets it down.
        let mut all = site.links()?.into_iter();
        let link = all.find(|link| link.name.starts_with("nh-")).context("the host's link")?.name;
        for words in ["del", "set down dev"] {
            site.host.sh(&format!("ip link {words} {link}"))?;
            let is_back = || probe::pings(&site.host, one.ip).is_ok_and(|answered| answered);
            wait_until("it is back", PATIENCE, is_back)?;
        }
        site.kill();
        site.resume()?;
        reach(site)?;
        assert_eq!(missing(&one.container, "lan", "eth0")?, Vec::<String>::new());
        detach(&one.container, "lan")?;
        let routes = site.host.run(&["ip", "route"])?.stdout;
        ensure!(!routes.contains(&format!("{} dev", one.ip)), "{routes}");
        ensure!(routes.contains(&format!("{} dev {link}", two.ip)), "{routes}");
        detach(&two.container, "lan")?;
        site.done(&["rm", "lan"])?;
        assert_eq!(site.links()?, links);
        Ok(())
    })
}

#[test]
fn m1_an_agent_that_is_killed_loses_no_packet_and_what_is_gone_meanwhile_is_collected() -> Result<()>
{
    on_lan(|lan| {
        let site = &mut lan.site;
        snapshot::quiet(&site.host)?;
        site.done(&[&LAN[..], &["lan"]].concat())?;
        let one = Guest::new(&site.host, "one", "lan", &json!({}))?;
        let dead = site.host.add_container("dead")?;
        attach(&dead, "lan", &json!({}))?;
        let pinging = Pinging::start(&one.container, ROUTER, Duration::from_millis(10), 20)?;
        site.kill();
        dead.remove()?;
        site.resume()?;
        site.stop()?;
        site.resume()?;
        let Pinged { lost, log, .. } = pinging.end()?;
        ensure!(lost.is_empty(), "{lost:?}: {log}");
        assert_eq!(missing(&one.container, "lan", "eth0")?, Vec::<String>::new());
        let shown = site.inspect("lan")?;
        assert_eq!(shown["Containers"].as_object().map(serde_json::Map::len), Some(1));
        Ok(())
    })
}

#[test]
fn m1_a_container_that_dies_is_off_its_macvlan_network_at_once() -> Result<()> {
    on_lan(|lan| {
        let site = &mut lan.site;
        site.done(&[&LAN[..], &["lan"]].concat())?;
        let _stays = Guest::new(&site.host, "stays", "lan", &json!({}))?;
        let dead = site.host.add_container("dead")?;
        attach(&dead, "lan", &json!({}))?;
        dead.remove()?;
        // The agent looks at all by itself only every 10 s.
        wait_until("the dead one is off the network", Duration::from_secs(4), || {
            let shown = site.inspect("lan").unwrap_or_default();
            shown["Containers"].as_object().map(serde_json::Map::len) == Some(1)
        })
    })
}

#[test]
fn m1_a_macvlan_network_is_used_by_cni_and_taken_back_without_netd() -> Result<()> {
    on_lan(|lan| {
        let site = &mut lan.site;
        e2e::PluginSet::Ours.install(&site.host)?;
        site.done(&[&LAN[..], &["-o", "host_access=true", "lan"]].concat())?;
        let container = site.host.add_container("c1")?;
        cni(site, "add", "lan", &container)?;
        cni(site, "check", "lan", &container)?;
        probe::ping(&container, ROUTER)?;
        cni(site, "del", "lan", &container)?;
        wait_until("the host's link has its own address", PATIENCE, || {
            let own = ["ip", "-6", "-o", "addr", "show", "scope", "link", "-tentative"];
            site.host.run(&own).is_ok_and(|shown| shown.stdout.contains(" nh-"))
        })?;
        let free = snapshot::settled(&site.host)?;
        cni(site, "add", "lan", &container)?;
        site.kill();
        cni(site, "del", "lan", &container)?;
        assert_eq!(shows(&container, &["-o", "link"])?.lines().count(), 1);
        let left = snapshot::settled(&site.host)?;
        ensure!(left == free, "{}", snapshot::differences(&free, &left));
        site.resume()?;
        site.done(&["rm", "lan"]).map(drop)
    })
}
