//! All that a plugin could have changed of a host and of the container on it.
//!
//! Two snapshots of a host that nobody touches are equal: what the kernel changes by itself is
//! switched off ([`quiet`]), waited for ([`settled`]) or left out of the text.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{Host, Lab, PATIENCE, Place, wait_for};

use crate::site::Site;

/// Left out: timers and states that follow a carrier, and where host-local looks first next time.
const STATE: &str = r#"
tidy() {
    sed -E 's/ state [A-Za-z]+//g; s/NO-CARRIER,//; s/,LOWER_UP//; s/ linkdown//
        s/ (hello|tcn|topology_change|gc|message_age|forward_delay|hold)_timer +[0-9.]+//g'
}
look() {
    ip -o -d link | tidy
    ip -o addr
    ip route show table all | tidy
    ip -6 route show table all | tidy
    ip rule
    ip -6 rule
    tc qdisc
    cd /proc/sys/net
    grep -r '' ipv4/ip_forward ipv4/conf ipv4/neigh ipv6/conf ipv6/neigh bridge 2>/dev/null || true
}
export -f tidy look
look | sed 's/^/host: /'
for name in /run/netns/*; do
    ip netns exec ${name##*/} bash -euc look | sed "s|^|${name##*/}: |"
done
nft list ruleset | sed 's/^/nft: /'
find /run/netd /var/lib/cni /etc/cni /run/netns \
    \( -type d -o ! -name 'last_reserved_ip.*' ! -name lock ! -name '.*' \) \
    -printf 'file: %y %m %p\n' 2>/dev/null | grep -v ' d .*/networks/' | sort
find /run/netd -type f -printf '%p\n' | sort | while read -r file; do
    sed "s|^|$file: |" "$file"; echo
done
find /var/lib/cni -type f ! -name 'last_reserved_ip.*' ! -name lock ! -name '.*' | sort |
    while read -r file; do sed "s|^|$file: |" "$file"; echo; done
"#;

/// Links that are made from now on get no address by themselves, so that none is tentative and
/// none comes late.
pub(crate) fn quiet(place: &dyn Place) -> Result<()> {
    place.sh("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1").map(drop)
}

/// What there is now.
pub(crate) fn take(host: &Host) -> Result<String> {
    Ok(host.sh(STATE)?.stdout)
}

/// What there is once the kernel is done with what was changed before.
pub(crate) fn settled(host: &Host) -> Result<String> {
    let mut last = take(host)?;
    wait_for("two snapshots in a row are equal", PATIENCE, || {
        let now = take(host)?;
        let same = now == last;
        last.clone_from(&now);
        Ok(same.then_some(now))
    })
}

/// The lines of either that the other has not, or not as often.
pub(crate) fn differences(before: &str, after: &str) -> String {
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    before.lines().for_each(|line| *counts.entry(line).or_default() -= 1);
    after.lines().for_each(|line| *counts.entry(line).or_default() += 1);
    let changed = counts.into_iter().filter(|(_, count)| *count != 0);
    let signed =
        changed.map(|(line, count)| format!("{}{line}", if count < 0 { "- " } else { "+ " }));
    signed.collect::<Vec<_>>().join("\n")
}

/// One change of each kind that a plugin makes, and how to take it back; the last cannot be.
const CHANGES: [(&str, &str); 20] = [
    ("ip link add x0 type veth peer name x1", "ip link del x0"),
    ("ip link set m0 down", "ip link set m0 up"),
    ("ip link set m0 mtu 1400", "ip link set m0 mtu 1500"),
    ("ip link set m0 master cni0", "ip link set m0 nomaster"),
    ("ip link set m0 alias x", "ip link set m0 alias ''"),
    ("ip link set cni0 promisc on", "ip link set cni0 promisc off"),
    (
        "for p in /sys/class/net/cni0/brif/*; do echo 0 >$p/hairpin_mode; done",
        "for p in /sys/class/net/cni0/brif/*; do echo 1 >$p/hairpin_mode; done",
    ),
    (
        "for p in /sys/class/net/cni0/brif/*; do echo 1 >$p/isolated; done",
        "for p in /sys/class/net/cni0/brif/*; do echo 0 >$p/isolated; done",
    ),
    ("ip addr add 10.77.0.1/24 dev cni0", "ip addr del 10.77.0.1/24 dev cni0"),
    ("ip -6 addr add fd77::1/64 dev cni0 nodad", "ip -6 addr del fd77::1/64 dev cni0"),
    ("ip route add 10.78.0.0/24 dev cni0", "ip route del 10.78.0.0/24 dev cni0"),
    (
        "sysctl -qw net.ipv4.conf.cni0.route_localnet=0",
        "sysctl -qw net.ipv4.conf.cni0.route_localnet=1",
    ),
    ("sysctl -qw net.ipv6.conf.all.forwarding=1", "sysctl -qw net.ipv6.conf.all.forwarding=0"),
    (
        "nft add element inet netd masq4 '{ 10.1.0.9 . cni0 }'",
        "nft delete element inet netd masq4 '{ 10.1.0.9 . cni0 }'",
    ),
    ("nft add table inet x", "nft delete table inet x"),
    ("iptables -A FORWARD -i x -j ACCEPT", "iptables -D FORWARD -i x -j ACCEPT"),
    ("echo x >/run/netd/attachments/x", "rm /run/netd/attachments/x"),
    ("echo x >/var/lib/cni/networks/net/10.1.0.9", "rm /var/lib/cni/networks/net/10.1.0.9"),
    (
        "ip netns exec c1 sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
        "ip netns exec c1 sysctl -qw net.ipv6.conf.all.disable_ipv6=0",
    ),
    ("ip netns exec c1 ip link set lo up", ""),
];

#[test]
fn the_snapshot_sees_every_kind_of_change() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        // The first use of iptables makes its table.
        site.host.sh("iptables -A FORWARD -i x -j ACCEPT; iptables -D FORWARD -i x -j ACCEPT")?;
        for (change, back) in CHANGES {
            let before = settled(&site.host)?;
            site.host.sh(change)?;
            ensure!(take(&site.host)? != before, "does not see {change}");
            site.host.sh(back)?;
            let after = settled(&site.host)?;
            let left = differences(&before, &after);
            ensure!(left.is_empty() || back.is_empty(), "after {change}; {back}:\n{left}");
        }
        Ok(())
    })
}
