//! The interface between hosts goes down and up, or is another one of the same name.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use e2e::{Node, PATIENCE, Place as _};

use crate::packets::Traffic;
use crate::repair::STATE;
use crate::site::{DUAL, DUAL_DIRECT, DUAL_HOST_GW, Site, run};

/// The longest time until all is right after the interface is there again, in milliseconds.
const FLAP: u64 = 1000;
const ROUNDS: usize = 5;
/// The most pings that may be lost meanwhile: a second's, at 200 a second.
const LOST: usize = 200;

/// How hosts can be connected by way of the interface.
const GROUNDS: [(&str, &str); 3] =
    [("vxlan", DUAL), ("host-gw", DUAL_HOST_GW), ("DirectRouting", DUAL_DIRECT)];

/// What an administrator's tools put back: IPv6 loses its addresses, both families their routes.
const CONFIGURED: &str = "ip -6 addr replace 2001:db8:1::a/64 dev eth0 nodad
    ip route replace default via 192.0.2.1; ip -6 route replace default via 2001:db8:1::1";

/// `eth0` as a link on `wire0`, which is the plug in the wall: it can be removed and made anew.
const LINK: &str = "ip link add eth0 link wire0 address 02:00:00:00:77:01 type macvlan mode bridge
    ip addr add 192.0.2.10/24 dev eth0; ip link set eth0 up";

#[test]
fn all_is_right_again_within_a_second_of_an_uplink_that_went_down_and_up() -> Result<()> {
    for (what, config) in GROUNDS {
        run(|lab| {
            let site = Site::new(lab, config, 2, &["-ip-masq"])?;
            let members = site.members()?;
            let flap = "ip link set eth0 down; ip link set eth0 up";
            measured(&format!("{what}, uplink flap"), &site.nodes[0], flap)?;
            members[0].wait_to_reach(members[1].ip, PATIENCE)
        })?;
    }
    Ok(())
}

#[test]
fn all_is_right_again_within_a_second_of_an_uplink_that_was_made_anew() -> Result<()> {
    for (what, config) in GROUNDS {
        run(|lab| {
            let mut site = Site::without_nodes(lab)?;
            site.etcd.configure(config)?;
            let host = lab.host("host1")?;
            site.uplinks.push(site.internet.connect(lab, &host)?);
            host.sh(&format!(
                "ip link set eth0 down; ip addr flush dev eth0; ip link set eth0 name wire0 up
                 {LINK}; {CONFIGURED}"
            ))?;
            site.nodes.push(Node::start(&host, &site.etcd, &["-ip-masq"])?);
            site.add(lab, "host2", &["-ip-masq"])?;
            site.nodes.iter_mut().try_for_each(Node::wait_ready)?;
            let members = site.members()?;
            members[0].wait_to_reach(members[1].ip, PATIENCE)?;
            let anew = format!("ip link del eth0; {LINK}");
            measured(&format!("{what}, uplink made anew"), &site.nodes[0], &anew)?;
            let there = Traffic::start(&members[0], &members[1])?;
            let back = Traffic::start(&members[1], &members[0])?;
            host.sh(&format!("{anew}; {CONFIGURED}"))?;
            members[0].wait_to_reach(members[1].ip, PATIENCE)?;
            members[1].wait_to_reach(members[0].ip, PATIENCE)?;
            let passed = [there.count()?, back.count()?];
            writeln!(std::io::stderr(), "{what}, uplink made anew: {passed:?}")?;
            ensure!(passed.iter().all(|passed| passed.lost.len() < LOST), "{passed:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// Does it several times; each time all is as it was, soon after the last command.
fn measured(what: &str, node: &Node, damage: &str) -> Result<()> {
    let script = format!(
        "{STATE}\nfor round in $(seq {ROUNDS}); do
             {damage}; {CONFIGURED}; start=$(now); until_equal
         done"
    );
    let shown = node.host.sh(&script).with_context(|| what.to_owned())?.stdout;
    let times: Vec<u64> = shown.lines().map(str::parse).collect::<Result<_, _>>()?;
    writeln!(std::io::stderr(), "{what}: {times:?} ms")?;
    ensure!(times.iter().all(|time| *time < FLAP), "{what}: {times:?}");
    Ok(())
}
