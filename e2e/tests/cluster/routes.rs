//! Backends without a tunnel, and direct routes of the one that has one.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::rtnetlink::{Made, wait_until_made};
use e2e::{PATIENCE, Place as _, wait_until};

use crate::site::{HOST_GW, Site, all_reach_all, run, wire_of_ping};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn host_gw_connects_by_plain_routes_that_survive_the_uplink() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, HOST_GW, 3, &["-ip-masq"])?;
        let members = site.members()?;
        all_reach_all(&members)?;
        let host = &site.nodes[0].host;
        ensure!(!host.interfaces()?.iter().any(|name| name.starts_with("flannel")));
        ensure!(site.nodes[0].env("FLANNEL_MTU")? == "1500");
        // The ping itself.
        let ends = (&members[0], &members[1]);
        wire_of_ping(&site.nodes[0], "icmp", ends, |packet| packet.source_is(ends.0.ip))?;
        host.sh("ip link set eth0 down; ip link set eth0 up; ip route add default via 192.0.2.1")?;
        members[0].wait_to_reach(members[2].ip, PATIENCE)
    })
}

#[test]
fn direct_routing_encapsulates_nothing_between_neighbours() -> Result<()> {
    run(|lab| {
        let config = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}"#;
        let site = Site::new(lab, config, 2, &["-ip-masq"])?;
        let members = site.members()?;
        all_reach_all(&members)?;
        let fdb = site.nodes[0].host.run(&["bridge", "fdb", "show", "dev", "flannel.1"])?;
        ensure!(!fdb.stdout.contains("dst"), "{fdb:?}");
        let routes = site.nodes[0].host.run(&["ip", "route", "show", "proto", "78"])?.stdout;
        ensure!(routes.contains(&format!("via {} dev eth0", site.uplinks[1].v4)), "{routes}");
        Ok(())
    })
}

#[test]
fn alloc_leases_and_connects_nobody() -> Result<()> {
    run(|lab| {
        let config = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"alloc"}}"#;
        let site = Site::new(lab, config, 2, &[])?;
        for node in &site.nodes {
            ensure!(node.host.run(&["ip", "route", "show", "proto", "78"])?.stdout.is_empty());
        }
        Ok(())
    })
}

#[test]
fn a_new_hosts_containers_reach_all_others_within_a_second_of_its_lease() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, crate::site::VXLAN, 2, &["-ip-masq"])?;
        let old = site.members()?;
        site.add(lab, "host3", &["-ip-masq"])?;
        let mut known = String::new();
        wait_until("the lease of host3", PATIENCE, || {
            let leases = site.etcd.list(&format!("{}/subnets", e2e::PREFIX)).unwrap_or_default();
            let new = leases.iter().find(|(_, value)| value.contains("192.0.2.12"));
            known = new.map(|(key, _)| key.clone()).unwrap_or_default();
            !known.is_empty()
        })?;
        // The others have the route at once; the bound is generous for a busy machine.
        let key = known.rsplit('/').next().unwrap_or_default();
        let (base, length) = key.split_once('-').context("a prefix length in the key")?;
        let subnet = (base.parse()?, length.parse()?);
        wait_until_made(&site.nodes[0].host, "the route to host3", SECOND, |made| {
            made.iter().any(|made| matches!(made, Made::Route { to, .. } if *to == subnet))
        })?;
        site.nodes[2].wait_ready()?;
        let new = site.nodes[2].add("web")?;
        for member in &old {
            new.wait_to_reach(member.ip, SECOND)?;
            member.wait_to_reach(new.ip, SECOND)?;
        }
        Ok(())
    })
}
