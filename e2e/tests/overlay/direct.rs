//! Networks of drivers macvlan and ipvlan that all hosts share: their containers are on one wire with those of
//! other hosts, by addresses that no two hosts give out. What the machine's kernel lacks is in `direct_vm`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::Guest;
use e2e::names::Asker;
use e2e::{Capture, Internet, PATIENCE, Place as _, Proto, probe, wait_until};
use serde_json::json;

use crate::across::{others, wait_others};
use crate::guest::together;
use crate::site::{Site, run};

/// On the wire that all hosts are on: the router has the gateway's address, and hosts those below 128.
const LAN: [&str; 12] = [
    "create",
    "-d",
    "macvlan",
    "--scope",
    "global",
    "--subnet",
    "192.0.2.0/24",
    "--gateway",
    "192.0.2.1",
    "--ip-range",
    "192.0.2.128/25",
    "-o",
];

/// Makes network `lan` on the first host, on a parent that each host has for itself.
fn make_lan(site: &Site, parent: &str) -> Result<()> {
    site.done(0, &[&LAN[..], &[&format!("parent={parent}"), "lan"]].concat())?;
    site.wait_shown(1, "lan").map(drop)
}

fn links(site: &Site, host: usize) -> Result<BTreeSet<String>> {
    Ok(site.host(host)?.list("/sys/class/net")?.into_iter().collect())
}

#[test]
fn m1_a_macvlan_of_the_cluster_is_on_every_host_and_its_containers_talk_on_the_wire() -> Result<()>
{
    run(2, |site| {
        make_lan(site, "eth0")?;
        let shown = site.inspect(0, "lan")?;
        assert_eq!(site.inspect(1, "lan")?, shown);
        assert_eq!((&shown["Scope"], &shown["Driver"]), (&"global".into(), &"macvlan".into()));
        assert_eq!(site.stored("vnis/")?, [], "nothing is carried in VXLAN");
        let before = links(site, 0)?;

        let a = Guest::new(site.host(0)?, "a", "lan", &json!({}))?;
        let b = Guest::new(site.host(1)?, "b", "lan", &json!({}))?;
        together(&a, &b)?;
        together(&b, &a)?;
        let seen = probe::ask(&b.container, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        assert_eq!(seen.source.ip(), b.ip, "by the router, and nobody translates");
        assert_eq!(links(site, 0)?, before, "nothing of it is on the host, the gateway neither");
        assert_eq!(missing(&b.container, "lan", "eth0")?, Vec::<String>::new());
        wait_others(site, 0, "lan", 1)?;
        assert_eq!(others(site, 0, "lan")?[0]["IPv4Address"], format!("{}/24", b.ip));

        // It stays as long as somebody is on it anywhere.
        detach(&a.container, "lan")?;
        let told = site.refused(0, &["rm", "lan"])?;
        ensure!(told.contains("name:\"b on host") && told.contains("id:\"b\""), "{told}");
        detach(&b.container, "lan")?;
        site.done(1, &["rm", "lan"])?;
        site.wait_gone(0, "lan")?;
        for part in ["networks/", "names/", "blocks/", "addresses/", "endpoints/"] {
            assert_eq!(site.stored(part)?, [], "{part}");
        }
        Ok(())
    })
}

#[test]
fn containers_that_come_on_all_hosts_at_once_have_no_address_twice_also_while_etcd_is_away()
-> Result<()> {
    run(2, |site| {
        make_lan(site, "eth0")?;
        let come = |site: &Site, names: &[String]| -> Result<Vec<IpAddr>> {
            let attached = std::thread::scope(|scope| {
                let each = names.iter().enumerate().map(|(number, name)| {
                    scope.spawn(move || -> Result<IpAddr> {
                        let container = site.host(number % 2)?.add_container(name)?;
                        e2e::address(&attach(&container, "lan", &json!({}))?, 0)
                    })
                });
                each.collect::<Vec<_>>().into_iter().map(|it| it.join()).collect::<Vec<_>>()
            });
            let panicked = |_| anyhow::anyhow!("a thread has panicked");
            attached.into_iter().map(|it| it.map_err(panicked)?).collect()
        };
        let names =
            |from: usize, to: usize| (from..to).map(|n| format!("c{n}")).collect::<Vec<_>>();
        // More than a block of eight each, and no more blocks are taken than are needed.
        let mut all = come(site, &names(0, 18))?;
        wait_until("each host has two blocks", PATIENCE, || {
            site.stored("blocks/").is_ok_and(|blocks| blocks.len() == 4)
        })?;
        site.etcd.kill()?;
        all.extend(come(site, &names(18, 22))?);
        site.etcd.resume()?;
        let range = |ip: &&IpAddr| matches!(ip, IpAddr::V4(ip) if ip.octets()[3] >= 128);
        let apart: BTreeSet<&IpAddr> = all.iter().filter(range).collect();
        assert_eq!(apart.len(), 22, "{all:?}");
        wait_until("all are told to the others", PATIENCE, || {
            site.stored("endpoints/").is_ok_and(|endpoints| endpoints.len() == 22)
        })
    })
}

#[test]
fn o4_a_container_that_comes_up_on_another_host_with_its_address_tells_its_neighbours() -> Result<()>
{
    run(2, |site| {
        make_lan(site, "eth0")?;
        let from = Guest::new(site.host(0)?, "from", "lan", &json!({}))?;
        let before = Guest::new(site.host(1)?, "before", "lan", &json!({}))?;
        let ip = before.ip;
        together(&from, &before)?;
        let same = json!({ "ips": [ip.to_string()] });
        wait_others(site, 0, "lan", 1)?;
        let early = site.host(0)?.add_container("early")?;
        let told = attach(&early, "lan", &same).expect_err("a container there has it").to_string();
        ensure!(told.contains("is in use by container before on host"), "{told}");
        detach(&before.container, "lan")?;
        wait_others(site, 0, "lan", 0)?;
        let announced = format!("Request who-has {ip} tell {ip}");
        let capture = Capture::start(&site.internet.host, "br0", "arp")?;
        let after = Guest::new(site.host(0)?, "after", "lan", &same)?;
        assert_eq!(after.ip, ip);
        wait_until("it is reached where it is now", Duration::from_secs(1), || {
            probe::pings(&from.container, ip).unwrap_or(false)
        })?;
        capture.stop_when("its announcement", |packets| {
            packets.iter().any(|packet| {
                packet.text.contains(&announced)
                    || packet.text.contains(&format!("Announcement {ip}"))
            })
        })?;
        let next = Guest::new(site.host(1)?, "next", "lan", &json!({}))?;
        ensure!(next.ip != ip, "{ip} twice");
        Ok(())
    })
}

#[test]
fn a_container_of_another_host_is_found_by_name_where_a_bridge_has_the_name_server() -> Result<()> {
    run(2, |site| {
        make_lan(site, "eth0")?;
        let web = Guest::new(
            site.host(0)?,
            "c1",
            "lan",
            &json!({ "names": ["web"], "aliases": ["api"] }),
        )?;
        site.done(1, &["create", "app"])?;
        let asks = Asker::new(site.host(1)?, "c2", "app", &json!({}))?;
        assert_eq!(asks.finds("web.lan", false)?, BTreeSet::new(), "not of its networks");
        attach(&asks.container, "lan", &json!({ "ifname": null, "live": true }))?;
        for name in ["web", "api", "web.lan"] {
            wait_until(name, PATIENCE, || {
                asks.finds(name, false).is_ok_and(|found| found == [web.ip.to_string()].into())
            })?;
        }
        probe::ask(&asks.container, Proto::Tcp, web.at())?;
        detach(&web.container, "lan")?;
        wait_until("nobody has the name", PATIENCE, || {
            asks.finds("web", false).is_ok_and(|found| found.is_empty())
        })
    })
}

#[test]
fn a_host_without_the_parent_refuses_containers_and_says_why_and_others_have_them() -> Result<()> {
    run(2, |site| {
        let host = site.host(1)?.clone();
        let plug =
            "ip link add lan0 type veth peer name far; ip link set lan0 up; ip link set far up";
        site.host(0)?.sh(plug)?;
        make_lan(site, "lan0")?;
        let a = Guest::new(site.host(0)?, "a", "lan", &json!({}))?;
        let b = host.add_container("b")?;
        let told = attach(&b, "lan", &json!({})).expect_err("no parent").to_string();
        ensure!(
            told.contains(
                "option parent: this host has no interface lan0: make it, or run the container"
            ),
            "{told}"
        );
        assert_eq!(b.run(&["ip", "-o", "link"])?.stdout.lines().count(), 1);
        let status = e2e::networks::network(&host, &["ls", "--filter", "name=lan"])?;
        ensure!(status.stdout.contains("macvlan   global"), "{status:?}");
        // As soon as it is there it is used.
        host.sh(plug)?;
        let there = attach(&b, "lan", &json!({}))?;
        ensure!(e2e::address(&there, 0)? != a.ip, "{there}");
        detach(&b, "lan")?;

        // Whoever makes a network on such a host is told, and another of the host's may have the parent for itself.
        let made = site.network(
            1,
            &["create", "-d", "macvlan", "--scope", "global", "-o", "parent=lan7", "x"],
        )?;
        ensure!(
            made.code == 0
                && made
                    .stderr
                    .contains("warning: option parent: lan7 is no interface of this host"),
            "{made:?}"
        );
        host.sh("ip link add lan7 type veth peer name far7; ip link set lan7 up")?;
        site.done(1, &["rm", "x"])?;
        let own =
            ["create", "-d", "macvlan", "-o", "parent=lan7", "-o", "macvlan_mode=passthru", "own"];
        site.done(1, &own)?;
        site.host(0)?.sh("ip link add lan7 type veth peer name far7")?;
        let shared = ["create", "-d", "macvlan", "--scope", "swarm", "-o", "parent=lan7", "shared"];
        site.done(0, &shared)?;
        site.wait_shown(1, "shared")?;
        let told = attach(&b, "shared", &json!({})).expect_err("it is taken").to_string();
        ensure!(told.contains("network own is already using parent interface lan7"), "{told}");
        let c = site.host(0)?.add_container("c")?;
        attach(&c, "shared", &json!({})).map(drop)
    })
}
