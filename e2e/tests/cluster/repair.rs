//! Whatever is deleted or altered is right again, and how soon. The times are of the host itself,
//! where a loop compares all that there is with what was there before.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use e2e::Place as _;

use crate::site::{DUAL, Site, run};

/// The longest time for half of the repairs, in milliseconds: an event brings them, not the look
/// once a minute. How long the slowest take says more of what else the machine does.
const SOON: u64 = 100;
/// The longest time until all is right after the uplink went down and up.
const FLAP: u64 = 1000;
const ROUNDS: usize = 5;

/// What is damaged, and how. `$base`, `$base6`, `$mac` and `$mac6` are of the other host.
const DAMAGES: [(&str, &str); 24] = [
    ("device, deleted", "ip link del flannel.1"),
    ("device, deleted, v6", "ip link del flannel-v6.1"),
    ("device, down", "ip link set flannel.1 down"),
    ("device, down, v6", "ip link set flannel-v6.1 down"),
    ("device, other MTU", "ip link set flannel.1 mtu 1300"),
    ("device, learning", "ip link set flannel.1 type vxlan id 1 learning"),
    ("MAC, other", "ip link set flannel.1 address 02:00:00:00:00:99"),
    ("MAC, other, v6", "ip link set flannel-v6.1 address 02:00:00:00:00:99"),
    ("address, deleted", "ip addr flush dev flannel.1"),
    ("address, deleted, v6", "ip -6 addr flush dev flannel-v6.1"),
    ("route, deleted", "ip route del $base/24"),
    ("route, deleted, v6", "ip -6 route del $base6/64"),
    ("route, other", "ip route replace $base/24 dev eth0"),
    ("neighbour, deleted", "ip neigh del $base dev flannel.1"),
    ("neighbour, deleted, v6", "ip neigh del $base6 dev flannel-v6.1"),
    (
        "neighbour, other",
        "ip neigh replace $base lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent",
    ),
    ("forwarding, deleted", "bridge fdb del $mac dev flannel.1"),
    ("forwarding, deleted, v6", "bridge fdb del $mac6 dev flannel-v6.1"),
    ("forwarding, other", "bridge fdb replace $mac dev flannel.1 dst 192.0.2.99"),
    ("rules of a chain", "nft flush chain inet netd_cluster \"$chain\""),
    ("table of rules", "nft delete table inet netd_cluster"),
    ("subnet.env, deleted", "rm /run/flannel/subnet.env"),
    ("subnet.env, altered", "echo FLANNEL_MTU=9 > /run/flannel/subnet.env"),
    (
        "all at once",
        "ip link del flannel.1; ip link del flannel-v6.1; nft flush ruleset; mv /run/flannel /run/moved$round",
    ),
];

/// What is to be the same again, without numbers of interfaces.
const STATE: &str = r#"
state() {
    for device in flannel.1 flannel-v6.1; do
        ip -d addr show dev $device 2>/dev/null | sed 's/^[0-9]*: //; /inet6 fe80/d; /valid_lft/d'
        bridge fdb show dev $device 2>/dev/null | sort
        ip neigh show dev $device nud permanent 2>/dev/null | sort
    done
    ip route show proto 78; ip -6 route show proto 78
    nft list table inet netd_cluster 2>/dev/null
    cat /run/flannel/subnet.env 2>/dev/null
}
base=$(ip route show proto 78 dev flannel.1 | sed 's,/.*,,')
base6=$(ip -6 route show proto 78 dev flannel-v6.1 | sed 's,/.*,,')
mac=$(ip neigh show $base dev flannel.1 | awk '{print $3}')
mac6=$(ip neigh show $base6 dev flannel-v6.1 | awk '{print $3}')
chain=$(nft list table inet netd_cluster | awk '$1 == "chain" {print $2; exit}')
now() { echo $(($(date +%s%N) / 1000)); }
before=$(state)
[ -n "$base" ] && [ -n "$base6" ] && [ -n "$mac" ] && [ -n "$mac6" ] && [ -n "$chain" ]
until_equal() {
    while after=$(state); [ "$after" != "$before" ]; do
        if [ $(($(now) - start)) -gt 5000000 ]; then
            diff <(echo "$before") <(echo "$after") >&2 || true
            exit 1
        fi
    done
    echo $((($(now) - start) / 1000))
}
"#;

#[test]
fn every_kind_of_object_is_right_again_at_once_alone_and_together() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, DUAL, 2, &["-ip-masq"])?;
        let host = &site.nodes.first().context("a host")?.host;
        let mut all = Vec::new();
        for (what, damage) in DAMAGES {
            let script = format!(
                "{STATE}\nfor round in $(seq {ROUNDS}); do {damage}; start=$(now); until_equal; done"
            );
            let shown = host.sh(&script).with_context(|| format!("{what}: {damage}"))?.stdout;
            let times: Vec<u64> = shown.lines().map(str::parse).collect::<Result<_, _>>()?;
            writeln!(std::io::stderr(), "{what:26} {times:?} ms")?;
            all.extend(times);
        }
        all.sort_unstable();
        let of = |percent: usize| all.get((all.len() - 1) * percent / 100).copied();
        let (p50, p99, max) = (of(50), of(99), all.last().copied());
        writeln!(std::io::stderr(), "{} repairs: {p50:?} {p99:?} {max:?} ms", all.len())?;
        ensure!(p50.is_some_and(|p50| p50 < SOON), "{all:?}");
        Ok(())
    })
}

#[test]
fn all_is_right_again_within_a_second_of_an_uplink_that_went_down_and_up() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, DUAL, 2, &["-ip-masq"])?;
        let host = &site.nodes.first().context("a host")?.host;
        let flap = "ip link set eth0 down; ip link set eth0 up; start=$(now)
            ip -6 addr replace 2001:db8:1::10/64 dev eth0 nodad
            ip route replace default via 192.0.2.1; ip -6 route replace default via 2001:db8:1::1";
        let shown = host.sh(&format!("{STATE}\n{flap}; until_equal"))?.stdout;
        let time: u64 = shown.trim().parse()?;
        writeln!(std::io::stderr(), "uplink flap: {time} ms")?;
        ensure!(time < FLAP, "{time} ms");
        Ok(())
    })
}
