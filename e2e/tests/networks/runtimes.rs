//! One network, used by several runtimes.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::runtimes::{Containerd, Podman};
use e2e::{NETD, PATIENCE, Place as _, PluginSet, Proto, image, probe, wait_until};

use crate::connect::{cni, ps};
use crate::site::{Site, run};

const SLEEP: [&str; 2] = ["/bin/sleep", "1000"];

/// What `netd ps` shows of the container of an id or name: a field of its line.
fn field(site: &Site, word: &str, field: &str) -> Result<String> {
    let all = ps(site, &format!("{{{{.ID}}}},{{{{.Names}}}} {field}"))?;
    let mut lines = all.lines().filter_map(|line| line.split_once(' '));
    let line = lines.find(|(names, _)| names.split(',').any(|name| name == word));
    Ok(line.with_context(|| format!("{word} in {all}"))?.1.to_owned())
}

fn address(site: &Site, word: &str) -> Result<IpAddr> {
    let all = field(site, word, "{{.Addresses}}")?;
    Ok(all.split(',').next().unwrap_or_default().parse()?)
}

fn networks(site: &Site, word: &str) -> Result<String> {
    field(site, word, "{{.Networks}}")
}

#[test]
fn one_network_is_used_by_ctr_by_podman_and_by_hand_and_running_containers_are_connected()
-> Result<()> {
    run(|site| {
        PluginSet::selected()?.install(&site.host)?;
        for name in ["app", "db"] {
            site.done(&["create", "--publish-cni", name])?;
        }
        let containerd = Containerd::start(&site.host)?;
        containerd.run_in_background("one", &SLEEP).run()?;
        let podman = Podman::new(&site.host)?;
        podman.start("two", &["--network", "app"])?;
        let hand = site.host.add_container("three")?;
        cni(site, "add", "app", &hand)?;

        assert_eq!(networks(site, "two")?, "app");
        assert_eq!(site.host.run(&[NETD, "ps", "-q"])?.stdout.lines().count(), 3);
        let server = (address(site, "two")?, image::PORT);
        probe::ask(&hand, Proto::Tcp, server).context("by hand to Podman's")?;
        let one = address(site, "default-one")?;
        probe::ping(&hand, one)?;

        // By the names that their users know.
        for name in ["one", "two"] {
            site.done(&["connect", "db", name]).with_context(|| format!("connect {name}"))?;
        }
        let exec = ["tasks", "exec", "--exec-id", "x", "one", "ip", "-4", "-o", "address"];
        let inside = containerd.ctr(&exec).run()?.stdout;
        ensure!(inside.contains("eth1"), "{inside}");
        let inside = podman.exec("two", "ip -4 -o address")?.stdout;
        ensure!(inside.contains("eth1"), "{inside}");
        assert_eq!(networks(site, "default-one")?, "app,db");
        for name in ["one", "two"] {
            site.done(&["disconnect", "db", name]).with_context(|| format!("disconnect {name}"))?;
        }
        // And by Podman, to which netd's networks are networks.
        podman.run(&["network", "connect", "db", "two"])?;
        assert_eq!(networks(site, "two")?, "app,db");
        podman.run(&["network", "disconnect", "db", "two"])?;

        podman.remove("two")?;
        cni(site, "del", "app", &hand)?;
        // ctr does not delete the network of a container in the background.
        containerd.ctr(&["tasks", "rm", "--force", "one"]).run()?;
        containerd.ctr(&["containers", "rm", "one"]).run()?;
        wait_until("netd takes off who is gone", PATIENCE, || {
            ps(site, "{{.ID}}").is_ok_and(|listed| listed.is_empty())
        })?;
        assert_eq!(site.done(&["rm", "app", "db"])?, "app\ndb");
        assert_eq!(site.host.list("/run/netd/attachments/app").unwrap_or_default(), [""; 0]);
        Ok(())
    })
}

#[test]
fn gc_takes_off_who_is_gone_and_names_those_that_live_by_whomever_they_were_attached() -> Result<()>
{
    run(|site| {
        PluginSet::selected()?.install(&site.host)?;
        site.done(&["create", "app"])?;
        let added = site.host.add_container("added")?;
        cni(site, "add", "app", &added)?;
        let connected = site.host.add_container("connected")?;
        site.done(&["connect", "app", &format!("netns:{}", connected.netns())])?;
        let dead = site.host.add_container("dead")?;
        cni(site, "add", "app", &dead)?;
        let listed = site.host.add_container("listed")?;
        cni(site, "add", "app", &listed)?;
        dead.remove()?;

        let of = ["cni", "gc", "--conf-dir", "/run/netd/net.d", "app"];
        let gc = |valid: &[&str]| site.host.command(&[NETD]).args(of).args(valid).run();
        let told = gc(&["--valid", "listed/eth0"])?.stderr;
        assert_eq!(told.matches("not removed: ").count(), 2, "{told}");
        let told = gc(&["--none-valid"])?.stderr;
        assert_eq!(told.matches("not removed: ").count(), 3, "{told}");
        for name in ["added/eth0: its namespace lives", "listed/eth0: its namespace lives"] {
            ensure!(told.contains(name), "{name}: {told}");
        }
        let shown = site.inspect("app")?;
        assert_eq!(shown["Containers"].as_object().map(serde_json::Map::len), Some(3), "{shown}");
        ensure!(!site.host.path("/var/lib/cni/results/app-dead-eth0").exists(), "dead is known");
        for container in [&added, &listed] {
            cni(site, "check", "app", container)?;
            cni(site, "del", "app", container)?;
        }
        ensure!(connected.run(&["ip", "link", "show", "eth0"]).is_ok(), "it was not to go");
        Ok(())
    })
}

#[test]
fn a_list_is_written_for_each_network_and_published_for_those_that_ask_for_it() -> Result<()> {
    run(|site| {
        let host = site.host.clone();
        let own = || host.list("/run/netd/net.d");
        let published = || host.list("/etc/cni/net.d");
        let always = ["bridge.conflist", "host.conflist", "none.conflist"];
        assert_eq!(own()?, always);
        site.done(&["create", "a"])?;
        let theirs = "{\"name\": \"theirs\"}";
        site.host.write_file("/etc/cni/net.d/zz-netd-c.conflist", theirs)?;
        let made = site.network(&["create", "--publish-cni", "b"])?;
        ensure!(made.code == 0 && made.stderr.is_empty(), "{made:?}");
        let made = site.network(&["create", "--publish-cni", "c"])?;
        ensure!(made.code == 0 && made.stderr.contains("is somebody else's"), "{made:?}");
        assert_eq!(own()?.len(), 6);
        assert_eq!(published()?, ["zz-netd-b.conflist", "zz-netd-c.conflist"]);
        let list: serde_json::Value =
            serde_json::from_str(&site.host.read("/etc/cni/net.d/zz-netd-b.conflist")?)?;
        assert_eq!(list["plugins"][0]["type"], "netd");

        site.kill();
        site.host.sh("rm /run/netd/net.d/a.conflist /etc/cni/net.d/zz-netd-b.conflist")?;
        site.resume()?;
        assert_eq!(own()?.len(), 6, "what was missing is written again");
        site.done(&["rm", "a", "b", "c"])?;
        assert_eq!(own()?, always);
        assert_eq!(published()?, ["zz-netd-c.conflist"]);
        assert_eq!(site.host.read("/etc/cni/net.d/zz-netd-c.conflist")?, theirs);
        Ok(())
    })
}
