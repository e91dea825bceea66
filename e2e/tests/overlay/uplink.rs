//! The interface between hosts, where it is wanting: none, one that is too small, one that shrinks, and one on
//! which somebody else has a network's number.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::guest::Guest;
use e2e::{Container, Host, NETD, PATIENCE, Place as _, probe, wait_until};
use serde_json::json;

use crate::attach::mtu;
use crate::guest::{below, netns, together};
use crate::site::{Site, run, serves};

/// Error code of CNI's specification: try again later.
const LATER: &str = "(code 11)";

/// Sends a server so many bytes in one packet that nobody may take apart (`IP_PMTUDISC_DO`), and waits for an answer.
const SEND: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2); s.settimeout(1)
s.sendto(bytes(int(sys.argv[2])), (sys.argv[1], 80)); s.recv(100)";

/// The default routes, gone and back.
const CUT: &str = "ip route del default; ip -6 route del default";
const MENDED: &str =
    "ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:1::1";

/// All that an attachment to an overlay makes on its host, and claims in the store.
fn made(site: &Site, host: &Host) -> Result<String> {
    let links = host.run(&["ip", "-o", "link"])?.stdout;
    let links: Vec<&str> = links.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    let files = ["netns", "overlays", "endpoints", "attachments"]
        .map(|dir| host.sh(&format!("cd /run/netd && find {dir} -type f 2>/dev/null || true")));
    let files = files.into_iter().map(|it| Ok(it?.stdout)).collect::<Result<Vec<_>>>()?;
    let table = host.run(&["nft", "-s", "list", "ruleset"])?.stdout;
    let claims = ["blocks/", "endpoints/", "addresses/"].map(|part| site.stored(part).ok());
    Ok(format!("{links:?} {files:?} {claims:?} {table}"))
}

/// An attachment is refused with a text, and nothing of it is there.
fn refused(site: &Site, container: &Container, network: &str, texts: &[&str]) -> Result<()> {
    let before = made(site, container.host())?;
    let why = attach(container, network, &json!({})).err().context("it is refused")?.to_string();
    for text in texts.iter().chain(&[LATER]) {
        ensure!(why.contains(text), "{text:?} in {why}");
    }
    assert_eq!(made(site, container.host())?, before, "{why}");
    let links = container.run(&["ip", "-o", "link"])?.stdout;
    ensure!(links.lines().count() == 1, "{links}");
    Ok(())
}

/// Waits until a container can be attached, then that it talks.
fn is_well(container: Container, network: &str, there: &Guest) -> Result<Guest> {
    let mut result = None;
    wait_until("a container is attached", PATIENCE, || {
        result = attach(&container, network, &json!({})).ok();
        result.is_some()
    })?;
    let guest = Guest::attached(container, result.unwrap_or_default())?;
    together(&guest, there)?;
    Ok(guest)
}

#[test]
fn a_host_without_an_interface_between_hosts_refuses_first_containers_makes_nothing_and_is_well_again()
-> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        site.done(0, &["create", "-d", "overlay", "next"])?;
        let there = Guest::new(site.host(0)?, "there", "ov", &json!({}))?;
        let other = Guest::new(site.host(0)?, "other", "next", &json!({}))?;
        site.wait_shown(1, "next")?;
        let host = site.host(1)?.clone();
        let one = host.add_container("one")?;

        // An agent that starts so.
        site.nodes[1].kill();
        host.sh(CUT)?;
        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        let none = "network ov: this host has no interface to the other hosts: there is no IPv4 default route: \
                    name the interface with --iface; there are: ";
        site.nodes[1].agent()?.wait_for_log("no interface between hosts", PATIENCE)?;
        refused(site, &one, "ov", &[none, "eth0"])?;
        host.sh(MENDED)?;
        let here = is_well(one, "ov", &there)?;

        // One that loses it: what stands goes on, and nothing else is begun.
        host.sh(CUT)?;
        let told = || host.command(&[NETD, "status"]).output();
        let lost = "overlays have no interface to the other hosts";
        wait_until(lost, PATIENCE, || told().is_ok_and(|it| it.stdout.contains(lost)))?;
        let late = host.add_container("late")?;
        refused(
            site,
            &late,
            "next",
            &["network next: this host has no interface to the other hosts"],
        )?;
        let second = Guest::new(&host, "second", "ov", &json!({}))?;
        together(&second, &there)?;
        host.sh(MENDED)?;
        is_well(late, "next", &other)?;
        together(&here, &there)
    })
}

#[test]
fn an_interface_that_is_too_small_or_shrinks_is_told_with_who_must_start_anew_and_new_ones_have_its_size()
-> Result<()> {
    run(2, |site| {
        for (name, more) in [("v4", &[][..]), ("v6", &["--ipv6"])] {
            site.done(0, &[&["create", "-d", "overlay"], more, &[name]].concat())?;
            site.wait_shown(1, name)?;
        }
        let hosts = [site.host(0)?.clone(), site.host(1)?.clone()];
        let here = Guest::new(&hosts[0], "here", "v4", &json!({}))?;
        let there = Guest::new(&hosts[1], "there", "v4", &json!({}))?;
        together(&here, &there)?;
        assert_eq!(mtu(&here, "eth0")?, 1450);
        let netns = netns(site, "v4")?;
        let to_size = |size: &str| -> Result<()> {
            hosts[0].run(&["ip", "link", "set", "eth0", "mtu", size])?;
            let mtu = format!(" mtu {} ", size.parse::<u32>()? - 50);
            wait_until("the tunnel end follows", PATIENCE, || {
                ["vxlan0", "br0"].iter().all(|link| {
                    let shown = below(&hosts[0], &netns, &["ip", "link", "show", link]);
                    shown.is_ok_and(|shown| shown.stdout.contains(&mtu))
                })
            })
        };
        let status =
            || Ok::<_, anyhow::Error>(hosts[0].command(&[NETD, "status"]).output()?.stdout);

        to_size("1329")?;
        let lost = "interface eth0 has an MTU of 1329, which leaves 1279 bytes for a container's packets, and \
                    here had more when they were attached";
        wait_until(lost, PATIENCE, || status().is_ok_and(|it| it.contains(lost)))?;
        let late = hosts[0].add_container("late")?;
        let small = "network v6: interface eth0 has an MTU of 1329, which leaves 1279 bytes for a container's \
                     packets, and 1280 are needed: raise it by 1";
        refused(site, &late, "v6", &[small])?;
        let new = Guest::new(&hosts[0], "new", "v4", &json!({}))?;
        assert_eq!((mtu(&new, "eth0")?, mtu(&here, "eth0")?), (1279.into(), 1450.into()));
        let passes = |guest: &Guest, to: IpAddr, bytes: u32| -> Result<bool> {
            let words = ["python3", "-c", SEND, &to.to_string(), &(bytes - 28).to_string()];
            Ok(guest.container.command(&words).output()?.code == 0)
        };
        together(&new, &there)?;
        ensure!(
            passes(&new, there.ip, 1279)? && passes(&here, there.ip, 1279)?,
            "what fits passes"
        );
        ensure!(!passes(&here, there.ip, 1450)?, "what is told to be lost is lost");

        // Whoever starts anew is named no more.
        detach(&here.container, "v4")?;
        let text = "had more when they were attached";
        wait_until("nobody is named", PATIENCE, || status().is_ok_and(|it| !it.contains(text)))?;
        let again = attach(&here.container, "v4", &json!({}))?;
        let again = e2e::address(&again, 0)?;
        assert_eq!(mtu(&here, "eth0")?, 1279);
        ensure!(probe::pings(&there.container, again)? && passes(&here, there.ip, 1279)?);

        // 68 bytes are the least of IPv4.
        hosts[0].run(&["ip", "link", "set", "eth0", "mtu", "117"])?;
        let small = "eth0 has an MTU of 117, which leaves 67 bytes for a container's packets, and ";
        wait_until(small, PATIENCE, || status().is_ok_and(|it| it.contains(small)))?;
        let least = hosts[0].add_container("least")?;
        refused(site, &least, "v4", &[small, "68 are needed: raise it by 1"])?;
        to_size("1500")?;
        attach(&least, "v4", &json!({}))?;
        attach(&late, "v6", &json!({})).map(drop)
    })
}

#[test]
fn a_vxlan_device_of_somebody_elses_with_a_networks_number_is_named_and_when_it_is_gone_all_is_well()
-> Result<()> {
    run(2, |site| {
        let number =
            |number: &str| format!("com.docker.network.driver.overlay.vxlanid_list={number}");
        site.done(0, &["create", "-d", "overlay", "-o", &number("4097"), "ov"])?;
        site.done(0, &["create", "-d", "overlay", "-o", &number("4098"), "hidden"])?;
        site.wait_shown(1, "hidden")?;
        let there = Guest::new(site.host(0)?, "there", "ov", &json!({}))?;
        let host = site.host(1)?.clone();
        let device = |name: &str, vni: &str| {
            let words = ["ip", "link", "add", name, "type", "vxlan", "id", vni, "dstport", "4789"];
            host.command(&words)
                .args(["dev", "eth0", "local", "192.0.2.11", "nolearning", "proxy"])
                .run()
        };
        device("theirs", "4097")?;
        device("moved", "4098")?;
        host.sh("ip netns add docker; ip link set moved netns docker")?;
        device("third", "4099")?;

        let one = host.add_container("one")?;
        let named = "device theirs of this host has VNI 4097 on UDP port 4789 already: remove it (ip link del \
                     theirs), or make the network anew, with another VNI";
        refused_by_kernel(&one, "ov", named)?;
        let elsewhere =
            "a device in another namespace has VNI 4098 on UDP port 4789 of this host already";
        refused_by_kernel(&one, "hidden", elsewhere)?;
        assert_eq!(host.list("/run/netd/netns")?, Vec::<String>::new());
        assert_eq!(host.list("/run/netd/overlays")?, Vec::<String>::new());
        let why = site.refused(1, &["create", "-d", "overlay", "-o", &number("4099"), "b"])?;
        let text =
            "names VNI 4099, which device third of this host has: leave it out, or name another";
        ensure!(why.contains(text), "{why}");

        host.sh("ip link del theirs; ip netns exec docker ip link del moved")?;
        is_well(one, "ov", &there)?;
        attach(&host.add_container("two")?, "hidden", &json!({})).map(drop)
    })
}

fn refused_by_kernel(container: &Container, network: &str, text: &str) -> Result<()> {
    let why = attach(container, network, &json!({})).err().context("it is refused")?.to_string();
    ensure!(why.contains(text) && why.contains(LATER) && why.contains(network), "{why}");
    assert_eq!(why.matches("ip link add ").count(), 1, "the command is told once: {why}");
    let links = container.run(&["ip", "-o", "link"])?.stdout;
    ensure!(links.lines().count() == 1, "{links}");
    Ok(())
}
