//! Published ports, as who uses them sees it: what rules carry, what `netd proxy` carries, and whose a
//! port is. Names begin with the id of the behaviour of Docker's that is shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::guest::Guest;
use e2e::{PATIENCE, Place as _, Proto, probe, wait_until};
use serde_json::{Value, json};

use crate::attach::{World, in_world, refusal};
use crate::connect::ps;
use crate::site::{Site, run};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCALHOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

pub(crate) fn port(host: u16, container: u16, protocol: &str) -> Value {
    json!({ "hostPort": host, "containerPort": container, "protocol": protocol })
}

fn publishes(ports: &[Value]) -> Value {
    json!({ "ports": ports })
}

/// Whether a program on the host could listen there.
pub(crate) fn is_free(site: &Site, address: &str, port: u16) -> bool {
    let family = if address.contains(':') { "AF_INET6" } else { "AF_INET" };
    let script = format!(
        "import socket as s\n\
         it = s.socket(s.{family})\n\
         if it.family == s.AF_INET6: it.setsockopt(s.IPPROTO_IPV6, s.IPV6_V6ONLY, 1)\n\
         it.bind(('{address}', {port}))"
    );
    site.host.run(&["python3", "-c", &script]).is_ok()
}

/// The process of the proxy, as the host numbers it.
pub(crate) fn proxy(site: &Site) -> Result<Option<String>> {
    let found = site.host.command(&["pgrep", "-fx", "netd proxy"]).output()?;
    match found.code {
        0 => Ok(Some(found.stdout.trim().to_owned())),
        1 => Ok(None),
        _ => bail!("{found:?}"),
    }
}

#[test]
fn b3_localhost_reaches_a_published_port_by_either_family_and_so_does_ipv6_from_outside()
-> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "app"])?;
        let ports = publishes(&[port(8080, 80, ""), port(8080, 80, "udp")]);
        let _web = Guest::new(&site.host, "web", "app", &ports)?;
        for proto in [Proto::Tcp, Proto::Udp] {
            probe::ask(&site.host, proto, (LOCALHOST, 8080))?;
            // The container has IPv4 alone.
            probe::ask(&site.host, proto, (LOCALHOST_V6, 8080))?;
            probe::ask(&internet.host, proto, (uplink.v6, 8080))?;
        }
        Ok(())
    })
}

#[test]
fn b4_ports_are_published_one_by_one_by_ranges_and_wherever_is_free() -> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "app"])?;
        let container = site.host.add_container("one")?;
        let _server = probe::serve(&container, 80, &[])?;
        let to = format!("netns:{}", container.netns());
        let shown = |options: &[&str]| -> Result<Vec<String>> {
            site.done(&[&["connect"], options, &["app", &to]].concat())?;
            let shown = ps(site, "{{.Ports}}")?;
            Ok(shown.trim().split(", ").map(str::to_owned).collect())
        };
        let gone = || site.done(&["disconnect", "app", &to]);
        assert_eq!(shown(&["-p", "9081:80", "-p", "9082:80/udp"])?.len(), 2);
        probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 9081))?;
        probe::ask(&internet.host, Proto::Udp, (uplink.v4, 9082))?;
        ensure!(probe::refusal(&internet.host, Proto::Tcp, (uplink.v4, 9082))?.is_err());
        gone()?;
        // Pairwise, and the lowest of a range that is free.
        assert_eq!(shown(&["-p", "7000-7001:80-81"])?.len(), 2);
        probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 7000))?;
        gone()?;
        let taken = site.host.spawn("nc", &["busybox", "nc", "-l", "-p", "7000"])?;
        wait_until("7000 is taken", PATIENCE, || !is_free(site, "0.0.0.0", 7000))?;
        let chosen = shown(&["-p", "7000-7002:80"])?;
        ensure!(chosen.iter().all(|port| port.contains(":7001->80/tcp")), "{chosen:?}");
        gone()?;
        let refused = site.refused(&["connect", "-p", "7000:80", "app", &to])?;
        ensure!(
            refused.contains("hold port 0.0.0.0:7000/tcp: another program listens there"),
            "{refused}"
        );
        drop(taken);
        let any = shown(&["-p", "80"])?;
        let number = any.first().and_then(|port| port.split(':').nth(1)?.split('-').next());
        let number: u16 = number.context("a port")?.parse()?;
        let range = site.host.read("/proc/sys/net/ipv4/ip_local_port_range")?;
        let ends: Vec<u16> = range.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        ensure!(ends[0] <= number && number <= ends[1], "{any:?} of {range}");
        probe::ask(&internet.host, Proto::Tcp, (uplink.v4, number))?;
        gone()?;
        // Of the host's own range, but what is reserved there or taken.
        let sysctl = |key: &str, value: &str| {
            site.host.run(&["sysctl", "-qw", &format!("net.ipv4.{key}={value}")])
        };
        sysctl("ip_local_port_range", "40000 40002")?;
        sysctl("ip_local_reserved_ports", "40001")?;
        let chosen = shown(&["-p", "80", "-p", "81"])?;
        for port in [40_000, 40_002] {
            ensure!(chosen.iter().any(|shown| shown.contains(&format!(":{port}->"))), "{chosen:?}");
        }
        gone()?;
        let words = ["connect", "-p", "80", "-p", "81", "-p", "82", "app", &to];
        let refused = site.refused(&words)?;
        ensure!(refused.contains("all host ports 40000-40002/tcp for container port"), "{refused}");
        ensure!(is_free(site, "0.0.0.0", 40_000) && is_free(site, "0.0.0.0", 40_002));
        sysctl("ip_local_port_range", range.trim())?;
        // A range of UDP's, and another protocol than the two that this kernel has sockets of.
        assert_eq!(shown(&["-p", "9100-9101:79-80/udp", "-p", "9102:80/sctp"])?.len(), 3);
        probe::ask(&internet.host, Proto::Udp, (uplink.v4, 9101))?;
        let map = site.host.run(&["nft", "list", "map", "inet", "netd", "dnat_any4"])?.stdout;
        ensure!(map.contains("sctp . 9102"), "{map}");
        gone()?;
        // On an address of IPv6, to a container that has none.
        shown(&["-p", &format!("[{}]:8085:80", uplink.v6)])?;
        probe::ask(&internet.host, Proto::Tcp, (uplink.v6, 8085))?;
        ensure!(probe::refusal(&internet.host, Proto::Tcp, (uplink.v4, 8085))?.is_err());
        gone()?;
        // On the loopback address alone.
        shown(&["-p", "127.0.0.1:8083:80"])?;
        probe::ask(&site.host, Proto::Tcp, (LOCALHOST, 8083))?;
        ensure!(probe::refusal(&internet.host, Proto::Tcp, (uplink.v4, 8083))?.is_err());
        ensure!(is_free(site, "127.0.0.2", 8083) && !is_free(site, "127.0.0.1", 8083));
        gone()?;
        ensure!(is_free(site, "127.0.0.1", 8083), "a port is free when its container is off");
        Ok(())
    })
}

#[test]
fn b4_ports_are_shown_where_they_are_published_and_not_where_they_have_no_effect() -> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        let binding = "com.docker.network.bridge.host_binding_ipv4=127.0.0.1";
        site.done(&["create", "-o", binding, "app"])?;
        site.done(&["create", "--internal", "vault"])?;
        let container = site.host.add_container("one")?;
        let _server = probe::serve(&container, 80, &[])?;
        let to = format!("netns:{}", container.netns());
        site.done(&["connect", "-p", "8090:80", "app", &to])?;
        assert_eq!(ps(site, "{{.Ports}}")?, "127.0.0.1:8090->80/tcp");
        probe::ask(&site.host, Proto::Tcp, (LOCALHOST, 8090))?;
        ensure!(probe::refusal(&internet.host, Proto::Tcp, (uplink.v4, 8090))?.is_err());
        site.done(&["disconnect", "app", &to])?;
        let told = site.network(&["connect", "-p", "8100:80", "vault", &to])?;
        // That names are not found may come after it: the container has this machine's resolv.conf.
        let warning = "WARNING: -p has no effect: network vault is internal";
        assert_eq!((told.code, told.stderr.lines().next()), (0, Some(warning)));
        assert_eq!(ps(site, "{{.Ports}}")?, "");
        ensure!(is_free(site, "0.0.0.0", 8100), "nothing listens for it");
        Ok(())
    })
}

#[test]
fn a_port_is_the_containers_alone_while_agent_and_proxy_are_killed_and_come_back() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        ensure!(proxy(site)?.is_none(), "without a port there is no proxy");
        let ports = publishes(&[port(8080, 80, ""), port(9081, 81, "")]);
        let web = Guest::new(&site.host, "web", "app", &ports)?;
        let echo = ["busybox", "nc", "-l", "-p", "81", "-e", "cat"];
        let _echo = web.container.spawn("echo", &echo)?;
        let script = "busybox yes | busybox nc ::1 9081 | busybox awk 'NR % 1000 == 0 {print NR/1000 \";\"; fflush()}'";
        let says = wait_until("the echo answers", PATIENCE, || {
            probe::ask(&site.host, Proto::Tcp, (LOCALHOST_V6, 8080)).is_ok()
        });
        says?;
        let mut talk = site.host.spawn("talk", &["sh", "-c", script])?;
        talk.wait_for_log("1;", PATIENCE)?;
        let first = proxy(site)?.context("a proxy")?;
        site.kill();
        let while_away = lines(&talk);
        talk.wait_for_log(&format!("\n{};", while_away + 10), PATIENCE)?;
        ensure!(!is_free(site, "0.0.0.0", 8080), "the port is held without an agent");
        site.resume()?;
        assert_eq!(proxy(site)?.as_ref(), Some(&first), "it is the same proxy");
        let after = lines(&talk);
        talk.wait_for_log(&format!("\n{};", after + 10), PATIENCE)?;
        drop(talk);
        site.host.run(&["kill", "-KILL", &first])?;
        wait_until("another proxy holds the ports", PATIENCE, || {
            probe::ask(&site.host, Proto::Tcp, (LOCALHOST_V6, 8080)).is_ok()
                && !is_free(site, "0.0.0.0", 9081)
        })?;
        let dead = site.host.add_container("dead")?;
        attach(&dead, "app", &publishes(&[port(8090, 80, "")]))?;
        ensure!(!is_free(site, "::", 8090));
        site.kill();
        dead.remove()?;
        site.resume()?;
        wait_until("the port of a container that is gone is free", PATIENCE, || {
            is_free(site, "::", 8090)
        })?;
        let rival = refusal(attach(
            &site.host.add_container("rival")?,
            "bridge",
            &publishes(&[port(8080, 80, "")]),
        ))?;
        ensure!(
            rival.contains("held already by app/web/eth0") && rival.contains("code 7"),
            "{rival}"
        );
        Ok(())
    })
}

/// The last number that was printed.
pub(crate) fn lines(talk: &e2e::Process) -> u64 {
    let log = talk.log();
    let last = log.lines().rev().find_map(|line| line.strip_suffix(';')?.trim().parse().ok());
    last.unwrap_or_default()
}

#[test]
fn a_port_that_the_runtime_holds_itself_is_published_and_a_users_mistake_is_refused() -> Result<()>
{
    in_world(|world| {
        let World { internet, site, uplink } = world;
        site.done(&["create", "app"])?;
        let listening = ["busybox", "nc", "-l", "-p", "8080"];
        let _holds = site.host.spawn("holds", &listening)?;
        wait_until("8080 is taken", PATIENCE, || !is_free(site, "0.0.0.0", 8080))?;
        let ports = publishes(&[port(8080, 80, "")]);
        let web = Guest::new(&site.host, "web", "app", &ports)?;
        probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 8080))?;
        detach(&web.container, "app")?;
        let live = json!({ "ports": [port(8080, 80, "")], "live": true, "ifname": null });
        let refused = refusal(attach(&web.container, "app", &live))?;
        ensure!(
            refused.contains("another program listens there") && refused.contains("code 7"),
            "{refused}"
        );
        Ok(())
    })
}
