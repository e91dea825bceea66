//! A store that lets few in, and one that loses a member.

use std::io::Write as _;

use anyhow::{Result, ensure};
use e2e::{ELECTION, PATIENCE, wait_until};

use crate::outage::Withdrawn;
use crate::packets::Traffic;
use crate::site::{Site, VXLAN, all_reach_all, is_well, run};

#[test]
fn certificates_and_a_user_with_rights_to_flannels_prefix_alone_are_enough() -> Result<()> {
    run(|lab| {
        let mut site = Site::with_secured_store(lab)?;
        site.fill(lab, VXLAN, 2, &["-ip-masq"])?;
        all_reach_all(&site.members()?)?;
        let keys = site.etcd.list("/")?;
        let outside: Vec<_> =
            keys.iter().filter(|(key, _)| !key.starts_with(e2e::PREFIX)).collect();
        ensure!(outside.is_empty() && keys.len() == 3, "{keys:?}");
        // The lease is its own again after a restart, by its address.
        let key = site.nodes[0].key()?;
        site.nodes[0].stop()?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        assert_eq!(site.nodes[0].key()?, key);
        Ok(())
    })
}

#[test]
fn losing_the_leader_of_three_members_disturbs_no_container_and_no_new_host() -> Result<()> {
    run(|lab| {
        let mut site = Site::with_three_members(lab, ELECTION)?;
        site.fill(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let leases = |site: &Site| site.etcd.list(&format!("{}/subnets", e2e::PREFIX));
        let before = leases(&site)?;
        let withdrawn = Withdrawn::watch_all(&site.nodes)?;
        let traffic =
            [Traffic::start(&members[0], &members[1])?, Traffic::start(&members[1], &members[0])?];
        site.etcd.kill_leader()?;
        site.add(lab, "late", &["-ip-masq"])?;
        site.nodes[2].wait_ready()?;
        let late = site.nodes[2].add("web")?;
        // The old hosts' watches have found a member that is there.
        for member in &members {
            member.wait_to_reach(late.ip, PATIENCE)?;
            late.wait_to_reach(member.ip, PATIENCE)?;
        }
        for node in &site.nodes {
            wait_until("all is well", PATIENCE, || is_well(node))?;
        }
        let mut now = leases(&site)?;
        ensure!(now.len() == 3, "{now:?}");
        now.retain(|lease| before.contains(lease));
        assert_eq!(now, before, "the leases of before, to the byte");
        withdrawn.into_iter().try_for_each(Withdrawn::nothing)?;
        let passed: Result<Vec<_>> = traffic.into_iter().map(Traffic::end).collect();
        writeln!(std::io::stderr(), "without a leader: {:?}", passed?)?;
        Ok(())
    })
}
