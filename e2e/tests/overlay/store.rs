//! What hosts do while etcd is away, and when it is another one.

use anyhow::{Context as _, Result, ensure};
use e2e::{PATIENCE, Place as _, wait_until};

use crate::site::{Site, run, serves};

/// Where a host remembers.
const MEMORY: &str = "/var/lib/netd/netd.redb";

/// Starts a host's agent again once the host has a network on its disk.
fn restart_remembering(site: &mut Site, host: usize, id: &str) -> Result<()> {
    let node = site.nodes.get_mut(host).context("such a host")?;
    wait_until("the network is on the disk", PATIENCE, || {
        node.host.sh(&format!("grep -q {id} {MEMORY}")).is_ok()
    })?;
    node.kill();
    node.resume()?;
    serves(node)
}

#[test]
fn a_host_that_starts_without_etcd_has_the_networks_that_it_had() -> Result<()> {
    run(2, |site| {
        let id = site.done(0, &["create", "-d", "overlay", "a"])?;
        site.wait_shown(1, "a")?;
        site.etcd.kill()?;
        restart_remembering(site, 1, &id)?;
        assert_eq!(site.inspect(1, "a")?["Id"], id);
        site.done(1, &["create", "local"])?;
        let told = site.refused(1, &["create", "-d", "overlay", "b"])?;
        ensure!(told.contains("make network b in etcd"), "{told}");
        let told = site.refused(1, &["rm", "a"])?;
        ensure!(told.contains("remove network a from etcd"), "{told}");
        assert_eq!(site.inspect(1, "a")?["Id"], id);

        site.etcd.resume()?;
        wait_until("networks can be made", PATIENCE, || {
            site.done(1, &["create", "-d", "overlay", "b"]).is_ok()
        })?;
        site.wait_shown(0, "b").map(drop)
    })
}

#[test]
fn a_host_is_a_member_with_its_address_and_gives_signs_of_life() -> Result<()> {
    run(2, |site| {
        let members = || site.stored("members/");
        wait_until("both are members", PATIENCE, || {
            let vtep = |value: &str| value.contains(r#""vtep":"192.0.2.1"#);
            members().is_ok_and(|all| all.len() == 2 && all.iter().all(|(_, it)| vtep(it)))
        })?;
        let live = || site.stored("live/");
        wait_until("both give signs of life", PATIENCE, || live().is_ok_and(|all| all.len() == 2))?;
        Ok(())
    })
}

#[test]
fn networks_are_made_again_in_an_etcd_that_was_built_anew() -> Result<()> {
    run(2, |site| {
        let id = site.done(0, &["create", "-d", "overlay", "a"])?;
        let before = site.wait_shown(1, "a")?;
        site.etcd.kill()?;
        site.etcd.begin_anew()?;
        wait_until("the network is in it", PATIENCE, || {
            site.stored("networks/").is_ok_and(|all| all.len() == 1)
        })?;
        for host in 0..2 {
            let after = site.wait_shown(host, "a")?;
            assert_eq!((&after["Id"], &after), (&id.clone().into(), &before));
        }
        Ok(())
    })
}
