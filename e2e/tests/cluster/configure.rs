//! The network configuration in etcd changes while agents run and packets pass.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{NETD, Node, PATIENCE, PREFIX, Place as _, wait_until};

use crate::kills::kept;
use crate::outage::STATE;
use crate::packets::Traffic;
use crate::site::{Site, VXLAN, run};

/// What a host has of a configuration: a command, and what it shows then.
type Sign = (&'static str, &'static str);

/// Changes that are followed, each from the one before.
const FOLLOWED: [(&str, &str, &[Sign]); 5] = [
    (
        "another MTU",
        r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","MTU":1400}}"#,
        &[
            ("ip link show flannel.1", "mtu 1350"),
            ("cat /run/flannel/subnet.env", "FLANNEL_MTU=1350"),
        ],
    ),
    (
        "DirectRouting",
        r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}"#,
        &[("ip route show proto 78", "dev eth0"), ("ip link show flannel.1", "mtu 1450")],
    ),
    ("no DirectRouting", VXLAN, &[("ip route show proto 78", "dev flannel.1 onlink")]),
    (
        "a wider network",
        r#"{"Network":"10.4.0.0/15","SubnetLen":24,"Backend":{"Type":"vxlan"}}"#,
        &[
            ("cat /run/flannel/subnet.env", "FLANNEL_NETWORK=10.4.0.0/15"),
            ("nft list table inet netd_cluster", "10.4.0.0/15"),
        ],
    ),
    (
        "IPv6",
        r#"{"Network":"10.4.0.0/15","SubnetLen":24,"EnableIPv6":true,"IPv6Network":"fd05::/48",
            "Backend":{"Type":"vxlan"}}"#,
        &[
            ("cat /run/flannel/subnet.env", "FLANNEL_IPV6_NETWORK=fd05::/48"),
            ("ip -6 route show proto 78", "dev flannel-v6.1"),
            ("ip route show proto 78", "dev flannel.1 onlink"),
        ],
    ),
];

/// What is refused, and what is said of it.
const REFUSED: [(&str, &str); 6] = [
    (r#"{"Network":"10.9.0.0/16","Backend":{"Type":"vxlan"}}"#, "does not give out 10."),
    (
        r#"{"Network":"10.5.0.0/16","SubnetLen":26,"Backend":{"Type":"vxlan"}}"#,
        "with subnets of /26",
    ),
    (r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7}}"#, "Backend.VNI is 7"),
    (r#"{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}"#, "Backend.Type is \"host-gw\""),
    (r#"{"Network":"10.5.0.0/16","Backend":{"Type":"ipsec"}}"#, "is none that netd has"),
    ("{\"Network\":", "cannot be used"),
];

fn shows(node: &Node, (command, text): &Sign) -> bool {
    node.host.sh(command).is_ok_and(|shown| shown.stdout.contains(text))
}

/// Whether a host is ready and says that the configuration is not followed, and why.
fn refuses(node: &Node, why: &str) -> bool {
    node.health("readyz").is_ok_and(|(code, said)| {
        code == 200 && said.contains("not followed") && said.contains(why)
    })
}

fn subnets(site: &Site) -> Result<Vec<String>> {
    site.nodes.iter().map(Node::key).collect()
}

#[test]
fn what_a_running_host_can_follow_is_followed_without_losing_a_packet() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let before = subnets(&site)?;
        let device = "cat /sys/class/net/flannel.1/ifindex";
        let index = site.nodes[0].host.sh(device)?.stdout;
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        for (what, config, signs) in FOLLOWED {
            let begin = Instant::now();
            site.etcd.configure(config)?;
            for node in &site.nodes {
                for sign in signs {
                    wait_until(&format!("{what}: {sign:?}"), PATIENCE, || shows(node, sign))?;
                }
            }
            writeln!(std::io::stderr(), "{what}: {} ms", begin.elapsed().as_millis())?;
        }
        let passed = [there.end()?, back.end()?];
        writeln!(std::io::stderr(), "{passed:?}")?;
        assert_eq!(subnets(&site)?, before, "the subnets are the same");
        assert_eq!(site.nodes[0].host.sh(device)?.stdout, index, "and the device");
        let keys = site.etcd.list(&format!("{PREFIX}/subnets"))?;
        ensure!(keys.len() == 2 && keys.iter().all(|(key, _)| key.contains("&fd05:")), "{keys:?}");
        // New containers have both families, and reach each other by both.
        let new: Vec<_> = site.nodes.iter().map(|node| node.add("dual")).collect::<Result<_>>()?;
        let six = new[1].container.addresses("eth0")?;
        let six = six.iter().filter_map(|net| net.split('/').next());
        let six = six
            .filter_map(|ip| ip.parse().ok())
            .find(|ip: &std::net::IpAddr| ip.is_ipv6() && ip.to_string().starts_with("fd05:"));
        let six = six.ok_or_else(|| anyhow::anyhow!("an IPv6 address"))?;
        new[0].wait_to_reach(six, PATIENCE)?;
        new[0].wait_to_reach(new[1].ip, PATIENCE)
    })
}

#[test]
fn what_would_take_the_own_subnet_away_is_refused_and_told() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let before = subnets(&site)?;
        let traffic = Traffic::start(&members[0], &members[1])?;
        let node = &site.nodes[0];
        let told = |path: &str| node.health(path).unwrap_or_default();
        for (config, why) in REFUSED {
            site.etcd.configure(config)?;
            wait_until(&format!("{config} is refused"), PATIENCE, || refuses(node, why))?;
            let status = node.host.command(&[NETD, "status"]).output()?;
            ensure!(
                status.code == 0 && status.stdout.contains("config     not followed: "),
                "{status:?}"
            );
            ensure!(told("metrics").1.contains("\nnetd_config_refused 1\n"));
        }
        site.etcd.ctl(&["del", &format!("{PREFIX}/config")])?;
        wait_until("that there is none is told", PATIENCE, || {
            told("readyz").1.contains("there is no network configuration")
        })?;
        site.etcd.configure(VXLAN)?;
        wait_until("all is well", PATIENCE, || told("readyz").1 == "flanneld is ready")?;
        ensure!(told("metrics").1.contains("\nnetd_config_refused 0\n"));
        assert_eq!(subnets(&site)?, before);
        let passed = traffic.end()?;
        writeln!(std::io::stderr(), "{} refused: {passed:?}", REFUSED.len())?;
        Ok(())
    })
}

#[test]
fn what_is_refused_stays_refused_after_a_kill_as_long_as_there_are_containers() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        kept(&site)?;
        let before = (subnets(&site)?, site.nodes[0].host.sh(STATE)?.stdout);
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        for (config, why) in REFUSED {
            site.etcd.configure(config)?;
            site.nodes[0].kill();
            site.nodes[0].resume()?;
            site.nodes[0].wait_ready()?;
            let what = format!("{config} is refused");
            wait_until(&what, PATIENCE, || refuses(&site.nodes[0], why))?;
            assert_eq!((subnets(&site)?, site.nodes[0].host.sh(STATE)?.stdout), before, "{config}");
        }
        writeln!(std::io::stderr(), "{:?}", [there.end()?, back.end()?])?;
        let (elsewhere, _) = REFUSED[0];
        site.etcd.configure(elsewhere)?;
        wait_until("it is refused", PATIENCE, || refuses(&site.nodes[0], "does not give out"))?;
        members[0].del()?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        ensure!(site.nodes[0].env("FLANNEL_SUBNET")?.starts_with("10.9."), "another subnet");
        Ok(())
    })
}
