//! What flanneld leaves on a host that netd takes over, and the commands of the guide that remove it.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, PATIENCE, Place as _, probe, wait_until};

use crate::lost;
use crate::outage::Withdrawn;
use crate::packets::Traffic;
use crate::site::{Site, VXLAN, all_reach_all, run};

/// As flanneld makes them (`pkg/trafficmngr/iptables`, `pkg/trafficmngr/nftables`), with a rule that
/// stands twice, as after a race of two of its rounds; and what others have beside them.
const LEFT: &str = r#"
for ipt in iptables ip6tables; do
    net=10.5.0.0/16 pod=$pod4 multicast=224.0.0.0/4
    if [ $ipt = ip6tables ]; then net=fd05::/48 pod=fd05:0:0:3::/64 multicast=ff00::/8; fi
    masq=(-m comment --comment "flanneld masq") forward=(-m comment --comment "flanneld forward")
    $ipt -t nat -N FLANNEL-POSTRTG
    $ipt -t nat -A POSTROUTING "${masq[@]}" -j FLANNEL-POSTRTG
    $ipt -t nat -A POSTROUTING "${masq[@]}" -j FLANNEL-POSTRTG
    $ipt -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 "${masq[@]}" -j RETURN
    $ipt -t nat -A FLANNEL-POSTRTG -s $pod -d $net "${masq[@]}" -j RETURN
    $ipt -t nat -A FLANNEL-POSTRTG -s $net -d $pod "${masq[@]}" -j RETURN
    $ipt -t nat -A FLANNEL-POSTRTG ! -s $net -d $pod "${masq[@]}" -j RETURN
    $ipt -t nat -A FLANNEL-POSTRTG -s $net ! -d $multicast "${masq[@]}" -j MASQUERADE --random-fully
    $ipt -t nat -A FLANNEL-POSTRTG ! -s $net -d $net "${masq[@]}" -j MASQUERADE --random-fully
    $ipt -N FLANNEL-FWD
    $ipt -A FORWARD "${forward[@]}" -j FLANNEL-FWD
    $ipt -A FLANNEL-FWD -s $net "${forward[@]}" -j ACCEPT
    $ipt -A FLANNEL-FWD -d $net "${forward[@]}" -j ACCEPT
    $ipt -t nat -N OTHERS
    $ipt -t nat -A POSTROUTING -m comment --comment "somebody else's" -j OTHERS
done
nft add table ip flannel-ipv4
nft add table ip6 flannel-ipv6
nft 'add chain ip flannel-ipv4 forward { type filter hook forward priority filter; policy accept; }'
nft add rule ip flannel-ipv4 forward ip saddr 10.5.0.0/16 accept
iptables -P FORWARD DROP
"#;

/// The commands of the guide: the block after the heading.
fn commands() -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/flannel.md");
    let text = std::fs::read_to_string(page)?;
    let (_, after) = text.split_once("## What flanneld leaves behind").context("the heading")?;
    let lines = after.lines().skip_while(|line| !line.starts_with("    "));
    let block: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    ensure!(block.len() > 3, "{block:?}");
    Ok(block.join("\n"))
}

fn left(host: &Host) -> Result<String> {
    Ok(host.sh("iptables-save; ip6tables-save; nft list tables")?.stdout)
}

#[test]
fn the_guides_commands_remove_what_flanneld_left_and_nothing_else() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        for name in ["host1", "host2"] {
            site.add(lab, name, &["-ip-masq"])?;
        }
        site.nodes.iter_mut().try_for_each(e2e::Node::wait_ready)?;
        // A host of flanneld's, at netd's first start.
        site.nodes[0].stop()?;
        let host = site.nodes[0].host.clone();
        let subnet = site.nodes[0].key()?.replace('-', "/");
        host.sh(&format!("pod4={subnet}\n{LEFT}"))?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let members = site.members()?;
        all_reach_all(&members)?;

        // Twice: the second time nothing is there.
        for _ in 0..2 {
            host.sh(&commands()?)?;
            let now = left(&host)?;
            ensure!(!now.to_lowercase().contains("flannel"), "{now}");
        }
        let now = left(&host)?;
        for kept in ["-j OTHERS", "netd_cluster", ":FORWARD DROP"] {
            ensure!(now.contains(kept), "{kept}: {now}");
        }
        // netd's own accepts are enough, where FORWARD drops.
        all_reach_all(&members)?;
        let world = (e2e::Internet::V4, e2e::Internet::PORT);
        let seen = probe::ask(&members[0].container, e2e::Proto::Tcp, world)?;
        assert_eq!(seen.source.ip(), site.uplinks[0].v4);
        Ok(())
    })
}

/// Makes a host that netd has left one that flanneld has left: no memory, no rules of netd's, and routes
/// without its protocol.
const FLANNELDS: &str = "rm -r /var/lib/netd; nft delete table inet netd_cluster
    ip route show proto 78 | sed 's/proto 78//' | while read -r route; do
        ip route replace $route proto boot
    done
    test -z \"$(ip route show proto 78)\"";

#[test]
fn a_device_and_routes_of_flannelds_are_taken_over_without_losing_a_packet() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 3, &["-ip-masq"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        let host = site.nodes[0].host.clone();
        let key = lost::key(&site.nodes[0])?;
        let state = || {
            let shown = host.sh("ip -o link show flannel.1; ip route show dev flannel.1
                ip neigh show nud permanent dev flannel.1; bridge fdb show dev flannel.1")?;
            anyhow::Ok(shown.stdout)
        };
        let before = (state()?, site.etcd.list(&key)?);
        site.nodes[0].stop()?;
        let machine = host.read("/etc/machine-id")?;
        for (own, _) in site.etcd.list("/netd/v1/hosts")? {
            if own.ends_with(machine.trim()) {
                site.etcd.ctl(&["del", &own])?;
            }
        }
        host.sh(FLANNELDS)?;
        ensure!(state()? != before.0, "its routes are flanneld's");

        let withdrawn = Withdrawn::watch_all(&site.nodes)?;
        let traffic =
            [Traffic::start(&members[0], &members[1])?, Traffic::start(&members[2], &members[0])?];
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        wait_until("all is as it was", PATIENCE, || {
            state().is_ok_and(|now| now == before.0)
                && site.etcd.list(&key).is_ok_and(|now| now == before.1)
        })?;
        withdrawn.into_iter().try_for_each(Withdrawn::nothing)?;
        let passed: Result<Vec<_>> = traffic.into_iter().map(Traffic::end).collect();
        writeln!(std::io::stderr(), "taken over: {:?}", passed?)?;
        Ok(())
    })
}
