//! More hosts than subnets.

use anyhow::{Context as _, Result, ensure};
use e2e::{NETD, Node, PATIENCE, PREFIX, Place as _, Uplink, wait_until};

use crate::site::{Site, all_reach_all, run};

/// A network of so many subnets, from 10.5.7.0/24 on.
fn network(subnets: u8) -> String {
    let last = 7 + subnets - 1;
    format!(
        r#"{{"Network":"10.5.0.0/16","SubnetMin":"10.5.7.0","SubnetMax":"10.5.{last}.0","Backend":{{"Type":"vxlan"}}}}"#
    )
}

fn release(site: &Site, by: &Node, key: &str) -> Result<()> {
    let (subnet, url) = (key.replace('-', "/"), site.etcd.url());
    by.host.run(&[NETD, "lease", "release", &subnet, "--etcd-endpoints", url]).map(drop)
}

/// There is one lease, of this host.
fn is_leased_by(site: &Site, uplink: &Uplink) -> Result<()> {
    let leases = site.etcd.list(&format!("{PREFIX}/subnets"))?;
    let of_host = |(_, value): &(String, String)| value.contains(&format!("\"{}\"", uplink.v4));
    ensure!(leases.len() == 1 && leases.iter().all(of_host), "{leases:?}");
    Ok(())
}

/// Waits until a host has said that all subnets are taken, and checks that it has done nothing
/// else.
fn is_turned_away(node: &mut Node, subnets: u8) -> Result<()> {
    let said = format!("all {subnets} subnets of 10.5.0.0/16 are leased: release one");
    node.agent()?.wait_for_log(&said, PATIENCE)?;
    let (status, body) = node.health("readyz")?;
    ensure!(status == 503 && body.contains(&said), "{status} {body}");
    ensure!(node.host.interfaces()? == ["eth0", "lo"], "the kernel is as it was");
    let table = node.host.run(&["nft", "list", "ruleset"])?.stdout;
    ensure!(table.is_empty(), "{table}");
    Ok(())
}

#[test]
fn of_two_hosts_that_want_the_last_subnet_one_has_it_and_the_other_waits_for_it() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        for name in ["host1", "host2"] {
            site.add(lab, name, &[])?;
        }
        for node in &mut site.nodes {
            node.agent()?.wait_for_log("there is no network configuration", PATIENCE)?;
        }
        // Both see it within the same second.
        site.etcd.configure(&network(1))?;
        let ready = |node: &Node| node.health("readyz").is_ok_and(|(status, _)| status == 200);
        let mut winner = None;
        wait_until("one host has the subnet", PATIENCE, || {
            winner = site.nodes.iter().position(ready);
            winner.is_some()
        })?;
        let winner = winner.context("a winner")?;
        let loser = 1 - winner;
        is_turned_away(&mut site.nodes[loser], 1)?;
        assert_eq!(site.nodes[winner].key()?, "10.5.7.0-24");
        is_leased_by(&site, &site.uplinks[winner])?;

        site.nodes[winner].stop()?;
        release(&site, &site.nodes[loser], "10.5.7.0-24")?;
        site.nodes[loser].wait_ready()?;
        assert_eq!(site.nodes[loser].key()?, "10.5.7.0-24");
        is_leased_by(&site, &site.uplinks[loser])?;
        let log = site.nodes[loser].agent()?.log();
        ensure!(log.matches("subnets of 10.5.0.0/16 are leased").count() == 1, "once: {log}");
        Ok(())
    })
}

#[test]
fn an_exhausted_network_serves_those_that_have_it_and_the_next_once_it_is_larger() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, &network(2), 2, &["-ip-masq"])?;
        let members = site.members()?;
        site.add(lab, "host3", &["-ip-masq"])?;
        is_turned_away(&mut site.nodes[2], 2)?;
        all_reach_all(&members)?;
        site.etcd.configure(&network(3))?;
        site.nodes[2].wait_ready()?;
        assert_eq!(site.nodes[2].key()?, "10.5.9.0-24");
        let mut members = members;
        members.push(site.nodes[2].add("web")?);
        all_reach_all(&members)
    })
}
