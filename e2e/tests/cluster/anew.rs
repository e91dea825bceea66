//! etcd is built anew on an empty disk, while containers run.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{Etcd, Lab, NETD, Node, PATIENCE, PREFIX, Place as _, wait_until};

use crate::kills::kept;
use crate::packets::Traffic;
use crate::site::{Pinging, Site, VXLAN, is_well, run, says};
use crate::unheard::{SOON, cut, join};

/// Four subnets, so that a host that comes can only get one that is free or somebody's.
const SMALL: &str = r#"{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.4.0",
    "Backend":{"Type":"vxlan"}}"#;

/// As many subnets as there are hosts.
const FULL: &str = r#"{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.2.0","Backend":{"Type":"vxlan"}}"#;

/// Loses all that etcd knows.
fn rebuild(site: &mut Site) -> Result<()> {
    site.etcd.kill()?;
    site.etcd.begin_anew()
}

/// Begins another history in place of etcd's, which no host sees before its revision has passed the one
/// that they know.
fn replace(site: &mut Site, begin: impl FnOnce(&mut Etcd) -> Result<()>) -> Result<()> {
    let known = site.etcd.revision()?;
    // Who is cut off before does not hear that it ends, for some 15 s.
    site.etcd.kill()?;
    site.nodes.iter().try_for_each(|node| cut(&node.host))?;
    begin(&mut site.etcd)?;
    site.etcd.pass(known)
}

/// That is taken back once the news are told.
fn nobody_is_said_to_be_missing(site: &Site) -> Result<()> {
    wait_until("nobody is said to be missing", PATIENCE, || {
        site.etcd.list("/netd/v1/missing").is_ok_and(|said| said.is_empty())
    })
}

/// Keys and values below flannel's prefix.
fn flannels(site: &Site) -> Result<Vec<(String, String)>> {
    site.etcd.list(PREFIX)
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
            wait_until("nobody is missing", PATIENCE, || is_well(node))?;
        }
        let passed = [there.end()?, back.end()?];
        writeln!(std::io::stderr(), "all again after {} ms: {passed:?}", took.as_millis())?;
        ensure!(site.etcd.list("/netd/v1/cluster")? != name, "it is another store");
        nobody_is_said_to_be_missing(&site)?;
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
                says(node, 200, "1 hosts are missing in the store")
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
            says(&site.nodes[0], 200, "1 hosts are missing in the store")
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
            wait_until("nobody is missing", PATIENCE, || is_well(node))?;
        }
        nobody_is_said_to_be_missing(&site)?;
        // Who waited goes on now; there is no subnet left.
        site.nodes[3].agent()?.wait_for_log("all 4 subnets of 10.5.0.0/16 are leased", PATIENCE)?;
        members[0].wait_to_reach(members[2].ip, PATIENCE)
    })
}

#[test]
fn a_host_that_does_not_come_back_is_given_up_when_its_lease_would_have_ended() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-subnet-ttl=6", "-missing-ttl=6"])?;
        kept(&site)?;
        let gone = site.nodes[1].key()?.replace('-', "/");
        site.nodes[1].kill();
        rebuild(&mut site)?;
        wait_until("one is missing", PATIENCE, || {
            says(&site.nodes[0], 200, "1 hosts are missing in the store")
        })?;
        let routes = || site.nodes[0].host.run(&["ip", "route", "show", "proto", "78"]);
        ensure!(routes()?.stdout.contains(&gone), "{:?}", routes()?);
        wait_until("it is given up", PATIENCE, || {
            routes().is_ok_and(|routes| routes.stdout.is_empty())
        })
    })
}

#[test]
fn two_hosts_that_begin_at_once_know_the_store_again_when_they_are_killed() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.fill(lab, VXLAN, 2, &[])?;
        kept(&site)?;
        let name = site.etcd.list("/netd/v1/cluster")?;
        ensure!(name.len() == 1, "{name:?}");
        site.nodes.iter_mut().for_each(Node::kill);
        site.nodes.iter_mut().try_for_each(Node::resume)?;
        for node in &mut site.nodes {
            node.wait_ready()?;
            wait_until("it has listed the hosts", PATIENCE, || is_well(node))?;
            let log = node.agent()?.log();
            ensure!(!log.contains("the store was built anew"), "{log}");
        }
        assert_eq!(site.etcd.list("/netd/v1/cluster")?, name);
        nobody_is_said_to_be_missing(&site)?;
        Ok(())
    })
}

#[test]
fn a_store_that_has_come_as_far_again_gets_all_back_and_no_packet_is_lost() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        kept(&site)?;
        let name = site.etcd.list("/netd/v1/cluster")?;
        comes_as_far_again(&mut site)?;
        ensure!(site.etcd.list("/netd/v1/cluster")? != name, "it is another store");
        nobody_is_said_to_be_missing(&site)?;
        Ok(())
    })
}

#[test]
fn a_store_that_has_come_as_far_again_is_known_by_hosts_that_may_not_read_its_name() -> Result<()> {
    run(|lab| {
        let mut site = Site::with_secured_store(lab)?;
        site.fill(lab, VXLAN, 2, &["-ip-masq"])?;
        comes_as_far_again(&mut site)
    })
}

/// Of two hosts whose agents run, configuration and leases are there again, to the byte.
fn comes_as_far_again(site: &mut Site) -> Result<()> {
    let members = site.members()?;
    let before = flannels(site)?;
    let traffic =
        [Traffic::start(&members[0], &members[1])?, Traffic::start(&members[1], &members[0])?];
    replace(site, Etcd::begin_anew)?;
    ensure!(flannels(site)?.is_empty());
    let begin = Instant::now();
    site.nodes.iter().try_for_each(|node| join(&node.host))?;
    wait_until("all is there again", SOON, || flannels(site).is_ok_and(|now| now == before))?;
    let took = begin.elapsed();
    for node in &site.nodes {
        wait_until("nobody is missing", SOON, || is_well(node))?;
    }
    let passed: Result<Vec<_>> = traffic.into_iter().map(Traffic::end).collect();
    writeln!(std::io::stderr(), "all again after {} ms: {:?}", took.as_millis(), passed?)?;
    Ok(())
}

/// An administrator has written the configuration, so that nothing else keeps a new host from a subnet.
#[test]
fn a_store_that_has_come_as_far_again_gives_a_new_host_no_subnet_of_one_that_is_missing()
-> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.fill(lab, FULL, 2, &["-ip-masq"])?;
        let members = site.members()?;
        kept(&site)?;
        let before = flannels(&site)?;
        site.nodes[1].kill();
        let pinging = Pinging::start(&members[0], &members[1])?;
        replace(&mut site, Etcd::begin_anew)?;
        site.etcd.configure(FULL)?;
        site.nodes.iter().try_for_each(|node| join(&node.host))?;
        wait_until("one is missing", SOON, || {
            says(&site.nodes[0], 200, "1 hosts are missing in the store")
        })?;
        site.add(lab, "new", &["-ip-masq"])?;
        site.nodes[2].agent()?.wait_for_log("start this one with --confirm-restored", PATIENCE)?;
        site.nodes[1].resume()?;
        site.nodes[1].wait_ready()?;
        site.nodes[2].agent()?.wait_for_log("all 2 subnets of 10.5.0.0/16 are leased", PATIENCE)?;
        assert_eq!(flannels(&site)?, before);
        wait_until("nobody is missing", PATIENCE, || is_well(&site.nodes[0]))?;
        pinging.end()
    })
}

#[test]
fn a_backup_of_before_is_restored_with_no_packet_lost() -> Result<()> {
    run(|lab| {
        restored(lab, |site| {
            site.etcd.kill()?;
            site.etcd.begin_from_backup()
        })
    })
}

#[test]
fn a_backup_of_before_that_has_come_as_far_again_is_restored_with_no_packet_lost() -> Result<()> {
    run(|lab| {
        restored(lab, |site| {
            replace(site, Etcd::begin_from_backup)?;
            site.nodes.iter().try_for_each(|node| join(&node.host))
        })
    })
}

/// One host came after the backup, and the agent of another one is down.
fn restored(lab: &Lab, restore: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
    let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
    site.etcd.save()?;
    // Of which the backup knows nothing, and much else.
    site.etcd.pass(site.etcd.revision()? + 20)?;
    site.add(lab, "late", &["-ip-masq"])?;
    site.nodes[2].wait_ready()?;
    let members = site.members()?;
    for member in &members[..2] {
        member.wait_to_reach(members[2].ip, PATIENCE)?;
    }
    kept(&site)?;
    let before = flannels(&site)?;
    let traffic =
        [Traffic::start(&members[1], &members[2])?, Traffic::start(&members[2], &members[0])?];
    site.nodes[0].kill();
    restore(&mut site)?;
    wait_until("all is there again", SOON, || flannels(&site).is_ok_and(|now| now == before))?;
    site.nodes[0].resume()?;
    site.nodes[0].wait_ready()?;
    for node in &site.nodes {
        wait_until("nobody is missing", SOON, || is_well(node))?;
    }
    assert_eq!(flannels(&site)?, before);
    nobody_is_said_to_be_missing(&site)?;
    let passed: Result<Vec<_>> = traffic.into_iter().map(Traffic::end).collect();
    writeln!(std::io::stderr(), "a backup: {:?}", passed?)?;
    Ok(())
}
