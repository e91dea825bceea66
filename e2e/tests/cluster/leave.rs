//! A host that leaves its cluster where etcd does not let it do all, or where its subnet is reserved.

use anyhow::{Result, ensure};
use e2e::{PREFIX, Place as _, wait_until};

use crate::operate::netd;
use crate::site::{Site, VXLAN, run};

/// A command with the options that say where etcd is.
fn words<'a>(command: &'a str, flags: &'a [String]) -> Vec<&'a str> {
    std::iter::once(command).chain(flags.iter().map(String::as_str)).collect()
}

#[test]
fn without_rights_to_netds_keys_a_lease_is_given_back_by_its_address() -> Result<()> {
    run(|lab| {
        let mut site = Site::with_secured_store(lab)?;
        site.fill(lab, VXLAN, 2, &["-ip-masq"])?;
        let host = site.nodes[0].host.clone();
        let (key, stays) = (site.nodes[0].key()?, site.nodes[1].key()?);
        site.nodes[0].kill();
        let flags = site.etcd.flags(&host)?;
        let left = netd(&host, &words("leave", &flags))?;
        let released = format!("lease {key}");
        ensure!(left.code == 0 && left.stdout.contains(&released), "{left:?}");
        ensure!(!left.stderr.contains("not removed"), "{left:?}");
        let leases = site.etcd.list(&format!("{PREFIX}/subnets"))?;
        let [(only, _)] = leases.as_slice() else { anyhow::bail!("{leases:?}") };
        ensure!(only.ends_with(&stays), "{leases:?}");
        ensure!(host.list("/var/lib/netd")? == ["lock", "networks.redb"], "nothing is remembered");
        ensure!(!host.interfaces()?.contains(&"flannel.1".to_owned()), "the device is gone");
        Ok(())
    })
}

#[test]
fn without_the_right_to_write_leave_says_so_and_can_be_done_again_with_it() -> Result<()> {
    run(|lab| {
        let mut site = Site::with_secured_store(lab)?;
        site.fill(lab, VXLAN, 1, &["-ip-masq"])?;
        let host = site.nodes[0].host.clone();
        let key = site.nodes[0].key()?;
        site.nodes[0].stop()?;
        let flags = site.etcd.flags(&host)?;
        let grant = |right| {
            site.etcd.ctl(&["role", "grant-permission", "network", "--prefix=true", right, PREFIX])
        };
        grant("read")?;
        let denied = netd(&host, &words("leave", &flags))?;
        ensure!(denied.code == 1 && denied.stderr.contains("not removed: "), "{denied:?}");
        ensure!(denied.stderr.contains("permission denied"), "{denied:?}");
        ensure!(denied.stderr.contains(&key), "it names what it could not release: {denied:?}");
        ensure!(!host.interfaces()?.contains(&"flannel.1".to_owned()), "the device is gone");
        ensure!(site.etcd.list(&format!("{PREFIX}/subnets"))?.len() == 1, "the lease stays");

        site.etcd.ctl(&["role", "revoke-permission", "network", "--prefix=true", PREFIX])?;
        let denied = netd(&host, &words("leave", &flags))?;
        ensure!(denied.code == 1 && denied.stderr.contains("permission denied"), "{denied:?}");
        grant("readwrite")?;
        let left = netd(&host, &words("leave", &flags))?;
        ensure!(left.code == 0 && left.stdout.contains(&format!("lease {key}")), "{left:?}");
        ensure!(site.etcd.list(&format!("{PREFIX}/subnets"))?.is_empty());
        ensure!(host.list("/var/lib/netd")? == ["lock", "networks.redb"], "nothing is remembered");
        Ok(())
    })
}

#[test]
fn a_reservation_outlives_leave_and_is_the_hosts_again_when_it_comes_back() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let host = site.nodes[0].host.clone();
        let key = site.nodes[0].key()?;
        let flags = site.etcd.flags(&host)?;
        let subnet = key.replace('-', "/");
        let mut reserve = vec!["lease", "reserve", subnet.as_str()];
        reserve.extend(flags.iter().map(String::as_str));
        let reserved = netd(&host, &reserve)?;
        ensure!(reserved.code == 0, "{reserved:?}");
        // The agent has noticed: it writes no lease of the store's again.
        wait_until("it is a reservation for the agent", e2e::PATIENCE, || {
            netd(&host, &["status"]).is_ok_and(|told| {
                told.stdout.contains(", held") && !told.stdout.contains("sign of life")
            })
        })?;
        for killed in [false, true] {
            if killed {
                site.nodes[0].kill()
            } else {
                ensure!(site.nodes[0].stop()? == 0)
            }
            let left = netd(&host, &words("leave", &flags))?;
            ensure!(left.code == 0, "{left:?}");
            let told = format!("{left:?}");
            ensure!(
                told.contains(&format!("{key} is reserved: `netd lease release {key}`")),
                "{told}"
            );
            ensure!(!host.interfaces()?.contains(&"flannel.1".to_owned()), "the device is gone");
            ensure!(
                host.list("/var/lib/netd")? == ["lock", "networks.redb"],
                "nothing is remembered"
            );
            let shown =
                site.etcd.ctl(&["get", &format!("{PREFIX}/subnets/{key}"), "-w", "json"])?;
            let kv = shown.json()?;
            ensure!(kv.pointer("/kvs/0/lease").is_none_or(|lease| *lease == 0), "{kv}");
            site.nodes[0].resume()?;
            site.nodes[0].wait_ready()?;
            assert_eq!(site.nodes[0].key()?, key);
        }
        let members = site.members()?;
        crate::site::all_reach_all(&members)
    })
}
