//! What makes no network, and says why.

use anyhow::{Result, ensure};
use e2e::{Lab, NETD, PATIENCE, Place as _, bins, networks, wait_until};

use crate::site::{Site, run, run_secured};

/// Checks that words are refused with a text, and that nothing is half made.
fn refuse(site: &Site, words: &[&str], text: &str) -> Result<()> {
    let before = (site.stored("networks/")?, site.stored("names/")?, site.stored("vnis/")?);
    let told = site.refused(1, words)?;
    ensure!(told.contains(text), "{words:?}: {told}");
    let after = (site.stored("networks/")?, site.stored("names/")?, site.stored("vnis/")?);
    ensure!(after == before, "{words:?}: {after:?}");
    Ok(())
}

#[test]
fn what_another_host_has_made_or_makes_no_sense_is_refused_and_nothing_is_half_made() -> Result<()>
{
    run(2, |site| {
        let list = "com.docker.network.driver.overlay.vxlanid_list";
        let named = format!("{list}=4097");
        let first = ["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "-o", &named, "a"];
        site.done(0, &first)?;
        site.wait_shown(1, "a")?;
        let local = ["create", "--subnet", "10.9.0.0/24", "local"];
        site.done(1, &local)?;
        let create = |more: &[&'static str]| [&["create", "-d", "overlay"], more].concat();
        let overlap = "Pool overlaps with other one on this address space: network";
        refuse(site, &create(&["a"]), "network with name a already exists")?;
        refuse(
            site,
            &create(&["--subnet", "10.7.0.0/16", "b"]),
            &format!("{overlap} a has 10.7.0.0/24"),
        )?;
        refuse(site, &create(&["--subnet", "10.9.0.0/16", "b"]), &format!("{overlap} local has"))?;
        refuse(site, &["create", "--subnet", "10.7.0.128/25", "b"], &format!("{overlap} a has"))?;
        let vni = ["create", "-d", "overlay", "-o", &named, "b"];
        refuse(site, &vni, "names VNI 4097, which another network has: leave it out")?;
        let zero = format!("{list}=0");
        refuse(
            site,
            &["create", "-d", "overlay", "-o", &zero, "b"],
            "write numbers from 1 to 16777215",
        )?;
        let mtu = "com.docker.network.driver.mtu";
        let small = [format!("{mtu}=67"), format!("{mtu}=1279")];
        refuse(site, &["create", "-d", "overlay", "-o", &small[0], "b"], "is no MTU")?;
        let six = ["create", "-d", "overlay", "--ipv6", "-o", &small[1], "b"];
        refuse(site, &six, "is too small for IPv6: write 1280 or more")?;
        refuse(
            site,
            &create(&["--scope", "local", "b"]),
            "scope \"local\" of driver overlay is not supported: an overlay is there on every host",
        )?;
        let several = ["--ipv6", "--subnet", "10.1.0.0/24", "--subnet", "10.2.0.0/24", "b"];
        refuse(site, &create(&several), "give one --subnet of each family")
    })
}

#[test]
fn what_hosts_cannot_share_of_a_macvlan_or_a_bridge_is_refused_with_what_to_do() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "a"])?;
        site.wait_shown(1, "a")?;
        let shared = |more: &[&'static str]| {
            [&["create", "-d", "macvlan", "--scope", "global"], more, &["b"]].concat()
        };
        let on_eth0 = |more: &[&'static str]| shared(&[&["-o", "parent=eth0"], more].concat());
        for (words, told) in [
            (vec!["create", "--scope", "global", "b"], "a bridge is one host's, and nothing leads"),
            (
                vec!["create", "-d", "host", "--scope", "global", "b"],
                "only one instance of \"host\" network is allowed",
            ),
            (
                vec!["create", "-d", "null", "--scope", "global", "b"],
                "only one instance of \"null\" network is allowed",
            ),
            (
                vec!["create", "--scope", "x", "b"],
                "scope \"x\" is not supported: write local or global, or leave it out",
            ),
            (shared(&[]), "a network without a parent with --scope global is not supported"),
            (on_eth0(&["--internal"]), "--internal with --scope global is not supported"),
            (
                on_eth0(&["-o", "host_access=true"]),
                "every host would have the same address on it: leave it out",
            ),
            (
                vec![
                    "create",
                    "-d",
                    "ipvlan",
                    "--scope",
                    "global",
                    "-o",
                    "parent=eth0",
                    "-o",
                    "ipvlan_mode=l3",
                    "b",
                ],
                "would need routes of their own to it: write l2",
            ),
            (shared(&["-o", "parent=eth0.5000"]), "names no VLAN from 1 to 4094"),
            (
                on_eth0(&["--subnet", "10.7.0.0/16"]),
                "Pool overlaps with other one on this address space: network a has 10.7.0.0/24",
            ),
        ] {
            refuse(site, &words, told)?;
        }
        Ok(())
    })
}

#[test]
fn without_etcd_there_are_no_networks_of_the_cluster() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        host.copy_program(&bins::program("netd")?, NETD)?;
        let mut agent = host.command(&[NETD, "run", "--standalone"]).spawn("netd")?;
        let list = || host.command(&[NETD, "network", "ls"]).output();
        wait_until("networks are served", PATIENCE, || list().is_ok_and(|it| it.code == 0))?;
        for (words, what) in [
            (vec!["-d", "overlay", "a"], "driver overlay"),
            (vec!["-d", "macvlan", "--scope", "global", "-o", "parent=lo0", "a"], "--scope global"),
        ] {
            let told = format!(
                "{what} makes networks of the whole cluster, which are in etcd, and this netd runs without: \
                 start it without --standalone, with --etcd-endpoints"
            );
            let told = told.as_str();
            let refused = networks::refused(&host, &[&["create"], &words[..]].concat())?;
            ensure!(refused.contains(told), "{refused}");
        }
        ensure!(agent.is_alive());
        Ok(())
    })
}

#[test]
fn without_rights_in_etcd_networks_of_the_host_work_and_those_of_the_cluster_say_what_is_wanting()
-> Result<()> {
    run_secured(1, |site| {
        let told = site.refused(0, &["create", "-d", "overlay", "a"])?;
        ensure!(told.contains("make network a in etcd"), "{told}");
        ensure!(told.contains("etcd's user has no right to it"), "{told}");
        ensure!(told.contains("etcdctl role grant-permission"), "{told}");
        site.done(0, &["create", "local"])?;

        let grant =
            ["role", "grant-permission", "network", "--prefix=true", "readwrite", "/netd/v1"];
        site.etcd.ctl(&grant)?;
        site.done(0, &["create", "-d", "overlay", "a"])?;
        assert_eq!(site.inspect(0, "a")?["Scope"], "global");
        Ok(())
    })
}
