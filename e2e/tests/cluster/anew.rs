//! etcd is built anew on an empty disk, while containers run.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{NETD, Node, PATIENCE, PREFIX, Place as _, wait_until};

use crate::kills::kept;
use crate::packets::Traffic;
use crate::site::{Pinging, Site, VXLAN, run};

/// Four subnets, so that a host that comes can only get one that is free or somebody's.
const SMALL: &str = r#"{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.4.0",
    "Backend":{"Type":"vxlan"}}"#;

/// Loses all that etcd knows.
fn rebuild(site: &mut Site) -> Result<()> {
    site.etcd.kill()?;
    site.etcd.forget()?;
    site.etcd.resume()
}

/// Keys and values below flannel's prefix.
fn flannels(site: &Site) -> Result<Vec<(String, String)>> {
    site.etcd.list(PREFIX)
}

fn says(node: &Node, text: &str) -> bool {
    node.health("readyz").is_ok_and(|(code, said)| code == 200 && said.contains(text))
}

#[test]
fn all_is_registered_again_as_it_was_and_no_packet_is_lost() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        kept(&site)?;
        let before = flannels(&site)?;
        let name = site.etcd.list("/netd/v1/cluster")?;
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        let begin = Instant::now();
        rebuild(&mut site)?;
        let served = begin.elapsed();
        wait_until("all is there again", PATIENCE, || {
            flannels(&site).is_ok_and(|now| now == before)
        })?;
        let took = begin.elapsed() - served;
        for node in &site.nodes {
            wait_until("nobody is missing", PATIENCE, || {
                node.health("readyz").is_ok_and(|(_, said)| said == "flanneld is ready")
            })?;
        }
        let passed = [there.end()?, back.end()?];
        writeln!(std::io::stderr(), "all again after {} ms: {passed:?}", took.as_millis())?;
        ensure!(site.etcd.list("/netd/v1/cluster")? != name, "it is another store");
        ensure!(site.etcd.list("/netd/v1/missing")?.is_empty());
        Ok(())
    })
}

#[test]
fn a_host_that_is_missing_is_reached_and_its_subnet_is_nobodys() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.fill(lab, SMALL, 3, &["-ip-masq"])?;
        let members = site.members()?;
        kept(&site)?;
        let missing = site.nodes[2].key()?;
        // Its containers run on.
        site.nodes[2].kill();
        let pinging = Pinging::start(&members[0], &members[2])?;
        rebuild(&mut site)?;
        for node in site.nodes.iter().take(2) {
            wait_until("one is missing", PATIENCE, || {
                says(node, "1 hosts are missing in the store")
            })?;
        }
        let status = site.nodes[0].host.command(&[NETD, "status"]).output()?;
        ensure!(status.stdout.contains("2, 1 of them missing"), "{status:?}");
        ensure!(site.nodes[0].health("metrics")?.1.contains("\nnetd_peers_missing 1\n"));

        // A host that remembers goes on, and one that does not waits.
        site.nodes[0].stop()?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        wait_until("one is missing still", PATIENCE, || {
            says(&site.nodes[0], "1 hosts are missing in the store")
        })?;
        site.add(lab, "new", &["-ip-masq"])?;
        site.nodes[3].agent()?.wait_for_log("start this one with --confirm-restored", PATIENCE)?;
        ensure!(flannels(&site)?.len() == 3, "{:?}", flannels(&site)?);
        // Only the subnet that nobody has is left.
        site.add(lab, "confirmed", &["-ip-masq", "--confirm-restored"])?;
        site.nodes[4].wait_ready()?;
        ensure!(site.nodes[4].key()? != missing, "it has {missing}");
        pinging.end()?;

        site.nodes[2].resume()?;
        site.nodes[2].wait_ready()?;
        assert_eq!(site.nodes[2].key()?, missing);
        for node in site.nodes.iter().take(3) {
            wait_until("nobody is missing", PATIENCE, || {
                node.health("readyz").is_ok_and(|(_, said)| said == "flanneld is ready")
            })?;
        }
        ensure!(site.etcd.list("/netd/v1/missing")?.is_empty());
        // Who waited goes on now; there is no subnet left.
        site.nodes[3].agent()?.wait_for_log("all 4 subnets of 10.5.0.0/16 are leased", PATIENCE)?;
        members[0].wait_to_reach(members[2].ip, PATIENCE)
    })
}

#[test]
fn a_host_that_does_not_come_back_is_given_up_when_its_lease_would_have_ended() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-subnet-ttl=6"])?;
        kept(&site)?;
        let gone = site.nodes[1].key()?.replace('-', "/");
        site.nodes[1].kill();
        rebuild(&mut site)?;
        wait_until("one is missing", PATIENCE, || {
            says(&site.nodes[0], "1 hosts are missing in the store")
        })?;
        let routes = || site.nodes[0].host.run(&["ip", "route", "show", "proto", "78"]);
        ensure!(routes()?.stdout.contains(&gone), "{:?}", routes()?);
        wait_until("it is given up", PATIENCE, || {
            routes().is_ok_and(|routes| routes.stdout.is_empty())
        })
    })
}
