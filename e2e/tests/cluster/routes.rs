//! Backends without a tunnel, and direct routes of the one that has one.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, Place as _};

use crate::site::{HOST_GW, Site, all_reach_all, run, wire_of_ping};

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
