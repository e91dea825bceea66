//! Containers on networks over time: an agent that ends, is killed, and comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::cut::{CALLS, Cut, sends};
use e2e::guest::Guest;
use e2e::probe::{Pinged, Pinging};
use e2e::{PATIENCE, Place as _, require_programs, snapshot, wait_until};
use serde_json::{Value, json};

use crate::attach::{WORLD, in_world};
use crate::site::{Site, run};

/// Between two pings.
const BEAT: Duration = Duration::from_millis(10);

/// Pings end; all were answered.
fn all_answered(pinging: Pinging) -> Result<()> {
    let Pinged { lost, log, .. } = pinging.end()?;
    ensure!(lost.is_empty(), "{lost:?}: {log}");
    Ok(())
}

#[test]
fn b12_an_agent_that_is_killed_and_comes_back_changes_nothing_and_loses_no_packet() -> Result<()> {
    in_world(|world| {
        let site = &mut world.site;
        snapshot::quiet(&site.host)?;
        site.done(&["create", "app"])?;
        site.done(&[
            "create",
            "--internal",
            "-o",
            "com.docker.network.bridge.enable_icc=false",
            "q",
        ])?;
        let ports =
            json!({ "ports": [{ "hostPort": 8080, "containerPort": 80 }], "names": ["web"] });
        let web = Guest::new(&site.host, "web", "app", &ports)?;
        let one = Guest::new(&site.host, "one", "app", &json!({}))?;
        let _default = Guest::new(&site.host, "two", "bridge", &json!({}))?;
        let quiet = json!({ "ifname": "eth1", "live": true });
        attach(&one.container, "q", &quiet)?;
        let before = (snapshot::settled(&site.host)?, site.inspect("app")?, site.links()?);
        let ports = snapshot::ports(&site.host)?;
        ensure!(ports.contains(":8080\n"), "{ports}");
        let inside = Pinging::start(&one.container, web.ip, BEAT, 20)?;
        let outside = Pinging::start(&one.container, WORLD.0, BEAT, 20)?;
        for _ in 0..3 {
            site.kill();
            site.resume()?;
        }
        site.stop()?;
        site.resume()?;
        let after = (snapshot::settled(&site.host)?, site.inspect("app")?, site.links()?);
        all_answered(inside)?;
        all_answered(outside)?;
        ensure!(before.0 == after.0, "{}", snapshot::differences(&before.0, &after.0));
        snapshot::same_ports(&site.host, &ports)?;
        assert_eq!(before.1, after.1);
        assert_eq!(before.2, after.2);
        assert_eq!(missing(&one.container, "app", "eth0")?, Vec::<String>::new());
        let three = Guest::new(&site.host, "three", "app", &json!({}))?;
        ensure!(three.ip != one.ip && three.ip != web.ip, "{}", three.ip);
        Ok(())
    })
}

#[test]
fn b12_what_somebody_has_changed_while_the_agent_was_away_is_put_right() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let guest = Guest::new(&site.host, "one", "app", &json!({}))?;
        let dead = site.host.add_container("dead")?;
        attach(&dead, "app", &json!({}))?;
        let link = site.links()?.into_iter().find(|link| link.alias.ends_with("/one/eth0"));
        let link = link.context("the host's end")?.name;
        site.kill();
        site.host.sh(&format!("ip link set {link} nomaster; nft delete table inet netd"))?;
        dead.remove()?;
        site.resume()?;
        let told = wait_until("it is as it was", PATIENCE, || {
            missing(&guest.container, "app", "eth0").is_ok_and(|missing| missing.is_empty())
        });
        told.with_context(|| format!("{:?}", missing(&guest.container, "app", "eth0")))?;
        let shown = site.inspect("app")?;
        assert_eq!(shown["Containers"].as_object().map(serde_json::Map::len), Some(1));
        Ok(())
    })
}

/// How many containers there are when the last one comes.
const MANY: usize = 100;

#[test]
fn an_attach_asks_the_kernel_as_much_with_many_containers_and_networks_as_with_few() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(|site| {
        // No container that came before is announced again in the midst of it.
        let once = "com.docker.network.advertise_addr_nmsgs=1";
        site.done(&["create", "--subnet", "172.30.0.0/20", "-o", once, "app"])?;
        let ports = |number: usize| json!({ "ports": [{ "hostPort": 9000 + number, "containerPort": 80 }] });
        let add = |number: usize| -> Result<()> {
            let container = site.host.add_container(&format!("c{number}"))?;
            attach(&container, "app", &ports(number)).map(drop)
        };
        (0..3).try_for_each(add)?;
        let few = sends(site.pid()?, || add(3))?;
        (0..20).try_for_each(|n| site.done(&["create", &format!("n{n}")]).map(drop))?;
        (4..MANY).try_for_each(add)?;
        let many = sends(site.pid()?, || add(MANY))?;
        // Events that others cause come in between.
        ensure!(few > 10 && many <= few + few / 4, "{few} among few, {many} among {MANY}");
        Ok(())
    })
}

#[test]
fn b13_an_agent_that_is_killed_while_it_attaches_or_detaches_leaves_nothing() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(|site| {
        snapshot::quiet(&site.host)?;
        site.done(&["create", "app"])?;
        start_proxy(site)?;
        let ports = json!({ "ports": [{ "hostPort": 8080, "containerPort": 80 }] });
        cut_everywhere(site, &ports)
    })
}

#[test]
fn m1_b13_an_agent_that_is_killed_while_it_attaches_or_detaches_a_macvlan_leaves_nothing()
-> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(|site| {
        snapshot::quiet(&site.host)?;
        site.host.sh("ip link add eth0 up type veth peer name far; ip link set far up")?;
        let options = ["-d", "macvlan", "-o", "parent=eth0", "-o", "host_access=true", "app"];
        site.done(&[&["create"], &options[..]].concat())?;
        cut_everywhere(site, &json!({}))
    })
}

/// The proxy outlives the agent, so that none is started in a run that is cut.
pub(crate) fn start_proxy(site: &Site) -> Result<()> {
    let other = json!({ "ports": [{ "hostPort": 8090, "containerPort": 80 }] });
    attach(&site.host.add_container("other")?, "bridge", &other).map(drop)
}

/// Attaches a container to network `app` and takes it off again, and kills the agent at each of its calls.
fn cut_everywhere(site: &mut Site, more: &Value) -> Result<()> {
    let container = site.host.add_container("one")?;
    // Tables and directories are there from the first on, and what the kernel gives a bridge that was up.
    attach(&container, "app", more)?;
    wait_until("bridges with ports are up", PATIENCE, || {
        let states = "cat /sys/class/net/*/brport/bridge/operstate 2>/dev/null || true";
        site.host.sh(states).is_ok_and(|shown| !shown.stdout.contains("down"))
    })?;
    detach(&container, "app")?;
    let free = snapshot::settled(&site.host)?;
    let ports = snapshot::ports(&site.host)?;
    for (least, attaches) in [(5, true), (3, false)] {
        let mut cuts = 0;
        for nth in 1.. {
            if !attaches {
                attach(&container, "app", more)?;
            }
            let cut = Cut::at(site.pid()?, CALLS, nth)?;
            let done = match attaches {
                true => attach(&container, "app", more).map(drop),
                false => detach(&container, "app"),
            };
            cut.end(done.is_ok())?;
            if done.is_ok() {
                break;
            }
            cuts += 1;
            site.kill();
            site.resume()?;
            // It may have been done before the answer, or not have begun.
            let has = missing(&container, "app", "eth0").is_ok();
            if has {
                assert_eq!(missing(&container, "app", "eth0")?, Vec::<String>::new(), "{nth}");
            }
            detach(&container, "app")?;
            let inside = container.interfaces()?;
            ensure!(inside == ["lo"], "cut {nth}: {inside:?}");
            let left = snapshot::settled(&site.host)?;
            ensure!(left == free, "cut {nth}: {}", snapshot::differences(&free, &left));
            snapshot::same_ports(&site.host, &ports).with_context(|| format!("cut {nth}"))?;
        }
        detach(&container, "app")?;
        ensure!(cuts > least, "{cuts} cuts");
    }
    Ok(())
}
