//! An agent that starts while another host has its lease.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{FOREIGN, Lab, Member, NETD, Node, PATIENCE, Place as _, SUBNET_ENV};
use serde_json::json;

use crate::lost::{all_reach_by, is_lost, key, made, takes_no_containers};
use crate::site::{DUAL, Site, VXLAN, all_reach_all, run};

/// Kills the first host's agent, and writes another host's lease in the place of its own.
fn take_away(site: &mut Site) -> Result<String> {
    let node = site.nodes.first_mut().context("a host")?;
    let key = key(node)?;
    node.kill();
    site.etcd.ctl(&["put", &key, FOREIGN])?;
    Ok(key)
}

/// Readiness, status and log name who has the lease, and what to do.
fn is_told(node: &mut Node, subnet: &str) -> Result<()> {
    let said = is_lost(node, subnet, "the host at 192.0.2.77 has it")?;
    ensure!(said.contains("`netd lease acquire --new`"), "{said}");
    node.agent()?.wait_for_log("the lease is lost", PATIENCE)
}

/// By a network whose bridge follows the host's subnet.
fn attach(node: &Node, name: &str) -> Result<Member> {
    let plugin = json!({ "type": "overlay", "delegate": { "isDefaultGateway": true } });
    node.add_by(name, json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [plugin] }))
}

#[test]
fn an_agent_that_starts_while_another_host_has_its_lease_keeps_its_containers_and_takes_no_more()
-> Result<()> {
    run(|lab| keeps_its_containers(lab, VXLAN))
}

#[test]
fn an_agent_that_starts_while_another_host_has_its_lease_keeps_its_containers_in_dual_stack()
-> Result<()> {
    run(|lab| keeps_its_containers(lab, DUAL))
}

fn keeps_its_containers(lab: &Lab, config: &str) -> Result<()> {
    let mut site = Site::new(lab, config, 2, &["-ip-masq"])?;
    let mut members = site.members()?;
    members.push(site.nodes[0].add("neighbour")?);
    let host = site.nodes[0].host.clone();
    let (there, env, subnet) = (made(&host)?, host.read(SUBNET_ENV)?, site.nodes[0].key()?);
    let key = take_away(&mut site)?;
    for _ in 0..2 {
        site.nodes[0].resume()?;
        is_told(&mut site.nodes[0], &subnet)?;
        assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there.clone(), env.clone()));
        members[0].wait_to_reach(members[2].ip, PATIENCE)?;
        // The record of before is no better than this one.
        site.nodes[0].kill();
    }
    site.nodes[0].resume()?;
    is_told(&mut site.nodes[0], &subnet)?;
    takes_no_containers(&host)?;
    assert_eq!(site.etcd.list(&key)?, [(key.clone(), FOREIGN.to_owned())]);

    // Once its last container is gone nothing keeps the host from another subnet.
    members[0].del()?;
    is_told(&mut site.nodes[0], &subnet)?;
    members[2].del()?;
    site.nodes[0].wait_ready()?;
    ensure!(site.nodes[0].key()? != subnet, "{subnet}");
    assert_eq!(site.etcd.list(&key)?, [(key.clone(), FOREIGN.to_owned())]);
    let late = attach(&site.nodes[0], "late")?;
    late.wait_to_reach(members[1].ip, PATIENCE)?;
    all_reach_by(config, &[late, members.remove(1)])
}

#[test]
fn without_containers_an_agent_that_starts_takes_another_subnet() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let member = site.nodes[0].add("gone")?;
        member.del()?;
        let subnet = site.nodes[0].key()?;
        let key = take_away(&mut site)?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        ensure!(site.nodes[0].key()? != subnet, "{subnet}");
        assert_eq!(site.etcd.list(&key)?, [(key.clone(), FOREIGN.to_owned())]);
        let (here, far) = (attach(&site.nodes[0], "web")?, site.nodes[1].add("web")?);
        all_reach_all(&[here, far])
    })
}

#[test]
fn an_administrator_gives_a_host_another_subnet_than_its_containers_have() -> Result<()> {
    run(|lab| is_given_another(lab, Site::without_nodes(lab)?, VXLAN))
}

#[test]
fn an_administrator_gives_a_host_another_subnet_in_dual_stack() -> Result<()> {
    run(|lab| is_given_another(lab, Site::without_nodes(lab)?, DUAL))
}

#[test]
fn an_administrator_gives_a_host_without_rights_to_netds_own_prefix_another_subnet() -> Result<()> {
    run(|lab| is_given_another(lab, Site::with_secured_store(lab)?, VXLAN))
}

fn is_given_another(lab: &Lab, mut site: Site, config: &str) -> Result<()> {
    site.fill(lab, config, 2, &["-ip-masq"])?;
    let _members = site.members()?;
    let (host, subnet) = (site.nodes[0].host.clone(), site.nodes[0].key()?);
    let mut acquire = vec!["lease", "acquire", "--new", "--public-ip", "192.0.2.10"];
    let flags = site.etcd.flags(&host)?;
    acquire.extend(flags.iter().map(String::as_str));
    let command = || host.command(&[NETD]).args(&acquire).output();
    let refused = command()?;
    let has = format!("this host has {}", subnet.replace('-', "/"));
    ensure!(refused.code == 1 && refused.stderr.contains(&has), "{refused:?}");

    let key = take_away(&mut site)?;
    site.nodes[0].resume()?;
    is_told(&mut site.nodes[0], &subnet)?;
    let given = command()?;
    ensure!(given.code == 0, "{given:?}");
    site.nodes[0].wait_ready()?;
    let new = site.nodes[0].key()?;
    ensure!(given.stdout.contains(&new.replace('-', "/")), "{new}: {given:?}");
    assert_eq!(site.etcd.list(&key)?, [(key.clone(), FOREIGN.to_owned())]);
    let late = attach(&site.nodes[0], "late")?;
    let far = site.nodes[1].add("far")?;
    late.wait_to_reach(far.ip, PATIENCE)?;
    all_reach_by(config, &[late, far])
}

#[test]
fn a_store_that_comes_back_with_another_hosts_lease_is_believed_and_containers_stay() -> Result<()>
{
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let mut members = site.members()?;
        members.push(site.nodes[0].add("neighbour")?);
        let host = site.nodes[0].host.clone();
        let (there, env, subnet) = (made(&host)?, host.read(SUBNET_ENV)?, site.nodes[0].key()?);
        let key = take_away(&mut site)?;
        site.etcd.kill()?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        site.etcd.resume()?;
        is_told(&mut site.nodes[0], &subnet)?;
        takes_no_containers(&host)?;
        assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there.clone(), env.clone()));
        members[0].wait_to_reach(members[2].ip, Duration::from_secs(5))?;

        // It is not forgotten by an agent that starts when nobody can be asked.
        site.etcd.kill()?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        is_told(&mut site.nodes[0], &subnet)?;
        site.etcd.resume()?;

        site.etcd.ctl(&["del", &key])?;
        site.nodes[0].wait_ready()?;
        members[1].wait_to_reach(members[0].ip, PATIENCE)?;
        all_reach_all(&members)?;
        assert_eq!((made(&host)?, host.read(SUBNET_ENV)?), (there, env));
        Ok(())
    })
}
