//! Networks as objects of the whole cluster.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{PATIENCE, Place as _, wait_until};
use serde_json::Value;

use crate::site::{Site, run};

/// The list for runtimes on a host.
fn list(site: &Site, host: usize, name: &str) -> Option<Value> {
    let text = site.nodes.get(host)?.host.read(&format!("/run/netd/net.d/{name}.conflist")).ok()?;
    serde_json::from_str(&text).ok()
}

#[test]
fn o1_a_network_that_is_made_on_one_host_is_listed_on_every_other_and_removed_on_any() -> Result<()>
{
    run(3, |site| {
        let id = site.done(0, &["create", "-d", "overlay", "my_overlay_net"])?;
        let here = site.inspect(0, "my_overlay_net")?;
        assert_eq!(here["Id"], id);
        assert_eq!((&here["Scope"], &here["Driver"]), (&"global".into(), &"overlay".into()));
        assert_eq!(here["IPAM"]["Config"][0]["Subnet"], "10.0.0.0/24");
        for host in 0..3 {
            assert_eq!(site.wait_shown(host, "my_overlay_net")?, here);
            let listed = site.done(
                host,
                &["ls", "--filter", "scope=global", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"],
            )?;
            assert_eq!(listed, "my_overlay_net overlay global");
            wait_until("runtimes have a list", PATIENCE, || {
                list(site, host, "my_overlay_net").is_some()
            })?;
            let list = list(site, host, "my_overlay_net").context("a list")?;
            assert_eq!(
                (&list["netd"]["network"], &list["plugins"][0]["type"]),
                (&id.as_str().into(), &"netd".into())
            );
            // What stands for it is made with its first container.
            let links = site.nodes[host].host.list("/sys/class/net")?;
            assert_eq!(BTreeSet::from_iter(links), ["eth0", "lo"].map(str::to_owned).into());
        }
        let [number] = &site.stored("vnis/")?[..] else { anyhow::bail!("one number") };
        let number: u32 = number.0.parse()?;
        ensure!((0x80_0000..=0xff_ffff).contains(&number), "{number}");

        assert_eq!(site.done(2, &["rm", "my_overlay_net"])?, "my_overlay_net");
        for host in 0..3 {
            site.wait_gone(host, "my_overlay_net")?;
            wait_until("the list is gone", PATIENCE, || {
                list(site, host, "my_overlay_net").is_none()
            })?;
        }
        for part in ["networks/", "names/", "vnis/", "blocks/", "endpoints/"] {
            assert_eq!(site.stored(part)?, [], "{part}");
        }
        Ok(())
    })
}

#[test]
fn what_is_made_on_all_hosts_at_once_has_names_numbers_and_addresses_of_its_own() -> Result<()> {
    run(3, |site| {
        let hosts: Vec<_> = site.nodes.iter().map(|node| node.host.clone()).collect();
        let made: Vec<_> = std::thread::scope(|scope| {
            let each = (0..12).map(|number| {
                let host = &hosts[number % 3];
                // Of each name three are asked for.
                let name = format!("n{}", number / 3);
                let words = [e2e::NETD, "network", "create", "-d", "overlay", &name];
                let command = host.command(&words);
                scope.spawn(move || command.output())
            });
            each.collect::<Vec<_>>().into_iter().map(|it| it.join()).collect()
        });
        let mut refused = 0;
        for output in made {
            let output = output.map_err(|_| anyhow::anyhow!("a thread has panicked"))??;
            if output.code != 0 {
                ensure!(output.stderr.contains("already exists"), "{output:?}");
                refused += 1;
            }
        }
        assert_eq!(refused, 8);
        for host in 0..3 {
            let (mut subnets, mut ids) = (BTreeSet::new(), BTreeSet::new());
            for name in ["n0", "n1", "n2", "n3"] {
                let shown = site.wait_shown(host, name)?;
                subnets.insert(shown["IPAM"]["Config"][0]["Subnet"].to_string());
                ids.insert(shown["Id"].to_string());
            }
            assert_eq!((subnets.len(), ids.len()), (4, 4));
        }
        assert_eq!(site.stored("vnis/")?.len(), 4);
        assert_eq!(site.done(1, &["prune", "-f"])?.lines().count(), 5, "a heading, and four names");
        assert_eq!(site.stored("networks/")?, []);
        Ok(())
    })
}

#[test]
fn of_a_network_of_the_host_and_one_of_the_cluster_with_one_name_the_hosts_is_meant() -> Result<()>
{
    run(2, |site| {
        let own = site.done(1, &["create", "dev"])?;
        let global = site.done(0, &["create", "-d", "overlay", "dev"])?;
        wait_until("the other host knows it", PATIENCE, || site.inspect(1, &global).is_ok())?;
        assert_eq!(site.inspect(1, "dev")?["Id"], own);
        assert_eq!(list(site, 1, "dev").context("a list")?["netd"]["network"], own);
        let taken = site.refused(1, &["create", "dev"])?;
        ensure!(taken.contains("network with name dev already exists"), "{taken}");

        // Each goes by itself, and what is left has the name.
        site.done(1, &["rm", "dev"])?;
        assert_eq!(site.inspect(1, "dev")?["Id"], global);
        assert_eq!(list(site, 1, "dev").context("a list")?["netd"]["network"], global);
        site.done(1, &["rm", "dev"])?;
        site.wait_gone(0, "dev")
    })
}
