//! Containers on networks, as who uses them sees it. Names begin with the id of the behaviour of Docker's
//! that is shown.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{ask, attach, detach, missing};
use e2e::guest::{Guest, PORT, heard};
use e2e::{
    Container, Internet, Lab, PATIENCE, Place as _, Proto, Uplink, address, probe, wait_until,
};
use serde_json::{Value, json};

use crate::site::{Site, run};

pub(crate) const WORLD: (IpAddr, u16) = (Internet::V4, Internet::PORT);
pub(crate) const WORLD_V6: (IpAddr, u16) = (Internet::V6, Internet::PORT);

/// A host with an agent, on the internet.
pub(crate) struct World {
    pub(crate) internet: Internet,
    pub(crate) site: Site,
    pub(crate) uplink: Uplink,
}

pub(crate) fn in_world(test: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    Lab::run(|lab| {
        let internet = lab.internet()?;
        let host = lab.host("host")?;
        let uplink = internet.connect(lab, &host)?;
        let site = Site::start(&host, &["--standalone"])?;
        test(&mut World { internet, site, uplink })
    })
}

/// Why a request was refused.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T>) -> Result<String> {
    match answer {
        Ok(answer) => anyhow::bail!("not refused: {answer:?}"),
        Err(error) => Ok(error.to_string()),
    }
}

/// By each family that the other one has.
pub(crate) fn together(from: &Guest, to: &Guest) -> Result<()> {
    heard(&from.container, &to.everywhere()?, [true; 3])
}

pub(crate) fn shows(container: &Container, words: &[&str]) -> Result<String> {
    Ok(container.run(&[&["ip"], words].concat())?.stdout)
}

/// The routes that lead out by IPv4; empty where there is none.
pub(crate) fn default_route(container: &Container) -> Result<String> {
    Ok(shows(container, &["-4", "route", "show", "default"])?.trim().to_owned())
}

#[test]
fn b1_the_default_network_is_made_at_its_first_container_which_reaches_the_world_as_the_host()
-> Result<()> {
    in_world(|world| {
        let World { site, uplink, .. } = world;
        ensure!(!site.links()?.iter().any(|link| link.name == "netd0"));
        let guest = Guest::new(&site.host, "one", "bridge", &json!({ "names": ["web"] }))?;
        ensure!(site.links()?.iter().any(|link| link.name == "netd0" && link.up));
        let subnet = site.subnet("bridge")?;
        let gateway = site.gateway("bridge")?;
        ensure!(subnet.starts_with("172.") && subnet.ends_with("/24"), "{subnet}");
        let routes = shows(&guest.container, &["-4", "route"])?;
        ensure!(routes.contains(&format!("default via {gateway} dev eth0")), "{routes}");
        ensure!(routes.contains(&format!("{subnet} dev eth0")), "{routes}");
        for proto in [Proto::Tcp, Proto::Udp] {
            assert_eq!(probe::ask(&guest.container, proto, WORLD)?.source.ip(), uplink.v4);
        }
        let shown = site.inspect("bridge")?;
        let container = &shown["Containers"]["one"];
        assert_eq!(container["Name"], "web");
        assert_eq!(container["IPv4Address"], format!("{}/{}", guest.ip, tail(&subnet)));
        assert_eq!(container["EndpointID"].as_str().map(str::len), Some(64));
        let link = shows(&guest.container, &["link", "show", "eth0"])?;
        ensure!(link.contains(container["MacAddress"].as_str().context("a MAC")?), "{link}");
        assert_eq!(missing(&guest.container, "bridge", "eth0")?, Vec::<String>::new());
        detach(&guest.container, "bridge")?;
        detach(&guest.container, "bridge")?;
        assert_eq!(shows(&guest.container, &["-o", "link"])?.lines().count(), 1);
        assert_eq!(site.inspect("bridge")?["Containers"], json!({}));
        Ok(())
    })
}

fn tail(subnet: &str) -> &str {
    subnet.split_once('/').map_or("", |(_, length)| length)
}

#[test]
fn b2_i1_addresses_are_the_lowest_free_ones_those_asked_for_and_never_those_of_others() -> Result<()>
{
    run(|site| {
        let subnet = ["--subnet", "172.30.0.0/29", "--gateway", "172.30.0.1"];
        site.done(&[&["create"], &subnet[..], &["--aux-address", "r=172.30.0.3", "app"]].concat())?;
        let add = |name: &str, more: &Value| {
            let container = site.host.add_container(name)?;
            address(&attach(&container, "app", more)?, 0)
        };
        assert_eq!(add("a", &json!({}))?.to_string(), "172.30.0.2");
        assert_eq!(add("b", &json!({ "ips": ["172.30.0.5/29"] }))?.to_string(), "172.30.0.5");
        assert_eq!(add("c", &json!({}))?.to_string(), "172.30.0.4");
        assert_eq!(add("d", &json!({}))?.to_string(), "172.30.0.6");
        let full = refusal(add("e", &json!({})))?;
        ensure!(full.contains("no available IPv4 addresses on this network's address pools: app"));
        let taken = refusal(add("f", &json!({ "ips": ["172.30.0.1"] })))?;
        ensure!(taken.contains("Address already in use") && taken.contains("code 7"), "{taken}");
        let other = refusal(add("g", &json!({ "ips": ["10.9.9.9"] })))?;
        ensure!(other.contains("no configured subnet contains IP address 10.9.9.9"), "{other}");
        assert_eq!(site.host.list("/run/netd/attachments/app")?, ["a", "b", "c", "d"]);
        let status =
            refusal(ask(&site.host, &json!({ "request": "status", "network": "app" }), None))?;
        ensure!(status.contains("code 50"), "{status}");
        Ok(())
    })
}

#[test]
fn b3_a_published_port_is_reached_from_everywhere_and_a_second_claim_names_who_has_it() -> Result<()>
{
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "app"])?;
        site.done(&["create", "other"])?;
        let publish =
            |protocol| json!({ "hostPort": 8080, "containerPort": PORT, "protocol": protocol });
        let ports = json!({ "ports": [publish("tcp"), publish("udp")] });
        let web = Guest::new(&site.host, "web", "app", &ports)?;
        let sibling = Guest::new(&site.host, "sibling", "app", &json!({}))?;
        let stranger = Guest::new(&site.host, "stranger", "other", &json!({}))?;
        let at = (uplink.v4, 8080);
        for proto in [Proto::Tcp, Proto::Udp] {
            let seen = probe::ask(&internet.host, proto, at)?;
            assert_eq!(seen.source.ip(), IpAddr::from([192, 0, 2, 1]));
            probe::ask(&site.host, proto, (IpAddr::from([127, 0, 0, 1]), 8080))?;
            probe::ask(&site.host, proto, at)?;
            for from in [&sibling, &web, &stranger] {
                probe::ask(&from.container, proto, at)?;
            }
        }
        let rival = site.host.add_container("rival")?;
        let refused = refusal(attach(&rival, "other", &ports))?;
        ensure!(refused.contains("8080/tcp") && refused.contains("app/web/eth0"), "{refused}");
        assert_eq!(shows(&rival, &["-o", "link"])?.lines().count(), 1);
        detach(&web.container, "app")?;
        attach(&rival, "other", &ports)?;
        Ok(())
    })
}

#[test]
fn n1_h1_nothing_is_connected_to_network_none_or_host() -> Result<()> {
    run(|site| {
        let container = site.host.add_container("one")?;
        for (network, words) in [("none", "private (none) mode"), ("host", "host network mode")] {
            let refused = refusal(attach(&container, network, &json!({})))?;
            ensure!(refused.contains(words) && refused.contains("code 7"), "{refused}");
        }
        let refused = refusal(attach(&container, "nosuch", &json!({})))?;
        ensure!(refused.contains("network nosuch not found"), "{refused}");
        assert_eq!(shows(&container, &["-o", "link"])?.lines().count(), 1);
        Ok(())
    })
}

#[test]
fn a_network_with_containers_is_not_removed_and_they_are_named_and_the_dead_do_not_count()
-> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let container = site.host.add_container("one")?;
        attach(&container, "app", &json!({ "names": ["web"] }))?;
        let refused = site.refused(&["rm", "app"])?;
        ensure!(refused.contains("has active endpoints (name:\"web\" id:\"one\")"), "{refused}");
        assert_eq!(site.done(&["prune", "-f"])?, "");
        let dangling = |value: &str| {
            let filter = format!("dangling={value}");
            site.done(&["ls", "-f", &filter, "-f", "type=custom", "--format", "{{.Name}}"])
        };
        assert_eq!((dangling("true")?, dangling("false")?), (String::new(), "app".to_owned()));
        let keep = json!([{ "container": "other", "ifname": "eth0" }]);
        let gc = json!({ "request": "gc", "network": "app", "keep": keep });
        let kept = ask(&site.host, &gc, None)?;
        let lives =
            json!({ "collected": { "removed": [], "kept": ["one/eth0: its namespace lives"] } });
        assert_eq!(kept, lives);
        container.remove()?;
        // The agent may have heard of its end by itself.
        let collected = ask(&site.host, &gc, None)?;
        let removed = &collected["collected"]["removed"];
        ensure!(*removed == json!(["one/eth0"]) || *removed == json!([]), "{collected}");
        // Its namespace goes a moment after its last process and its name have gone.
        wait_until("nobody is on the network", PATIENCE, || {
            dangling("true").is_ok_and(|unused| unused == "app")
        })?;
        let two = site.host.add_container("two")?;
        attach(&two, "app", &json!({}))?;
        two.remove()?;
        site.done(&["rm", "app"])?;
        assert_eq!(site.host.list("/run/netd/endpoints")?, Vec::<String>::new());
        assert_eq!(site.host.list("/run/netd/attachments")?, Vec::<String>::new());
        Ok(())
    })
}

#[test]
fn what_is_changed_of_a_container_is_told_by_the_commands_that_repair_it() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let container = site.host.add_container("one")?;
        attach(&container, "app", &json!({}))?;
        assert_eq!(missing(&container, "app", "eth0")?, Vec::<String>::new());
        container.run(&["ip", "route", "del", "default"])?;
        let told = missing(&container, "app", "eth0")?;
        ensure!(told.len() == 1 && told[0].contains("route add default via"), "{told:?}");
        site.host.sh(&told[0])?;
        assert_eq!(missing(&container, "app", "eth0")?, Vec::<String>::new());
        let other = site.host.add_container("two")?;
        let refused = refusal(missing(&other, "app", "eth0"))?;
        ensure!(refused.contains("container two is not connected to network app"), "{refused}");
        Ok(())
    })
}
