//! The life of an overlay on a host: what is made with the first container, outlives the agent, comes back when
//! somebody deletes it, and goes with the last container.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::attach_socket::{detach, missing};
use e2e::guest::{Guest, apart};
use e2e::probe::Pinging;
use e2e::{NETD, PATIENCE, Place as _, wait_until};
use serde_json::json;

use crate::guest::{below, entries, links_below, netns, together};
use crate::site::{Site, run, serves};

/// A network with a container on each of two hosts, which talk.
fn with_pair(test: impl FnOnce(&mut Site, &str, [Guest; 2]) -> Result<()>) -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        site.wait_shown(1, "ov")?;
        let [one, other] = [&site.nodes[0].host, &site.nodes[1].host];
        let pair = [
            Guest::new(one, "one", "ov", &json!({}))?,
            Guest::new(other, "other", "ov", &json!({}))?,
        ];
        together(&pair[0], &pair[1])?;
        let netns = netns(site, "ov")?;
        test(site, &netns, pair)
    })
}

#[test]
fn o3_a_network_has_a_namespace_on_hosts_with_containers_of_it_and_no_longer() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        site.wait_shown(1, "ov")?;
        let netns = netns(site, "ov")?;
        let [one, other] = [&site.nodes[0].host, &site.nodes[1].host];
        assert_eq!(one.list("/run/netd/netns")?, Vec::<String>::new());
        let first = Guest::new(one, "first", "ov", &json!({}))?;
        let second = Guest::new(one, "second", "ov", &json!({}))?;
        assert_eq!(links_below(one, &netns)?, ["br0", "vxlan0"]);
        let tunnel = below(one, &netns, &["ip", "-d", "link", "show", "vxlan0"])?.stdout;
        for part in
            ["mtu 1450", "master br0", "dstport 4789", "nolearning", "proxy", "local 192.0.2.10"]
        {
            ensure!(tunnel.contains(part), "{part} in {tunnel}");
        }
        assert_eq!(other.list("/run/netd/netns")?, Vec::<String>::new(), "nobody is there");

        detach(&first.container, "ov")?;
        assert_eq!(links_below(one, &netns)?, ["br0", "vxlan0"]);
        // A container that ends without a word is found by the agent.
        let in_namespace = format!("ip netns pids {}", second.container.id());
        one.sh(&format!("kill $({in_namespace})"))?;
        second.container.remove()?;
        wait_until("the namespace is gone", PATIENCE * 2, || {
            one.list("/run/netd/netns").is_ok_and(|names| names.is_empty())
        })?;
        let mounts = one.run(&["cat", "/proc/self/mounts"])?.stdout;
        ensure!(!mounts.contains("/run/netd/netns"), "{mounts}");
        site.done(1, &["rm", "ov"]).map(drop)
    })
}

#[test]
fn o3_a_restart_and_a_kill_of_the_agent_change_nothing_of_an_overlay_and_interrupt_nobody()
-> Result<()> {
    with_pair(|site, netns, [here, there]| {
        let state = |site: &Site| -> Result<(String, Vec<String>)> {
            let host = &site.nodes[0].host;
            let links = below(host, netns, &["ip", "-o", "link"])?.stdout;
            let flags = |line: &str| line.split(" qdisc").next().unwrap_or_default().to_owned();
            let links: Vec<String> = links.lines().map(flags).collect();
            Ok((links.join(";"), entries(host, netns)?))
        };
        let before = state(site)?;
        assert_eq!(before.1.len(), 2, "a neighbour and a forwarding entry: {before:?}");
        let pinging = Pinging::start(&here.container, there.ip, Duration::from_millis(50), 2)?;
        site.nodes[0].stop()?;
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        assert_eq!(state(site)?, before);
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        let pinged = pinging.end()?;
        ensure!(pinged.lost.is_empty(), "{:?} of {}", pinged.lost, pinged.answered);
        assert_eq!(state(site)?, before);
        assert_eq!(missing(&here.container, "ov", "eth0")?, Vec::<String>::new());
        let late = Guest::new(&site.nodes[0].host, "late", "ov", &json!({}))?;
        together(&late, &there)?;
        together(&there, &late)
    })
}

#[test]
fn o3_what_somebody_deletes_of_an_overlay_comes_back() -> Result<()> {
    with_pair(|site, netns, [here, there]| {
        let host = &site.nodes[0].host;
        let before = entries(host, netns)?;
        for damage in [
            "ip link del vxlan0",
            "ip link del br0",
            "ip link set vxlan0 nomaster",
            "ip addr flush dev br0 scope global",
            "ip neigh flush nud permanent dev vxlan0",
            "for mac in $(bridge fdb show dev vxlan0 | grep ' dst ' | cut -d' ' -f1); do \
                bridge fdb del $mac dev vxlan0; done",
            "for port in $(ls /sys/class/net | grep veth); do ip link set $port nomaster; done",
        ] {
            // The directory of links is that of whoever has mounted it.
            let in_it = format!("mount -t sysfs sysfs /sys; {damage}");
            below(host, netns, &["unshare", "-m", "sh", "-ec", &in_it])?;
            wait_until(&format!("it is put right: {damage}"), PATIENCE, || {
                entries(host, netns).is_ok_and(|now| now == before)
                    && links_below(host, netns).is_ok_and(|now| now == ["br0", "vxlan0"])
            })?;
            together(&here, &there)?;
            assert_eq!(missing(&here.container, "ov", "eth0")?, Vec::<String>::new(), "{damage}");
        }
        Ok(())
    })
}

#[test]
fn o3_the_namespace_outlives_an_agent_with_mounts_of_its_own() -> Result<()> {
    with_pair(|site, netns, [here, there]| {
        site.nodes[0].stop()?;
        let host = site.nodes[0].host.clone();
        let flags = site.etcd.flags(&host)?;
        let mut before = here;
        // As a unit of systemd with `ProtectSystem` is: nobody else sees a mount of its own. And as `unshare -m` is:
        // it sees none of others that is made later, either.
        for propagation in ["slave", "private"] {
            let start = |name: &str| {
                let unit = ["unshare", "--mount", "--propagation", propagation, NETD];
                host.command(&unit).args(&flags).spawn(&format!("{name}-{propagation}"))
            };
            let listed = || {
                let listing = host.command(&[NETD, "network", "ls"]).output();
                listing.is_ok_and(|output| output.code == 0)
            };
            let first = start("netd")?;
            wait_until("networks are served", PATIENCE, listed)?;
            detach(&before.container, "ov")?;
            assert_eq!(host.list("/run/netd/netns")?, Vec::<String>::new());
            let container = host.add_container(&format!("by-{propagation}"))?;
            // A plugin is in the host's own mounts.
            let words =
                |verb: &'static str| [NETD, "cni", verb, "--conf-dir", "/run/netd/net.d", "ov"];
            let result = host.command(&words("add")).args([container.netns()]).run()?.json()?;
            let again = Guest::attached(container, result)?;
            together(&again, &there)?;
            assert_eq!(links_below(&host, netns)?, ["br0", "vxlan0"], "seen by the host");
            host.command(&words("check")).args([again.container.netns()]).run()?;
            // Killed.
            drop(first);
            together(&again, &there)?;
            let second = start("netd-again")?;
            wait_until("networks are served", PATIENCE, listed)?;
            together(&there, &again)?;
            host.command(&words("check")).args([again.container.netns()]).run()?;
            // Looking for containers that are gone finds none that lives.
            let gc = [NETD, "cni", "gc", "--conf-dir", "/run/netd/net.d", "ov", "--none-valid"];
            host.command(&gc).run()?;
            let late = Guest::new(&host, &format!("late-{propagation}"), "ov", &json!({}))?;
            together(&late, &there)?;
            host.command(&gc).run()?;
            together(&late, &again)?;
            host.command(&words("del")).args([again.container.netns()]).run()?;
            assert_eq!(host.list("/run/netd/netns")?.len(), 1);
            drop(second);
            before = late;
        }
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        together(&before, &there)?;
        detach(&before.container, "ov")?;
        assert_eq!(host.list("/run/netd/netns")?, Vec::<String>::new());
        Ok(())
    })
}

#[test]
fn o3_without_the_agent_del_removes_both_interfaces_and_the_next_start_the_namespace() -> Result<()>
{
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        let host = site.nodes[0].host.clone();
        let container = host.add_container("one")?;
        let words = |verb: &'static str| [NETD, "cni", verb, "--conf-dir", "/run/netd/net.d", "ov"];
        let result = host.command(&words("add")).args([container.netns()]).run()?.json()?;
        let one = Guest::attached(container, result)?;
        site.nodes[0].kill();
        host.command(&words("del")).args([one.container.netns()]).run()?;
        let left = one.shows(&["ip", "-o", "link"])?;
        assert_eq!(left.lines().count(), 1, "{left}");
        assert_eq!(host.list("/run/netd/netns")?.len(), 1);
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        assert_eq!(host.list("/run/netd/netns")?, Vec::<String>::new());
        assert_eq!(host.list("/run/netd/attachments")?, Vec::<String>::new());
        site.done(0, &["rm", "ov"]).map(drop)
    })
}

#[test]
fn o4_what_leads_to_a_container_goes_with_it_on_every_host() -> Result<()> {
    with_pair(|site, netns, [here, there]| {
        let host = &site.nodes[0].host;
        detach(&there.container, "ov")?;
        wait_until("nothing leads to it", PATIENCE, || {
            entries(host, netns).is_ok_and(|entries| entries.is_empty())
        })?;
        apart(&here, there.at())
    })
}
