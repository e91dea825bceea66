//! Hosts with agents that share networks.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use e2e::{
    Etcd, Host, Internet, Lab, NETD, Node, Output, PATIENCE, Place as _, networks,
    require_programs, wait_for, wait_until,
};
use serde_json::Value;

const STORE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// What is in the store of networks of the cluster.
pub(crate) const GLOBAL: &str = "/netd/v1/global/";

/// Hosts with agents that share networks. They end before the store does.
pub(crate) struct Site {
    pub(crate) nodes: Vec<Node>,
    pub(crate) etcd: Etcd,
    pub(crate) internet: Internet,
}

/// Runs a test with so many hosts.
pub(crate) fn run(hosts: usize, test: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
    run_with(hosts, &[], test)
}

/// The same, with options of the agents.
pub(crate) fn run_with(
    hosts: usize,
    options: &[&str],
    test: impl FnOnce(&mut Site) -> Result<()>,
) -> Result<()> {
    with_store(|host| Etcd::start(host, STORE), hosts, options, test)
}

/// The same, where the hosts' user of etcd may touch flannel's prefix only.
pub(crate) fn run_secured(hosts: usize, test: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
    with_store(|host| Etcd::secured(host, STORE), hosts, &[], test)
}

fn with_store(
    store: impl FnOnce(&Host) -> Result<Etcd>,
    hosts: usize,
    options: &[&str],
    test: impl FnOnce(&mut Site) -> Result<()>,
) -> Result<()> {
    if !require_programs(&["etcd", "etcdctl"])? {
        return Ok(());
    }
    Lab::run(|lab| test(&mut start_in(lab, store, hosts, options)?))
}

/// So many hosts in a lab.
pub(crate) fn start(lab: &Lab, hosts: usize) -> Result<Site> {
    start_in(lab, |host| Etcd::start(host, STORE), hosts, &[])
}

fn start_in(
    lab: &Lab,
    store: impl FnOnce(&Host) -> Result<Etcd>,
    hosts: usize,
    options: &[&str],
) -> Result<Site> {
    let internet = lab.internet()?;
    let etcd = store(&internet.host)?;
    let mut site = Site { nodes: Vec::new(), etcd, internet };
    for number in 1..=hosts {
        let host = lab.host(&format!("host{number}"))?;
        site.internet.connect(lab, &host)?;
        site.nodes.push(Node::start(&host, &site.etcd, options)?);
    }
    site.nodes.iter_mut().try_for_each(serves)?;
    Ok(site)
}

/// Waits until a host's agent serves networks.
pub(crate) fn serves(node: &mut Node) -> Result<()> {
    let host = node.host.clone();
    let what = format!("{} serves networks", host.name());
    let served = wait_until(&what, PATIENCE, || {
        host.command(&[NETD, "network", "ls"]).output().is_ok_and(|output| output.code == 0)
    });
    let agent = node.agent()?;
    served.with_context(|| agent.log())
}

impl Site {
    /// One of the hosts, by its number from 0.
    pub(crate) fn host(&self, number: usize) -> Result<&Host> {
        Ok(&self.nodes.get(number).context("such a host")?.host)
    }

    /// `netd network` with these words on a host, whatever its exit status.
    pub(crate) fn network(&self, host: usize, words: &[&str]) -> Result<Output> {
        networks::network(self.host(host)?, words)
    }

    /// The same, which must succeed; its standard output without the last line's end.
    pub(crate) fn done(&self, host: usize, words: &[&str]) -> Result<String> {
        networks::done(self.host(host)?, words)
    }

    /// The same, which must fail: status 1 and what it says.
    pub(crate) fn refused(&self, host: usize, words: &[&str]) -> Result<String> {
        networks::refused(self.host(host)?, words)
    }

    /// What `inspect` shows of one network.
    pub(crate) fn inspect(&self, host: usize, word: &str) -> Result<Value> {
        networks::inspect(self.host(host)?, word)
    }

    /// Waits until a host has a network of this name; gives what is shown of it.
    pub(crate) fn wait_shown(&self, host: usize, name: &str) -> Result<Value> {
        let what = format!("{name} is on host{}", host + 1);
        wait_for(&what, PATIENCE, || self.inspect(host, name).map(Some))
    }

    /// Waits until a host has no network of this name.
    pub(crate) fn wait_gone(&self, host: usize, name: &str) -> Result<()> {
        wait_until(&format!("{name} is gone from host{}", host + 1), PATIENCE, || {
            let shown = self.network(host, &["inspect", name]);
            shown.is_ok_and(|it| it.code == 1 && it.stderr.contains("not found"))
        })
    }

    /// What is in the store below a part of what is netd's, without its prefix.
    pub(crate) fn stored(&self, part: &str) -> Result<Vec<(String, String)>> {
        let prefix = format!("{GLOBAL}{part}");
        let all = self.etcd.list(&prefix)?.into_iter();
        let cut = |key: String| key.trim_start_matches(&prefix).to_owned();
        Ok(all.map(|(key, value)| (cut(key), value)).collect())
    }
}
