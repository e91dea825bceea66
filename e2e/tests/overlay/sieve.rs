//! Whose frames a host lets in: those of hosts with containers on the network, and nobody else's.

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::detach;
use e2e::guest::Guest;
use e2e::{Capture, Host, PATIENCE, Place, probe, wait_until};
use serde_json::json;

use crate::guest::{mac, together};
use crate::site::{Site, run, serves};

/// IPv4 inside of VXLAN from the third host.
const FRAMES: &str = "udp dst port 4789 and src 192.0.2.12 and udp[28:2] = 0x0800";

/// What the stranger says it is on the network.
const CLAIMED: &str = "10.7.0.99";

#[test]
fn frames_for_a_network_are_let_in_from_hosts_that_are_on_it_and_from_no_other_on_the_wire()
-> Result<()> {
    run(3, |site| {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "n"])?;
        site.wait_shown(1, "n")?;
        let a = Guest::new(site.host(0)?, "a", "n", &json!({}))?;
        let b = Guest::new(site.host(1)?, "b", "n", &json!({}))?;
        together(&a, &b)?;
        let vni: u32 = site.stored("vnis/")?.first().context("a VNI")?.0.parse()?;
        let member = format!("192.0.2.10 . {vni:#x}");
        lets_in(site, 1, &[&member])?;

        // A container beside it would send by its host's address, which is let in.
        site.done(0, &["create", "beside"])?;
        let beside = Guest::new(site.host(0)?, "beside", "beside", &json!({}))?;
        beside.container.sh(&format!(
            "ip link add vx type vxlan id {vni} dstport 4789 remote 192.0.2.11 dev eth0 && \
             ip addr add 10.7.0.98/24 dev vx && ip link set vx up"
        ))?;
        let leaves = Capture::start(&beside.container, "eth0", "udp dst port 4789")?;
        let inside = Capture::start(&b.container, "eth0", "icmp")?;
        send(&beside.container, &b)?;
        leaves.stop_when("its frame", |packets| !packets.is_empty())?;
        without(inside, &a, &b, "10.7.0.98")?;

        // The third host is one of the cluster, and has no container on the network.
        tunnel(site.host(2)?, "vx", vni, CLAIMED)?;
        refused(site, &a, &b)?;
        // As soon as its address is one of those, the same frame is there.
        let stranger = format!("192.0.2.12 . {vni:#x}");
        site.host(1)?.run(&[
            "nft",
            "add element inet netd vteps4",
            &format!("{{ {stranger} }}"),
        ])?;
        let seen = Capture::start(&b.container, "eth0", &format!("icmp and src {CLAIMED}"))?;
        send(site.host(2)?, &b)?;
        seen.stop_when("the stranger's frame", |packets| !packets.is_empty())?;

        // Somebody flushes all rules, and netd is killed and comes back.
        site.host(1)?.run(&["nft", "flush", "ruleset"])?;
        lets_in(site, 1, &[&member])?;
        refused(site, &a, &b)?;
        site.nodes[1].kill();
        refused(site, &a, &b)?;
        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        lets_in(site, 1, &[&member])?;
        refused(site, &a, &b)?;

        // With a container on it, it is known as long as that is there. A number is one tunnel end's on a host.
        site.host(2)?.run(&["ip", "link", "del", "vx"])?;
        let c = Guest::new(site.host(2)?, "c", "n", &json!({}))?;
        together(&c, &b)?;
        lets_in(site, 1, &[&member, &stranger])?;
        detach(&c.container, "n")?;
        lets_in(site, 1, &[&member])?;
        tunnel(site.host(2)?, "vx", vni, CLAIMED)?;
        refused(site, &a, &b)?;

        // VXLAN of somebody else, by the same port, is none of netd's business.
        let others = |number: usize, own: &str| tunnel(site.host(number)?, "vx42", 42, own);
        others(2, "10.42.0.2")?;
        others(1, "10.42.0.1")?;
        probe::ping(site.host(2)?, "10.42.0.1".parse()?)?;

        detach(&b.container, "n")?;
        let left = elements(site, 1)?;
        ensure!(left.is_empty(), "{left:?} is left");
        Ok(())
    })
}

/// A tunnel end of an administrator's, to the second host, or from there to the third.
fn tunnel(host: &Host, name: &str, vni: u32, own: &str) -> Result<()> {
    let to = if host.name().ends_with('2') { "192.0.2.12" } else { "192.0.2.11" };
    host.sh(&format!(
        "ip link add {name} type vxlan id {vni} dstport 4789 remote {to} dev eth0 && \
         ip addr add {own}/24 dev {name} && ip link set {name} up"
    ))?;
    Ok(())
}

/// Whoever has a tunnel end of that name sends a frame of the network's to a container.
fn send(from: &impl Place, to: &Guest) -> Result<()> {
    let (ip, mac) = (to.ip, mac(to.ip)?);
    from.sh(&format!(
        "ip neigh replace {ip} lladdr {mac} dev vx && \
         (busybox ping -c 1 -W 1 {ip} || true)"
    ))?;
    Ok(())
}

/// What the third host sends comes to the second and to no container there, where the first one's does.
fn refused(site: &Site, member: &Guest, to: &Guest) -> Result<()> {
    let wire = Capture::start(site.host(1)?, "eth0", FRAMES)?;
    let inside = Capture::start(&to.container, "eth0", "icmp")?;
    send(site.host(2)?, to)?;
    wire.stop_when("the stranger's frame", |packets| !packets.is_empty())?;
    without(inside, member, to, CLAIMED)
}

/// What a host on the network sends comes in, and nothing from the other address.
fn without(inside: Capture, member: &Guest, to: &Guest, other: &str) -> Result<()> {
    probe::ping(&member.container, to.ip)?;
    let theirs = inside.stop_when("the member's frame", |packets| {
        packets.iter().any(|packet| packet.source_is(member.ip))
    })?;
    let claimed = other.parse()?;
    ensure!(!theirs.iter().any(|packet| packet.source_is(claimed)), "{theirs:?}");
    Ok(())
}

/// Waits until a host lets frames in from these alone, of the one network on it.
fn lets_in(site: &Site, host: usize, known: &[&str]) -> Result<()> {
    let expected = |all: &[String]| {
        let is_one = |it: &&str| all.iter().any(|there| there == it);
        all.len() == known.len() + 1 && known.iter().all(is_one)
    };
    wait_until("frames are let in from whom they are to be", PATIENCE, || {
        elements(site, host).is_ok_and(|all| expected(&all))
    })
    .with_context(|| format!("{:?}", elements(site, host)))
}

/// What lets frames in, of all networks.
fn elements(site: &Site, host: usize) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for set in ["closed_vnis", "vteps4", "vteps6"] {
        let listed = site.host(host)?.run(&["nft", "list", "set", "inet", "netd", set])?.stdout;
        let parts = listed.split_once("elements = {").map(|(_, rest)| rest.replace('}', ""));
        let each = parts.iter().flat_map(|parts| parts.split(','));
        let cut =
            each.map(|one| one.split(" comment").next().unwrap_or_default().trim().to_owned());
        all.extend(cut.filter(|one| !one.is_empty()));
    }
    Ok(all)
}
