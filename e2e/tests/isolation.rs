//! Bridges apart from each other: `ingressPolicy`, iptables' FORWARD that drops, dockerd beside us.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Chain, Cni, Container, Host, Lab, PATIENCE, Place as _, PluginSet, Proto, address, nft, probe,
    wait_until,
};
use nftables::expr::Expression;
use serde_json::{Value, json};

const PROTOS: [Proto; 2] = [Proto::Tcp, Proto::Udp];

/// Two bridges, three containers: `a` and `b` on red, `c` on blue, each serving port 80, published
/// as 8001, 8002 and 8003.
struct Site {
    host: Host,
    a: Member,
    b: Member,
    c: Member,
    uplink: e2e::Uplink,
    internet: e2e::Internet,
}

struct Member {
    container: Container,
    chain: Chain,
    v4: IpAddr,
    v6: IpAddr,
    _server: e2e::Process,
}

impl Site {
    fn new(lab: &Lab, policy: &str, br_netfilter: bool) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::selected()?.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        let on = i32::from(br_netfilter);
        host.sh(&format!(
            "sysctl -qw net.bridge.bridge-nf-call-iptables={on} net.bridge.bridge-nf-call-ip6tables={on}"
        ))?;
        let a = Member::new(&host, "a", conflist("red", 1, policy), 8001)?;
        let b = Member::new(&host, "b", conflist("red", 1, policy), 8002)?;
        let c = Member::new(&host, "c", conflist("blue", 2, policy), 8003)?;
        Ok(Self { host, a, b, c, uplink, internet })
    }
}

impl Member {
    fn new(host: &Host, name: &str, conflist: Value, port: u16) -> Result<Self> {
        let container = host.add_container(name)?;
        let ports = json!({ "portMappings": [
            { "hostPort": port, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": port, "containerPort": 80, "protocol": "udp" },
        ]});
        let mut chain = Chain::new(conflist).with_args(ports);
        let result = chain.add(&Cni::new(&container))?;
        chain.check(&Cni::new(&container))?;
        let (v4, v6) = (address(&result, 0)?, address(&result, 1)?);
        let server = probe::serve(&container, 80, &[])?;
        Ok(Self { container, chain, v4, v6, _server: server })
    }

    /// Whether `to` can be pinged and asked, by every family and protocol; all or none.
    fn reaches(&self, to: &Self) -> Result<bool> {
        let mut answers = Vec::new();
        for ip in [to.v4, to.v6] {
            answers.push(probe::pings(&self.container, ip)?);
            for proto in PROTOS {
                answers.push(probe::refusal(&self.container, proto, (ip, 80))?.is_ok());
            }
        }
        let all = answers.iter().all(|a| *a);
        ensure!(all || answers.iter().all(|a| !*a), "some reach, some do not: {answers:?}");
        Ok(all)
    }
}

#[test]
fn open_bridges_route_to_each_other() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab, "open", false)?;
        ensure!(site.a.reaches(&site.b)? && site.a.reaches(&site.c)? && site.c.reaches(&site.a)?);
        Ok(())
    })
}

#[test]
fn same_bridge_keeps_two_bridges_apart_when_routed() -> Result<()> {
    same_bridge(false)
}

#[test]
fn same_bridge_keeps_two_bridges_apart_with_br_netfilter() -> Result<()> {
    same_bridge(true)
}

#[test]
fn isolated_keeps_containers_of_one_bridge_apart_when_routed() -> Result<()> {
    isolated(false)
}

#[test]
fn isolated_keeps_containers_of_one_bridge_apart_with_br_netfilter() -> Result<()> {
    isolated(true)
}

fn same_bridge(br_netfilter: bool) -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab, "same-bridge", br_netfilter)?;
        ensure!(site.a.reaches(&site.b)?, "same bridge");
        ensure!(!site.a.reaches(&site.c)? && !site.c.reaches(&site.a)?, "other bridge");
        open_to_the_outside(&site)?;
        for (from, port) in [(&site.c, 8001), (&site.a, 8003), (&site.a, 8002)] {
            for proto in PROTOS {
                probe::ask(&from.container, proto, (site.uplink.v4, port))
                    .with_context(|| format!("published port {port}"))?;
            }
        }
        after_del_nothing_is_left(&site)
    })
}

fn isolated(br_netfilter: bool) -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab, "isolated", br_netfilter)?;
        ensure!(!site.a.reaches(&site.b)?, "same bridge");
        ensure!(!site.a.reaches(&site.c)? && !site.c.reaches(&site.a)?, "other bridge");
        open_to_the_outside(&site)?;
        probe::ask(&site.c.container, Proto::Tcp, (site.uplink.v4, 8001))?;
        after_del_nothing_is_left(&site)
    })
}

fn open_to_the_outside(site: &Site) -> Result<()> {
    for proto in PROTOS {
        let to = (e2e::Internet::V4, e2e::Internet::PORT);
        ensure!(probe::ask(&site.a.container, proto, to)?.source.ip() == site.uplink.v4);
        probe::ask(&site.internet.host, proto, (site.uplink.v4, 8001))?;
        probe::ask(&site.internet.host, proto, (site.uplink.v6, 8003))?;
        probe::ask(&site.host, proto, (site.a.v4, 80))?;
    }
    Ok(())
}

/// Only the names of the two bridges stay, as the bridges themselves do.
fn after_del_nothing_is_left(site: &Site) -> Result<()> {
    for member in [&site.a, &site.b, &site.c] {
        member.chain.del(&Cni::new(&member.container))?;
        member.chain.del(&Cni::new(&member.container)).context("DEL again")?;
    }
    let bridges = ["blue", "red"].map(|name| Expression::String(name.into())).to_vec();
    assert_eq!(nft::filled(&site.host, "inet", "netd")?, [("bridges".to_owned(), bridges)].into());
    Ok(())
}

/// dockerd leaves FORWARD on DROP: containers must get through, and iptables' own tools must still
/// read and restore the table.
#[test]
fn a_forward_chain_that_drops_is_opened_for_the_bridge() -> Result<()> {
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::selected()?.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        host.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP")?;
        let web = Member::new(&host, "web", conflist("red", 1, "open"), 8001)?;
        let check = || -> Result<()> {
            probe::ask(&web.container, Proto::Tcp, (e2e::Internet::V4, 80))?;
            probe::ask(&web.container, Proto::Tcp, (e2e::Internet::V6, 80))?;
            probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 8001))?;
            probe::ask(&internet.host, Proto::Tcp, (uplink.v6, 8001))?;
            Ok(())
        };
        check()?;
        host.sh("iptables -S CNI-FORWARD | grep -q -- '-i red -j ACCEPT'")?;
        host.sh("iptables-save > /run/saved; iptables-restore < /run/saved; iptables-save | grep -v '^#' | sed 's/\\[.*//' > /run/again; grep -v '^#' /run/saved | sed 's/\\[.*//' | diff - /run/again")?;
        check().context("after iptables-restore")?;
        host.sh("iptables -F CNI-FORWARD")?;
        ensure!(
            web.chain.check(&Cni::new(&web.container)).is_err(),
            "CHECK passes a closed FORWARD"
        );
        host.sh("iptables -I CNI-ADMIN -s 10.1.0.0/24 -j DROP")?;
        let second = Member::new(&host, "second", conflist("red", 1, "open"), 8002)?;
        let refused = probe::refusal(&second.container, Proto::Tcp, (e2e::Internet::V4, 80))?;
        ensure!(refused.is_err(), "the administrator's chain comes first");
        host.sh("iptables -F CNI-ADMIN")?;
        check().context("healed by the second ADD")
    })
}

/// The administrator's chain of our own table has the first word, and keeps it.
#[test]
fn the_user_chain_is_first_and_never_touched() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab, "same-bridge", false)?;
        site.host.run(&[
            "nft",
            "add",
            "rule",
            "inet",
            "netd",
            "user",
            "ip",
            "saddr",
            "10.1.0.0/24",
            "drop",
        ])?;
        let refused = probe::refusal(&site.a.container, Proto::Tcp, (e2e::Internet::V4, 80))?;
        ensure!(refused.is_err(), "user chain was passed over");
        site.b.chain.del(&Cni::new(&site.b.container))?;
        let user = site.host.run(&["nft", "list", "chain", "inet", "netd", "user"])?.stdout;
        ensure!(user.contains("ip saddr 10.1.0.0/24 drop"), "{user}");
        Ok(())
    })
}

/// Debian's dockerd in the same namespace, before and after our ADD.
#[test]
fn dockerd_and_the_plugins_share_a_host() -> Result<()> {
    if !e2e::require_programs(&["dockerd"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::selected()?.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        let start = |name: &str| {
            host.spawn(
                name,
                &[
                    "dockerd",
                    "--data-root",
                    "/run/docker-data",
                    "--exec-root",
                    "/run/docker-exec",
                    "--pidfile",
                    "/run/docker.pid",
                    "-H",
                    "unix:///run/docker.sock",
                ],
            )
        };
        let docker = start("dockerd")?;
        let policy = || host.sh("iptables -S FORWARD").map_or(String::new(), |o| o.stdout);
        wait_until("dockerd has set FORWARD to DROP", PATIENCE, || {
            policy().contains("-P FORWARD DROP")
        })?;
        wait_until("dockerd answers", PATIENCE, || {
            host.sh("docker -H unix:///run/docker.sock version").is_ok()
        })?;
        let web = Member::new(&host, "web", conflist("red", 1, "open"), 8001)?;
        let check = || -> Result<()> {
            probe::ask(&web.container, Proto::Tcp, (e2e::Internet::V4, 80))?;
            probe::ask(&internet.host, Proto::Tcp, (uplink.v4, 8001)).map(drop)
        };
        check()?;
        docker.stop()?;
        let _again = start("dockerd-again")?;
        wait_until("dockerd answers again", PATIENCE, || {
            host.sh("docker -H unix:///run/docker.sock version").is_ok()
        })?;
        check().context("after a restart of dockerd")?;
        web.chain.check(&Cni::new(&web.container))
    })
}

fn conflist(bridge: &str, number: u8, policy: &str) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": bridge,
        "plugins": [
            { "type": "bridge", "bridge": bridge, "isDefaultGateway": true, "ipMasq": true,
              "hairpinMode": true,
              "ipam": { "type": "host-local", "ranges": [
                  [{ "subnet": format!("10.{number}.0.0/24") }],
                  [{ "subnet": format!("fd00:{number}::/64") }]] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall", "ingressPolicy": policy },
        ],
    })
}
