//! Containers that are gone, and those that only seem so. Names begin with the id of the behaviour of Docker's
//! that is shown.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::{Lab, NETD, PATIENCE, Place as _, snapshot, wait_until};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::attach::shows;
use crate::connect::ps;
use crate::site::{Site, run};

/// Well before the agent looks for dead containers by itself.
const SOON: Duration = Duration::from_secs(5);

/// Ends a container while the agent hears of nothing, and does what comes after before it does.
fn unheard(site: &Site, what: &str) -> Result<String> {
    kill_process(site.pid()?, Signal::STOP)?;
    let done = site.host.sh(what);
    kill_process(site.pid()?, Signal::CONT)?;
    Ok(done?.stdout)
}

/// Connects namespace `old`, removes it unheard, and makes `new` with its number. What is free is given from the
/// lowest on, and all that a namespace has takes numbers; others' come in between, so it is tried until it is so.
fn reborn(site: &Site, (old, new): (&str, &str), connect: &[&str]) -> Result<()> {
    let script = format!(
        "number=$(stat -Lc %i /run/netns/{old}); ip netns del {old}
         for n in $(seq 100); do
             ip netns add {new}
             [ $(stat -Lc %i /run/netns/{new}) != $number ] || {{ echo reborn; exit; }}
             ip netns del {new}
         done"
    );
    for _ in 0..40 {
        site.host.add_container(old)?;
        site.done(connect)?;
        if unheard(site, &script)?.contains("reborn") {
            return Ok(());
        }
    }
    bail!("no namespace gets the number of another")
}

fn default_route(site: &Site, name: &str) -> Result<String> {
    let words = ["ip", "-n", name, "-4", "route", "show", "default"];
    Ok(site.host.run(&words)?.stdout.trim().to_owned())
}

fn soon(site: &Site, format: &str, shown: &str) -> Result<()> {
    let told = wait_until(shown, SOON, || ps(site, format).is_ok_and(|text| text == shown));
    told.with_context(|| format!("{:?}", ps(site, format)))
}

#[test]
fn b13_a_container_whose_namespace_has_the_number_of_a_dead_ones_gets_all_that_is_its_own()
-> Result<()> {
    run(|site| {
        let gateway = site.done(&["create", "v"]).and_then(|_| site.gateway("v"))?;
        site.done(&["create", "w"])?;
        let connect = ["connect", "--alias", "old", "w", "netns:/run/netns/old"];
        reborn(site, ("old", "new"), &connect)?;
        site.done(&["connect", "v", "netns:/run/netns/new"])?;
        let route = default_route(site, "new")?;
        ensure!(route.starts_with(&format!("default via {gateway} dev eth0")), "{route}");
        soon(site, "{{.Networks}} {{.Interfaces}}", "v eth0")?;
        site.done(&["rm", "w"])?;
        Ok(())
    })
}

#[test]
fn b13_a_container_that_starts_again_at_the_same_path_is_attached_again() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let words = ["connect", "--alias", "svc", "-p", "9700:80", "app", "netns:/run/netns/svc"];
        let again = || -> Result<()> {
            site.done(&words)?;
            let link = site.host.run(&["ip", "-n", "svc", "-o", "link"])?.stdout;
            ensure!(link.contains("eth0"), "{link}");
            let shown = "app eth0 0.0.0.0:9700->80/tcp";
            soon(site, "{{.Networks}} {{.Interfaces}} {{.Ports}}", shown)
        };
        reborn(site, ("svc", "svc"), &words)?;
        again().context("with the number of before")?;
        unheard(site, "ip netns del svc; ip netns add svc")?;
        again().context("with another number")?;
        site.done(&["disconnect", "app", "netns:/run/netns/svc"])?;
        site.done(&["rm", "app"])?;
        Ok(())
    })
}

#[test]
fn b13_what_a_dead_container_had_is_free_at_once_and_its_name_is_nobodys() -> Result<()> {
    run(|site| {
        let app = ["--subnet", "172.30.1.0/24", "app"];
        site.done(&[&["create"], &app[..]].concat())?;
        site.done(&["create", "--subnet", "172.30.2.0/30", "tiny"])?;
        site.host.sh("ip link add eth0 up type veth peer name far; ip link set far up")?;
        let lan = ["-d", "macvlan", "-o", "parent=eth0", "--subnet", "172.30.3.0/24", "lan"];
        site.done(&[&["create"], &lan[..]].concat())?;
        let client = site.host.add_container("client")?;
        site.done(&["connect", "app", "netns:/run/netns/client"])?;
        let asked = ["busybox", "nslookup", "-type=a", "web", "172.30.1.1"];
        let connect = |words: &[&str], name: &str| -> Result<()> {
            let netns = format!("netns:/run/netns/{name}");
            site.done(&[&["connect"], words, &[&netns]].concat()).map(drop)
        };
        let wanted: [&[&str]; 3] = [
            &["-p", "8080:80", "--ip", "172.30.1.50", "--alias", "web", "app"],
            &["tiny"],
            &["--ip", "172.30.3.50", "lan"],
        ];
        for (number, words) in wanted.iter().enumerate() {
            site.host.add_container(&format!("old{number}"))?;
            connect(words, &format!("old{number}"))?;
        }
        client.run(&asked)?;
        unheard(site, "for n in 0 1 2; do ip netns del old$n; ip netns add new$n; done")?;
        wait_until("the name is nobody's", SOON, || client.run(&asked).is_err())?;
        for (number, words) in wanted.iter().enumerate() {
            connect(words, &format!("new{number}")).with_context(|| format!("{words:?}"))?;
        }
        client.run(&asked)?;
        Ok(())
    })
}

#[test]
fn b7_who_was_connected_by_a_process_stays_so_as_long_as_the_namespace_is_there() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        site.host.sh("ip link add eth0 up type veth peer name far; ip link set far up")?;
        site.done(&["create", "-d", "macvlan", "-o", "parent=eth0", "lan"])?;
        let container = site.host.add_container("c1")?;
        let sleeper = container.spawn("sleeper", &["sleep", "1000"])?;
        let inside = site.host.run(&["ip", "netns", "pids", "c1"])?.stdout;
        let inside = format!("pid:{}", inside.lines().next().context("a process in it")?);
        site.done(&["connect", "app", &inside])?;
        site.done(&["connect", "lan", &inside])?;
        let shown = ps(site, "{{.Networks}} {{.Interfaces}} {{.Addresses}}")?;
        drop(sleeper);
        wait_until("the process has ended", PATIENCE, || {
            site.host.run(&["ip", "netns", "pids", "c1"]).is_ok_and(|o| o.stdout.is_empty())
        })?;
        for _ in 0..2 {
            for network in ["app", "lan"] {
                // Before it is refused it is looked for dead ones.
                let refused = site.refused(&["rm", network])?;
                ensure!(refused.contains("has active endpoints"), "{network}: {refused}");
            }
            assert_eq!(ps(site, "{{.Networks}} {{.Interfaces}} {{.Addresses}}")?, shown);
            site.kill();
            site.resume()?;
        }
        site.done(&["disconnect", "lan", "netns:/run/netns/c1"])?;
        assert_eq!(container.interfaces()?, ["eth0", "lo"]);
        container.remove()?;
        soon(site, "{{.Networks}}", "")?;
        site.done(&["rm", "app", "lan"])?;
        Ok(())
    })
}

#[test]
fn b7_a_path_that_the_agent_does_not_see_is_refused_and_a_process_is_the_remedy() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let before = site.links()?;
        let script = format!(
            "ip netns add hid; ip netns exec hid sleep 1000 & sleeper=$!
             {NETD} network connect app netns:/run/netns/hid
             echo $?; until [ $(readlink /proc/$sleeper/ns/net) = net:[$(stat -Lc %i /run/netns/hid)] ]; \
             do :; done
             {NETD} network connect app pid:$sleeper && ip -n hid -o link; kill $sleeper"
        );
        let words = ["unshare", "--mount", "--propagation", "private", "bash", "-c", &script];
        let done = site.host.command(&words).output()?;
        for told in ["does not see", "/run/netns/hid", "pid:N"] {
            ensure!(done.stderr.contains(told), "{told}: {done:?}");
        }
        ensure!(done.stdout.starts_with("1\n") && done.stdout.contains("eth0"), "{done:?}");
        // Its mount namespace has ended, and with it what held the namespace.
        soon(site, "{{.Networks}}", "")?;
        assert_eq!(site.links()?.len(), before.len());
        Ok(())
    })
}

#[test]
fn b13_with_no_room_left_in_run_containers_are_taken_off_and_dead_ones_collected() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        snapshot::quiet(&host)?;
        host.sh("mkdir -p /run/netd; mount -t tmpfs -o size=1m small /run/netd")?;
        let mut site = Site::start(&host, &["--standalone"])?;
        site.done(&["create", "app"])?;
        site.done(&["create", "front"])?;
        let [one, two, three, four] = ["one", "two", "three", "four"].map(|name| {
            let container = host.add_container(name)?;
            attach(&container, "app", &json!({}))?;
            Ok::<_, anyhow::Error>(container)
        });
        let (one, two, three, four) = (one?, two?, three?, four?);
        let route = shows(&one, &["route"])?;
        let front = ["connect", "--gw-priority", "1", "-p", "8080:80", "front"];
        site.done(&[&front[..], &["netns:/run/netns/one"]].concat())?;
        host.sh("cat /dev/zero >/run/netd/fill || true")?;
        let late = host.add_container("late")?;
        let refused = site.refused(&["connect", "app", "netns:/run/netns/late"])?;
        ensure!(refused.contains("No space left on device"), "{refused}");
        assert_eq!(late.interfaces()?, ["lo"]);
        site.done(&["disconnect", "front", "netns:/run/netns/one"])?;
        assert_eq!(shows(&one, &["route"])?, route);
        detach(&two, "app")?;
        assert_eq!(two.interfaces()?, ["lo"]);
        three.remove()?;
        soon(&site, "{{.ID}}", &format!("{}\n{}", four.id(), one.id()))?;
        site.kill();
        four.remove()?;
        site.resume()?;
        soon(&site, "{{.ID}}", one.id())?;
        assert_eq!(missing(&one, "app", "eth0")?, Vec::<String>::new());
        detach(&one, "app")?;
        site.done(&["rm", "app", "front"])?;
        host.sh(
            "rm /run/netd/fill; ! find /run/netd/endpoints /run/netd/attachments -type f | grep .",
        )?;
        host.sh("! nft list table inet netd | grep elements; ! ip -o link | grep veth")?;
        Ok(())
    })
}
