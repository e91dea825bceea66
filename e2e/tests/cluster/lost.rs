//! A lease that somebody takes away: it is deleted, or another host's is in its place.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::rtnetlink::{Made, wait_until_made};
use e2e::{
    Cni, FOREIGN, Host, Lab, Member, Node, PATIENCE, PREFIX, Place as _, SUBNET_ENV, Stored, probe,
    wait_until,
};
use serde_json::{Value, json};

use crate::operate::netd;
use crate::site::{DUAL, Site, VXLAN, all_reach_all, run, v6};

/// The whole key of a node's lease, with its IPv6 subnet where it has one.
pub(crate) fn key(node: &Node) -> Result<String> {
    let v6 = node.env("FLANNEL_IPV6_SUBNET").ok().map(|gateway| {
        let base = gateway.replacen("::1/", "::/", 1).replace('/', "-");
        format!("&{base}")
    });
    Ok(format!("{PREFIX}/subnets/{}{}", node.key()?, v6.unwrap_or_default()))
}

/// Every container reaches every other by each family of a configuration.
pub(crate) fn all_reach_by(config: &str, members: &[Member]) -> Result<()> {
    all_reach_all(members)?;
    if config != DUAL {
        return Ok(());
    }
    for from in members {
        for to in members.iter().filter(|to| to.ip != from.ip) {
            probe::ping(&from.container, v6(to)?)?;
        }
    }
    Ok(())
}

/// Value of a key, and etcd's lease that it ends with.
fn stored(site: &Site, key: &str) -> Result<Stored> {
    let (all, _) = site.etcd.all()?;
    all.into_iter().find(|stored| stored.key == key).context("a key")
}

/// All that leads from a host to its peers.
pub(crate) fn made(host: &Host) -> Result<BTreeSet<Made>> {
    let mut seen = BTreeSet::new();
    wait_until_made(host, "peers", PATIENCE, |made| {
        seen.clone_from(made);
        !made.is_empty()
    })?;
    Ok(seen)
}

fn status(host: &Host) -> Result<(i32, String)> {
    let output = netd(host, &["status"])?;
    Ok((output.code, output.stdout))
}

/// Readiness and status tell that the lease of a subnet is lost, and why. Gives what readiness says.
pub(crate) fn is_lost(node: &Node, subnet: &str, reason: &str) -> Result<String> {
    let mut said = String::new();
    wait_until("readiness is gone", PATIENCE, || {
        let Ok((code, text)) = node.health("readyz") else { return false };
        said.clone_from(&text);
        code == 503 && text.contains(reason)
    })
    .with_context(|| said.clone())?;
    let (code, told) = status(&node.host)?;
    let subnet = subnet.replace('-', "/");
    let lost = format!(", lost: {reason}");
    ensure!(code == 1 && told.contains(&subnet) && told.contains(&lost), "{code}: {told}");
    Ok(said)
}

#[test]
fn a_lease_that_somebody_deletes_is_taken_again_as_it_was() -> Result<()> {
    run(|lab| is_taken_again(lab, VXLAN))
}

#[test]
fn a_lease_that_somebody_deletes_is_taken_again_in_dual_stack() -> Result<()> {
    run(|lab| is_taken_again(lab, DUAL))
}

fn is_taken_again(lab: &Lab, config: &str) -> Result<()> {
    let mut site = Site::new(lab, config, 2, &["-ip-masq"])?;
    let members = site.members()?;
    let (host, key) = (site.nodes[0].host.clone(), key(&site.nodes[0])?);
    let (before, there) = (stored(&site, &key)?, made(&host)?);
    let env = host.read(SUBNET_ENV)?;
    for times in 1..=3 {
        site.etcd.ctl(&["del", &key])?;
        wait_until("the same value, with the same lease of etcd's", PATIENCE, || {
            stored(&site, &key).is_ok_and(|now| now == before)
        })?;
        wait_until("the log tells", PATIENCE, || {
            let agent = site.nodes[0].agent();
            agent.is_ok_and(|a| a.log().matches("it is taken again").count() == times)
        })?;
    }
    members[1].wait_to_reach(members[0].ip, PATIENCE)?;
    all_reach_by(config, &members)?;
    assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there, env), "nothing here changed");
    assert_eq!(site.nodes[0].health("readyz")?.0, 200);
    let (code, told) = status(&host)?;
    ensure!(code == 0 && told.contains(", held for "), "{code}: {told}");
    Ok(())
}

#[test]
fn a_lease_that_another_host_overwrites_is_lost_and_said_so_and_containers_stay() -> Result<()> {
    run(|lab| is_overwritten(lab, VXLAN))
}

#[test]
fn a_lease_that_another_host_overwrites_is_lost_in_dual_stack() -> Result<()> {
    run(|lab| is_overwritten(lab, DUAL))
}

fn is_overwritten(lab: &Lab, config: &str) -> Result<()> {
    let mut site = Site::new(lab, config, 2, &["-ip-masq"])?;
    let mut members = site.members()?;
    members.push(site.nodes[0].add("neighbour")?);
    let (host, key) = (site.nodes[0].host.clone(), key(&site.nodes[0])?);
    let there = made(&host)?;
    let env = host.read(SUBNET_ENV)?;
    site.etcd.ctl(&["put", &key, FOREIGN])?;
    is_told(&mut site, "the host at 192.0.2.77 has it")?;
    takes_no_containers(&host)?;

    // What leads to others, and what is attached, is as it was.
    assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there.clone(), env));
    members[0].wait_to_reach(members[2].ip, PATIENCE)?;
    // Nothing is written over the other host's, whatever else happens in the store.
    site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/10.5.0.0-24"), "{"])?;
    site.nodes[0].agent()?.wait_for_log("10.5.0.0-24", PATIENCE)?;
    assert_eq!(site.etcd.list(&key)?, [(key.clone(), FOREIGN.to_owned())]);

    // When the other gives it up, it is this host's again, with all that there was.
    site.etcd.ctl(&["del", &key])?;
    is_whole_again(&mut site, config, &members, &there)
}

/// The lease is this host's again, and all is as before, and more containers can be attached.
fn is_whole_again(
    site: &mut Site,
    config: &str,
    members: &[Member],
    there: &BTreeSet<Made>,
) -> Result<()> {
    let host = site.nodes[0].host.clone();
    site.nodes[0].wait_ready()?;
    members[1].wait_to_reach(members[0].ip, PATIENCE)?;
    all_reach_by(config, members)?;
    assert_eq!(made(&host)?, *there);
    let (code, told) = status(&host)?;
    ensure!(code == 0 && told.contains("ready      yes"), "{code}: {told}");
    let container = host.add_container("late")?;
    Cni::new(&container).call("ADD", "overlay", &network("overlay"))?.result().map(drop)
}

#[test]
fn a_lease_is_lost_to_one_that_has_nothing_but_its_ipv6_subnet() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, DUAL, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let (host, key) = (site.nodes[0].host.clone(), key(&site.nodes[0])?);
        let (there, env) = (made(&host)?, host.read(SUBNET_ENV)?);
        let v6 = key.rsplit('&').next().context("an IPv6 subnet")?;
        let used = |third: &&str| {
            site.nodes.iter().all(|n| n.key().is_ok_and(|k| k != format!("10.5.{third}.0-24")))
        };
        let third = ["200", "201", "202"].into_iter().find(used).context("a free subnet")?;
        let other = format!("10.5.{third}.0-24&{v6}");
        site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/{other}"), FOREIGN])?;
        site.etcd.ctl(&["del", &key])?;
        is_told(&mut site, &format!("{other} was leased meanwhile"))?;
        assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there.clone(), env));
        site.etcd.ctl(&["del", &format!("{PREFIX}/subnets/{other}")])?;
        is_whole_again(&mut site, DUAL, &members, &there)
    })
}

/// Log, metrics, readiness and status tell that the lease is lost.
fn is_told(site: &mut Site, reason: &str) -> Result<()> {
    let node = site.nodes.first_mut().context("a host")?;
    is_lost(node, &node.key()?, reason)?;
    let (_, metrics) = node.health("metrics")?;
    ensure!(metrics.contains("netd_lease_state{state=\"lost\"} 1"), "{metrics}");
    let log = node.agent()?.log();
    assert_eq!(log.matches("the lease is lost").count(), 1, "{log}");
    Ok(())
}

/// STATUS is 51, and ADD is refused and leaves nothing behind, also of the plugin that reads the file.
pub(crate) fn takes_no_containers(host: &Host) -> Result<()> {
    let container = host.add_container("refused")?;
    let cni = Cni::new(&container);
    for plugin in ["overlay", "flannel"] {
        for (verb, want) in [("STATUS", 51), ("ADD", 11)] {
            let (code, text) = cni.call(verb, plugin, &network(plugin))?.error()?;
            let is_right = code == want && text.contains("192.0.2.77 has it");
            ensure!(is_right, "{verb} of {plugin}: {code}: {text}");
        }
    }
    assert_eq!(container.interfaces()?, ["lo"]);
    let left = host.sh("ls /run/netd/attachments/pods 2>/dev/null || true")?.stdout;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

fn network(plugin: &str) -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "type": plugin,
        "delegate": { "isDefaultGateway": true } })
}
