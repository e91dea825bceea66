//! A lease that somebody takes away: it is deleted, or another host's is in its place.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::rtnetlink::{Made, wait_until_made};
use e2e::{Cni, Host, NETD, Node, PATIENCE, PREFIX, Place as _, SUBNET_ENV, wait_until};
use serde_json::{Value, json};

use crate::site::{Site, VXLAN, all_reach_all, run};

/// What a host with flanneld writes, after a restore of etcd or with a subnet file of ours.
const FOREIGN: &str = r#"{"PublicIP":"192.0.2.77","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#;

fn key(node: &Node) -> Result<String> {
    Ok(format!("{PREFIX}/subnets/{}", node.key()?))
}

/// Value of a key, and etcd's lease that it ends with.
fn stored(site: &Site, key: &str) -> Result<(Value, Value)> {
    let told = site.etcd.ctl(&["get", key, "-w", "json"])?.json()?;
    let of = |name: &str| told.pointer(&format!("/kvs/0/{name}")).cloned().context("a key");
    Ok((of("value")?, of("lease")?))
}

/// All that leads from a host to its peers.
fn made(host: &Host) -> Result<BTreeSet<Made>> {
    let mut seen = BTreeSet::new();
    wait_until_made(host, "peers", PATIENCE, |made| {
        seen.clone_from(made);
        !made.is_empty()
    })?;
    Ok(seen)
}

fn status(host: &Host) -> Result<(i32, String)> {
    let output = host.command(&[NETD]).args(["status"]).output()?;
    Ok((output.code, output.stdout))
}

#[test]
fn a_lease_that_somebody_deletes_is_taken_again_as_it_was() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
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
        all_reach_all(&members)?;
        assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there, env), "nothing here changed");
        assert_eq!(site.nodes[0].health("readyz")?.0, 200);
        let (code, told) = status(&host)?;
        ensure!(code == 0 && told.contains(", held for "), "{code}: {told}");
        Ok(())
    })
}

#[test]
fn a_lease_that_another_host_overwrites_is_lost_and_said_so_and_containers_stay() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let mut members = site.members()?;
        members.push(site.nodes[0].add("neighbour")?);
        let (host, key) = (site.nodes[0].host.clone(), key(&site.nodes[0])?);
        let there = made(&host)?;
        let env = host.read(SUBNET_ENV)?;
        site.etcd.ctl(&["put", &key, FOREIGN])?;
        is_told(&mut site)?;
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
        site.nodes[0].wait_ready()?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        all_reach_all(&members)?;
        assert_eq!(made(&host)?, there);
        let (code, told) = status(&host)?;
        ensure!(code == 0 && told.contains("ready      yes"), "{code}: {told}");
        let container = host.add_container("late")?;
        Cni::new(&container).call("ADD", "overlay", &network())?.result().map(drop)
    })
}

/// Log, readiness and status name who has the lease.
fn is_told(site: &mut Site) -> Result<()> {
    let node = site.nodes.first_mut().context("a host")?;
    let reason = "the host at 192.0.2.77 has it";
    wait_until("readiness is gone", PATIENCE, || {
        let answer = node.health("readyz");
        answer.is_ok_and(|(code, text)| code == 503 && text.contains(reason))
    })?;
    let (code, told) = status(&node.host)?;
    let subnet = node.key()?.replace('-', "/");
    ensure!(code == 1 && told.contains(&format!("{subnet}, lost: {reason}")), "{code}: {told}");
    let (_, metrics) = node.health("metrics")?;
    ensure!(metrics.contains("netd_lease_state{state=\"lost\"} 1"), "{metrics}");
    let log = node.agent()?.log();
    assert_eq!(log.matches("the lease is lost").count(), 1, "{log}");
    Ok(())
}

/// STATUS is 51, and ADD is refused and leaves nothing behind.
fn takes_no_containers(host: &Host) -> Result<()> {
    let container = host.add_container("refused")?;
    let cni = Cni::new(&container);
    let (code, text) = cni.call("STATUS", "overlay", &network())?.error()?;
    ensure!(code == 51 && text.contains("192.0.2.77 has it"), "{code}: {text}");
    let (code, text) = cni.call("ADD", "overlay", &network())?.error()?;
    ensure!(code == 11 && text.contains("192.0.2.77 has it"), "{code}: {text}");
    assert_eq!(container.interfaces()?, ["lo"]);
    let left = host.sh("ls /run/netd/attachments/pods 2>/dev/null || true")?.stdout;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

fn network() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "type": "overlay",
        "delegate": { "isDefaultGateway": true } })
}
