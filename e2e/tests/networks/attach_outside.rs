//! Who reaches containers from outside their network, by ways that nobody meant to be there. Names begin
//! with the id of the behaviour of Docker's that is shown.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::guest::{Guest, PORT, heard};
use e2e::{PATIENCE, Place, Proto, probe, wait_until};
use serde_json::{Value, json};

use crate::attach::{WORLD, WORLD_V6, World, in_world};

#[test]
fn b5_a_port_of_the_loopback_address_is_closed_to_neighbours_siblings_and_other_networks()
-> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "app"])?;
        site.done(&["create", "db"])?;
        let ports = json!({ "ports": [{ "hostIP": "127.0.0.1", "hostPort": 7000, "containerPort": PORT }] });
        let _web = Guest::new(&site.host, "web", "app", &ports)?;
        let loopback: IpAddr = [127, 0, 0, 1].into();
        probe::ask(&site.host, Proto::Tcp, (loopback, 7000))?;
        let crafted = |from: &dyn Place, via: &str| -> Result<()> {
            from.run(&["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"])?;
            from.run(&["ip", "address", "flush", "dev", "lo"])?;
            from.run(&["ip", "route", "add", "127.0.0.1", "via", via])?;
            let answer = probe::refusal(from, Proto::Tcp, (loopback, 7000))?;
            ensure!(answer.is_err(), "{answer:?}");
            Ok(())
        };
        let sibling = Guest::new(&site.host, "sibling", "app", &json!({}))?;
        let other = Guest::new(&site.host, "other", "db", &json!({}))?;
        for (place, via) in [
            (&internet.host as &dyn Place, uplink.v4.to_string()),
            (&sibling.container, site.gateway("app")?),
            (&other.container, site.gateway("db")?),
        ] {
            crafted(place, &via)?;
            let answer = probe::refusal(place, Proto::Tcp, (uplink.v4, 7000))?;
            ensure!(answer.is_err(), "by the host's own address: {answer:?}");
        }
        Ok(())
    })
}

#[test]
fn b5_neighbours_with_a_route_and_other_networks_reach_only_open_modes_and_by_trusted_interfaces()
-> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "--ipv6", "db"])?;
        let stranger = Guest::new(&site.host, "stranger", "db", &json!({}))?;
        // By TCP, UDP and ICMP; a port of TCP is published.
        let (nothing, everything, published) = ([false; 3], [true; 3], [true, false, true]);
        let modes = [
            ("nat", "gateway_mode_ipv*=nat", nothing, nothing),
            ("trusted", "trusted_host_interfaces=eth0", everything, nothing),
            ("open", "gateway_mode_ipv*=nat-unprotected", everything, everything),
            ("routed", "gateway_mode_ipv*=routed", published, published),
        ];
        for (at, (name, option, outside, beside)) in modes.into_iter().enumerate() {
            let key = |family| format!("com.docker.network.bridge.{}", option.replace('*', family));
            let options = BTreeSet::from(["4", "6"].map(key));
            let mut words = vec!["create", "--ipv6", name];
            words.extend(options.iter().flat_map(|option| ["-o", option]));
            site.done(&words)?;
            let port = if name == "routed" { PORT } else { 7 };
            let ports = json!({ "ports": [{ "hostPort": 7000 + at, "containerPort": port }] });
            let guest = Guest::new(&site.host, name, name, &ports)?;
            let uplinks = [uplink.v4, uplink.v6].map(|ip| ip.to_string());
            for ((subnet, _), uplink) in site.subnets(name)?.iter().zip(&uplinks) {
                internet.host.run(&["ip", "route", "add", subnet, "via", uplink])?;
            }
            let own = guest.everywhere()?;
            heard(&internet.host, &own, outside)?;
            heard(&stranger.container, &own, beside)?;
            // Being open itself opens no other network.
            if beside != nothing {
                heard(&guest.container, &stranger.everywhere()?, nothing)?;
            }
            for ((own, _), world) in own.into_iter().zip([WORLD, WORLD_V6]) {
                let seen = probe::ask(&guest.container, Proto::Tcp, world)?.source.ip();
                assert_eq!(seen == own, name == "routed", "{name}: {seen}");
            }
        }
        Ok(())
    })
}

#[test]
fn b12_a_containers_rules_come_whole_and_go_whole_and_nobody_elses_are_touched() -> Result<()> {
    in_world(|world| {
        let World { site, .. } = world;
        site.done(&["create", "app"])?;
        let port = |host: u16| json!({ "hostPort": host, "containerPort": 80 });
        let _other = Guest::new(&site.host, "other", "app", &json!({ "ports": [port(7000)] }))?;
        let mut monitor = site.host.spawn("monitor", &["nft", "monitor"])?;
        // What is told from here on is told in the order of the transactions.
        let mut mark = |name: &str| -> Result<()> {
            wait_until("the monitor listens", PATIENCE, || {
                let made = format!("nft add table inet {name}; nft delete table inet {name}");
                site.host.sh(&made).is_ok() && monitor.log().contains(name)
            })?;
            monitor.wait_for_log(&format!("delete table inet {name}"), PATIENCE)
        };
        let all: Vec<Value> = (8000..8020).map(port).collect();
        mark("begin")?;
        let one = site.host.add_container("one")?;
        attach(&one, "app", &json!({ "ports": all }))?;
        mark("attached")?;
        detach(&one, "app")?;
        mark("detached")?;
        let log = monitor.log();
        // A transaction ends with the generation that it has made.
        let of_netd: Vec<&str> =
            log.split("# new generation").filter(|one| one.contains("inet netd ")).collect();
        let lines = |verb: &str, part: &str| -> Vec<usize> {
            let is_it = |line: &str| line.starts_with(verb) && line.contains(part);
            let count = |one: &&str| one.lines().filter(|line| is_it(line)).count();
            of_netd.iter().map(count).filter(|count| *count > 0).collect()
        };
        // One for all ports, so none is open to more than is meant, or led to where nobody is yet.
        assert_eq!(lines("create element", "dnat_any4 "), [20], "{log}");
        assert_eq!(lines("delete element", "dnat_any4 "), [20], "{log}");
        // What guards the container is there before its ports are.
        let at = |part: &str| of_netd.iter().position(|one| one.contains(part));
        ensure!(at("guarded4 ") < at("dnat_any4 "), "{log}");
        ensure!(!log.contains("7000") && !log.contains("delete rule"), "{log}");
        ensure!(!log.contains("delete chain") && !log.contains("flush"), "{log}");
        Ok(())
    })
}
