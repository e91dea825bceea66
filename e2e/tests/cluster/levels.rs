//! What the log says at which level: the table of docs/guide/operate.md.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, PREFIX, Place as _, wait_until};

use crate::site::{Site, VXLAN, run};

/// How many lines a quiet start has at most.
const QUIET: usize = 20;

#[test]
fn a_start_without_trouble_says_what_is_in_force_and_nothing_of_a_higher_level() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq", "-log=info"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        for node in &mut site.nodes {
            let log = node.agent()?.log();
            let says = |level: &str| log.lines().filter(|line| line.contains(level)).count();
            ensure!(says(" WARN ") + says(" ERROR ") + says(" DEBUG ") == 0, "{log}");
            for what in ["network", "interface between hosts", "leased", "ready"] {
                ensure!(log.contains(&format!(" {what}")), "{what} in {log}");
            }
            ensure!(says(" INFO ") <= QUIET, "{log}");
        }
        Ok(())
    })
}

/// What happens, and the level and some words of a line that follows.
type Case = (fn(&mut Site) -> Result<()>, &'static str, &'static str);

const CASES: &[Case] = &[
    (|_| Ok(()), "INFO", "network=10.5.0.0/16"),
    (|_| Ok(()), "INFO", "interface between hosts"),
    (|_| Ok(()), "INFO", "leased"),
    (|_| Ok(()), "INFO", " ready"),
    (|_| Ok(()), "DEBUG", "command=ip link add name flannel.1"),
    (|site| on_host(site, "rm /run/flannel/subnet.env"), "WARN", "was changed or removed"),
    (
        |site| on_host(site, "nft delete table inet netd_cluster"),
        "WARN",
        "rules of traffic were not",
    ),
    (|site| on_host(site, "ip link del flannel.1"), "WARN", "what netd had made was changed"),
    (|site| put(site, "10.5.0.0-24", "udp"), "WARN", "peer cannot be used"),
    (|site| delete(site, &site.nodes[0].key()?), "WARN", "the lease was gone; it is taken again"),
    (|site| on_host(site, "ip link set eth0 mtu 1400"), "INFO", "between hosts changed"),
    (
        |site| site.etcd.configure(&VXLAN.replace("vxlan\"", "vxlan\",\"DirectRouting\":true")),
        "INFO",
        "another network configuration is in force",
    ),
    (
        |site| site.etcd.configure(&VXLAN.replace("vxlan\"", "vxlan\",\"VNI\":7")),
        "ERROR",
        "the network configuration of the store is not followed",
    ),
    (|site| put(site, &site.nodes[0].key()?, "vxlan"), "ERROR", "the lease is lost"),
    (|site| delete(site, &site.nodes[0].key()?), "INFO", "the lease is this host's again"),
    (
        |site| on_host(site, "mount -t tmpfs -o ro none /run/flannel; ip link set eth0 mtu 1390"),
        "ERROR",
        "write /run/flannel/subnet.env",
    ),
    (|site| site.etcd.kill(), "WARN", "the store cannot be followed; trying again"),
];

#[test]
fn each_condition_of_the_guides_table_is_logged_at_its_level() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &["-ip-masq", "-log=debug"])?;
        // With it a lost lease is not given up.
        let _member = site.nodes[0].add("web")?;
        let mut before = 0;
        for (happens, level, words) in CASES {
            happens(&mut site)?;
            let what = format!("{level}: {words}");
            wait_until(&what, PATIENCE, || count(&mut site, 0, level, words) > 0)?;
            // At no other level, and nothing before it at a higher one that it did not bring.
            for other in ["ERROR", "WARN", "INFO", "DEBUG"].iter().filter(|other| *other != level) {
                ensure!(count(&mut site, 0, other, words) == 0, "{words} at {other}");
            }
            let errors = count(&mut site, 0, "ERROR", "");
            ensure!(errors == before || *level == "ERROR", "{what}: {errors} errors");
            before = errors;
        }
        site.add(lab, "host2", &["-log=info"])?;
        wait_until("a first start has no etcd", PATIENCE, || {
            count(&mut site, 1, "ERROR", "trying again") > 0
        })
    })
}

/// How many lines of a node's log at a level say this.
fn count(site: &mut Site, node: usize, level: &str, words: &str) -> usize {
    let Ok(agent) = site.nodes[node].agent() else { return 0 };
    let is_of = |line: &&str| line.contains(&format!(" {level} ")) && line.contains(words);
    agent.log().lines().filter(is_of).count()
}

fn on_host(site: &Site, script: &str) -> Result<()> {
    site.nodes[0].host.sh(script).map(drop)
}

/// Another host's lease.
fn put(site: &Site, key: &str, kind: &str) -> Result<()> {
    let lease = format!(r#"{{"PublicIP":"192.0.2.77","BackendType":"{kind}","BackendData":null}}"#);
    site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/{key}"), &lease]).map(drop)
}

fn delete(site: &Site, key: &str) -> Result<()> {
    site.etcd.ctl(&["del", &format!("{PREFIX}/subnets/{key}")]).map(drop)
}
