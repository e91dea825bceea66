//! What an administrator looks at, and what runtimes do by themselves with Docker's words. Names begin with the
//! ids of the behaviours of Docker's that are shown.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::Guest;
use e2e::runtimes::Podman;
use e2e::{Capture, Container, PATIENCE, Place as _, PluginSet, Proto, address, probe, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::attach::{WORLD, World, default_route, in_world, refusal};
use crate::ports::{is_free, port, proxy};
use crate::site::run;

#[test]
fn b1_packets_are_the_containers_on_the_bridge_and_the_hosts_on_the_way_out() -> Result<()> {
    in_world(|world| {
        let World { site, uplink, .. } = world;
        let id = site.done(&["create", "app"])?;
        let guest = Guest::new(&site.host, "one", "app", &json!({}))?;
        // By which interface the host leads out, and whom it masquerades.
        let way = site.host.run(&["ip", "-4", "route", "show", "default"])?.stdout;
        ensure!(way.contains(" dev eth0"), "{way}");
        let masqueraded = site.host.run(&["nft", "list", "set", "inet", "netd", "masq4"])?.stdout;
        ensure!(masqueraded.contains(&guest.ip.to_string()), "{masqueraded}");
        let bridge = format!("br-{}", id.get(..12).context("an id")?);
        let on_bridge = Capture::start(&site.host, &bridge, "icmp or tcp or udp")?;
        let on_uplink = Capture::start(&site.host, "eth0", "icmp or tcp or udp")?;
        for proto in [Proto::Tcp, Proto::Udp] {
            probe::ask(&guest.container, proto, WORLD)?;
        }
        probe::ping(&guest.container, WORLD.0)?;
        on_bridge.stop_when("the container's packets, and answers to it", |packets| {
            let out = packets.iter().any(|p| p.source_is(guest.ip) && p.destination_is(WORLD.0));
            out && packets.iter().any(|p| p.source_is(WORLD.0) && p.destination_is(guest.ip))
        })?;
        let left = on_uplink.stop_when("the host's packets", |packets| {
            packets.iter().any(|p| p.source_is(uplink.v4) && p.destination_is(WORLD.0))
        })?;
        let bare = left.iter().find(|p| p.source_is(guest.ip) || p.destination_is(guest.ip));
        ensure!(bare.is_none(), "as itself: {bare:?}");
        Ok(())
    })
}

#[test]
fn i1_a_range_is_given_from_and_a_subnet_of_two_has_one_container() -> Result<()> {
    run(|site| {
        let range = ["--subnet", "172.30.1.0/24", "--ip-range", "172.30.1.128/30"];
        site.done(&[&["create"], &range[..], &["--gateway", "172.30.1.1", "app"]].concat())?;
        site.done(&["create", "--subnet", "172.30.2.0/31", "two"])?;
        let mut number = 0;
        let mut add = |network: &str, more: &serde_json::Value| {
            number += 1;
            let container = site.host.add_container(&format!("c{number}"))?;
            Ok::<_, anyhow::Error>((address(&attach(&container, network, more)?, 0)?, container))
        };
        for last in 128..=131 {
            assert_eq!(add("app", &json!({}))?.0.to_string(), format!("172.30.1.{last}"));
        }
        let full = refusal(add("app", &json!({})))?;
        ensure!(full.contains("no available IPv4 addresses"), "{full}");
        let (asked, _) = add("app", &json!({ "ips": ["172.30.1.9"] }))?;
        assert_eq!(asked.to_string(), "172.30.1.9");
        let (only, container) = add("two", &json!({}))?;
        let gateway = site.gateway("two")?;
        let both = [gateway.clone(), only.to_string()];
        ensure!(both == ["172.30.2.0", "172.30.2.1"], "{both:?}");
        ensure!(default_route(&container)?.contains(&format!("via {gateway} ")));
        probe::ping(&container, gateway.parse()?)?;
        let full = refusal(add("two", &json!({})))?;
        ensure!(full.contains("no available IPv4 addresses"), "{full}");
        Ok(())
    })
}

#[test]
fn n1_h1_d1_a_runtimes_containers_have_no_network_the_hosts_or_one_with_their_hostname()
-> Result<()> {
    run(|site| {
        PluginSet::selected()?.install(&site.host)?;
        site.done(&["create", "--publish-cni", "app"])?;
        site.host.write_file("/etc/resolv.conf", "nameserver 127.0.0.1\n")?;
        let podman = Podman::new(&site.host)?;
        podman.start("closed", &["--network", "none"])?;
        let links = podman.exec("closed", "cat /proc/net/dev")?.stdout;
        let names = links.lines().filter_map(|line| line.split_once(':'));
        let names = names.filter(|(_, rest)| rest.split_whitespace().count() == 16);
        let names: Vec<&str> = names.map(|(name, _)| name.trim()).collect();
        assert_eq!(names, ["lo"], "{links}");
        let flags = podman.exec("closed", "cat /sys/class/net/lo/flags")?.stdout;
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16)?;
        ensure!(flags & 1 == 1, "lo is down: {flags:#x}");
        podman.start("open", &["--network", "host"])?;
        let inside = podman.exec("open", "readlink /proc/self/ns/net")?.stdout;
        assert_eq!(inside, site.host.run(&["readlink", "/proc/self/ns/net"])?.stdout);
        let told = site.network(&["connect", "-p", "8080:80", "host", "closed"])?;
        ensure!(told.code == 1, "{told:?}");
        let warning = "WARNING: Published ports are discarded when using host network mode\n";
        ensure!(told.stderr.starts_with(warning), "{told:?}");
        let refused = site.refused(&["connect", "app", "open"])?;
        ensure!(refused.contains("host"), "{refused}");

        podman.start("web", &["--network", "app"])?;
        podman.start("late", &["--network", "none", "--hostname", "boss"])?;
        site.done(&["connect", "app", "late"])?;
        for name in ["web", "late", "late.app", "boss", "BOSS.app"] {
            podman.run(&["exec", "web", "getent", "hosts", name])?;
        }
        Ok(())
    })
}

#[test]
fn sysctls_of_an_interface_are_set_and_kept_and_a_wrong_one_leaves_nothing() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let container = site.host.add_container("one")?;
        let to = format!("netns:{}", container.netns());
        let option = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,\
                      net.ipv4.neigh.IFNAME.gc_stale_time=77";
        site.done(&["connect", "--driver-opt", option, "app", &to])?;
        let value = |key: &str| container.run(&["cat", &format!("/proc/sys/net/ipv4/{key}")]);
        assert_eq!(value("conf/eth0/log_martians")?.stdout, "1\n");
        assert_eq!(value("neigh/eth0/gc_stale_time")?.stdout, "77\n");
        site.done(&["disconnect", "app", &to])?;
        let wanted = json!({ "sysctls": { "net.ipv4.conf.IFNAME.log_martians": "1" } });
        attach(&container, "app", &wanted)?;
        assert_eq!(missing(&container, "app", "eth0")?, Vec::<String>::new());
        container.run(&["sysctl", "-qw", "net.ipv4.conf.eth0.log_martians=0"])?;
        let told = missing(&container, "app", "eth0")?;
        ensure!(told.len() == 1 && told[0].contains("log_martians=1"), "{told:?}");
        detach(&container, "app")?;
        let prefix = "com.docker.network.endpoint.sysctls=net.ipv4.conf";
        for (key, told) in [
            ("eth0.log_martians=1", "represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V'"),
            ("IFNAME.no_such=1", "no_such"),
        ] {
            let option = format!("{prefix}.{key}");
            let refused = site.refused(&["connect", "--driver-opt", &option, "app", &to])?;
            ensure!(refused.contains(told), "{refused}");
            assert_eq!(container.interfaces()?, ["lo"]);
        }
        Ok(())
    })
}

#[test]
fn a_proxy_that_is_stopped_holds_nobody_up_and_is_named_and_nothing_stays_when_it_goes_on()
-> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let ports = json!({ "ports": [port(8080, 80, "")] });
        let _web = Guest::new(&site.host, "web", "app", &ports)?;
        let process = proxy(site)?.context("a proxy")?;
        let signal = |signal: Signal| {
            site.host.run(&["kill", &format!("-{}", signal.as_raw()), &process]).map(drop)
        };
        signal(Signal::STOP)?;
        let rival = site.host.add_container("rival")?;
        let ports = json!({ "ports": [port(8090, 80, "")] });
        let began = std::time::Instant::now();
        let mut refusals = vec![refused_before_it_has_links(&rival, &ports)?];
        for _ in 0..2 {
            refusals.push(refusal(attach(&rival, "app", &ports))?);
        }
        for refused in refusals {
            ensure!(refused.contains("has not answered for 5s: let it go on"), "{refused}");
            ensure!(refused.contains("code 11"), "{refused}");
        }
        // The first waits for it, and who comes after does not.
        ensure!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(rival.interfaces()?, ["lo"]);
        // Who has no ports does not need it.
        Guest::new(&site.host, "plain", "app", &json!({}))?;
        signal(Signal::CONT)?;
        wait_until("ports are published again", PATIENCE, || {
            attach(&rival, "app", &ports).is_ok()
        })?;
        detach(&rival, "app")?;
        ensure!(is_free(site, "0.0.0.0", 8090), "nothing of it is held");
        Ok(())
    })
}

/// What an attach is told that waits for ports. Whatever takes time is done when nobody else has to wait for it.
fn refused_before_it_has_links(container: &Container, options: &Value) -> Result<String> {
    std::thread::scope(|scope| {
        let attaching = scope.spawn(|| refusal(attach(container, "app", options)));
        let mut seen = BTreeSet::new();
        wait_until("an attach is refused", PATIENCE, || {
            seen.extend(container.interfaces().unwrap_or_default());
            attaching.is_finished()
        })?;
        assert_eq!(seen, BTreeSet::from(["lo".to_owned()]), "links are made when ports are held");
        attaching.join().map_err(|_| anyhow!("a panic"))?
    })
}
