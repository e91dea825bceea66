//! That a snapshot sees what it is taken for.

use anyhow::{Result, ensure};
use e2e::snapshot::{differences, settled, take};
use e2e::{Lab, Place as _};

use crate::site::Site;

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
