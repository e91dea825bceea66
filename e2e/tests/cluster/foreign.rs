//! A store that others write to.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::rtnetlink::{Made, wait_until_made};
use e2e::{FOREIGN, NETD, PATIENCE, PREFIX, Place as _};

use crate::site::{Pinging, Site, VXLAN, all_reach_all, run};

/// A subnet that no host of a test takes: flannel leases none at the start of a network.
const FREE: &str = "10.5.0.0";

#[test]
fn malformed_keys_and_values_beside_ours_harm_nobody_else_and_are_reported() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/foo"), "x"])?;
        site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/{FREE}-24"), "{not json"])?;
        for said in ["subnets/foo", FREE] {
            site.nodes[0].agent()?.wait_for_log(said, PATIENCE)?;
        }
        all_reach_all(&members)?;
        ensure!(site.nodes[0].health("readyz")?.0 == 200);
        // And to an agent that starts on such a store.
        site.nodes[1].stop()?;
        site.nodes[1].resume()?;
        site.nodes[1].wait_ready()?;
        all_reach_all(&members)
    })
}

/// Leases that nobody who follows the rules writes: a half of a host's own subnet, the network
/// between hosts, and the half of all addresses that the store is in.
#[test]
fn a_lease_that_would_lead_traffic_away_harms_nobody_and_is_reported() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let (gateway, _) = site.nodes[0].subnet()?;
        let half = Ipv4Addr::from(u32::from(gateway) - 1 + 128);
        for key in [&format!("{half}-25"), "192.0.2.0-25", "128.0.0.0-1"] {
            site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/{key}"), FOREIGN])?;
            site.nodes[0].agent()?.wait_for_log(key, PATIENCE)?;
        }
        wait_until_made(&site.nodes[0].host, "the other host alone", PATIENCE, |made| {
            made.len() == 3
        })?;
        all_reach_all(&members)
    })
}

/// Leases that hold the store's address and another host's: with the first, a host that follows it
/// hears of nothing any more, not even that the lease is gone.
#[test]
fn a_lease_that_holds_the_store_or_another_host_cuts_nobody_off_and_its_end_is_heard_of()
-> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 3, &["-ip-masq"])?;
        let members = site.members()?;
        let pings = [(0, 2), (1, 2), (2, 0)].map(|(a, b)| Pinging::start(&members[a], &members[b]));
        // Where the store and the gateway are; the third host; a host that there cannot be.
        let leases = [
            ("192.0.2.0-30", "192.0.2.77"),
            ("192.0.2.12-31", "192.0.2.77"),
            ("10.5.0.0-24", "127.0.0.1"),
        ];
        for (subnet, at) in leases {
            let value = format!(
                r#"{{"PublicIP":"{at}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}}}"#
            );
            site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/{subnet}"), &value])?;
        }
        for node in &mut site.nodes {
            for (subnet, _) in leases {
                let said = format!("peer cannot be used subnet={subnet}");
                node.agent()?.wait_for_log(&said, PATIENCE)?;
            }
            wait_until_made(&node.host, "the other hosts alone", PATIENCE, |made| made.len() == 6)?;
        }
        all_reach_all(&members)?;
        for (subnet, _) in leases {
            site.etcd.ctl(&["del", &format!("{PREFIX}/subnets/{subnet}")])?;
            for node in &mut site.nodes {
                let said = format!("peer is gone subnet={subnet}");
                node.agent()?.wait_for_log(&said, Duration::from_secs(5))?;
            }
        }
        all_reach_all(&members)?;
        pings.into_iter().try_for_each(|pinging| pinging?.end())
    })
}

#[test]
fn a_lease_that_flanneld_wrote_is_a_peer() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &[])?;
        let key = format!("{PREFIX}/subnets/{FREE}-24");
        site.etcd.ctl(&["put", &key, FOREIGN])?;
        let (subnet, outer) = (FREE.parse()?, [192, 0, 2, 77].into());
        let mac = [0xc6, 0xd2, 0x32, 0x6f, 0x8f, 0x44];
        // These and no other, as a reader sees it that shares no code with the agent.
        let peer = BTreeSet::from([
            Made::Route { to: (subnet, 24), via: subnet, onlink: true },
            Made::Neighbour(subnet, mac),
            Made::Forwarding(mac, outer),
        ]);
        let host = &site.nodes[0].host;
        wait_until_made(host, "the peer", PATIENCE, |made| *made == peer)?;
        site.etcd.ctl(&["del", &key])?;
        wait_until_made(host, "nothing of it", PATIENCE, BTreeSet::is_empty)
    })
}

/// As of a host that was given another subnet; here one outside the network, which flannel takes, too.
#[test]
fn of_a_host_with_two_leases_one_ends_without_the_other_and_an_outsider_is_named() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &[])?;
        let [outside, inside] =
            ["10.6.9.0", FREE].map(|base| format!("{PREFIX}/subnets/{base}-24"));
        for key in [&inside, &outside] {
            site.etcd.ctl(&["put", key, FOREIGN])?;
        }
        let host = site.nodes[0].host.clone();
        // Two routes, two neighbours, and one place where the device is.
        let mut all = BTreeSet::new();
        wait_until_made(&host, "both leases", PATIENCE, |made| {
            all.clone_from(made);
            made.len() == 5
        })?;
        let status = host.run(&[NETD, "status"])?.stdout;
        ensure!(status.contains("2, 1 of them outside the network (10.6.9.0-24)"), "{status}");
        site.etcd.ctl(&["put", &outside, FOREIGN])?;
        site.etcd.ctl(&["del", &outside])?;
        let base: std::net::IpAddr = "10.6.9.0".parse()?;
        all.retain(|made| match made {
            Made::Route { via, .. } => *via != base,
            Made::Neighbour(ip, _) => *ip != base,
            Made::Forwarding(..) => true,
        });
        // At once, not with the next look at everything.
        wait_until_made(&host, "the other lease, whole", Duration::from_secs(5), |made| {
            *made == all
        })?;
        let log = site.nodes[0].agent()?.log();
        assert_eq!(log.matches("outside the network").count(), 1, "{log}");
        Ok(())
    })
}

#[test]
fn a_configuration_that_comes_late_is_waited_for() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.add(lab, "host1", &[])?;
        let said = "there is no network configuration at /coreos.com/network/config";
        site.nodes[0].agent()?.wait_for_log(said, PATIENCE)?;
        let (status, body) = site.nodes[0].health("readyz")?;
        ensure!(status == 503 && body.contains("no network configuration"), "{status} {body}");
        ensure!(site.nodes[0].health("healthz")? == (200, "flanneld is running".to_owned()));
        site.etcd.configure(VXLAN)?;
        site.nodes[0].wait_ready()?;
        let log = site.nodes[0].agent()?.log();
        let times = log.matches("there is no network configuration").count();
        ensure!(times == 1, "said {times} times: {log}");
        ensure!(site.nodes[0].health("readyz")? == (200, "flanneld is ready".to_owned()));
        Ok(())
    })
}
