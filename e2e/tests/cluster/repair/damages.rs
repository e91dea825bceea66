//! What is damaged, and how, for each kind of object. Scripts have the names of `assets/repair.sh`; `$round` is
//! another each time.

use e2e::damage::{Damage, of};

/// Where a device for each family leads to the other host.
pub(super) const WITH_DEVICES: [&[Damage]; 4] = [&OF_DEVICES, &RULES, &SUBNET_ENV, &ALL_OF_DEVICES];

/// Where plain routes lead to the other host, and one drops what is for nobody here.
pub(super) const WITH_ROUTES: [&[Damage]; 4] = [&OF_ROUTES, &RULES, &SUBNET_ENV, &ALL_OF_ROUTES];

const OF_DEVICES: [Damage; 32] = [
    of("device", "deleted, v4", "ip link del flannel.1"),
    of("device", "deleted, v6", "ip link del flannel-v6.1"),
    of("device", "another of its name, v4", "ip link del flannel.1; other_of_name flannel.1"),
    of("device", "another of its name, v6", "ip link del flannel-v6.1; other_of_name flannel-v6.1"),
    of("device", "down, v4", "ip link set flannel.1 down"),
    of("device", "down, v6", "ip link set flannel-v6.1 down"),
    of("device", "other MTU, v4", "ip link set flannel.1 mtu 1300"),
    of("device", "other MTU, v6", "ip link set flannel-v6.1 mtu 1300"),
    of("device", "learning, v4", "ip link set flannel.1 type vxlan id 1 learning"),
    of("device", "learning, v6", "ip link set flannel-v6.1 type vxlan id 1 learning"),
    of("MAC", "other, v4", "ip link set flannel.1 address 02:00:00:00:00:99"),
    of("MAC", "other, v6", "ip link set flannel-v6.1 address 02:00:00:00:00:99"),
    of("address", "deleted, v4", "ip addr flush dev flannel.1"),
    of("address", "deleted, v6", "ip -6 addr flush dev flannel-v6.1"),
    of(
        "address",
        "another in its place, v4",
        "ip addr flush dev flannel.1; ip addr add 10.99.0.1/32 dev flannel.1",
    ),
    of(
        "address",
        "another in its place, v6",
        "ip -6 addr flush dev flannel-v6.1; ip addr add fd99::1/128 dev flannel-v6.1",
    ),
    of(
        "address",
        "other prefix length, v4",
        "ip addr add ${address%/*}/24 dev flannel.1; ip addr del $address dev flannel.1",
    ),
    of(
        "address",
        "other prefix length, v6",
        // An agent that is faster than the second command has put the address back.
        "ip addr del $address6 dev flannel-v6.1; ip addr add ${address6%/*}/64 dev flannel-v6.1 nodad || true",
    ),
    of("route", "deleted, v4", "ip route del $base/24"),
    of("route", "deleted, v6", "ip -6 route del $base6/64"),
    of("route", "other device, v4", "ip route replace $base/24 dev eth0"),
    of("route", "other device, v6", "ip -6 route replace $base6/64 dev eth0"),
    of("route", "unreachable, v4", "ip route replace unreachable $base/24"),
    of("route", "unreachable, v6", "ip -6 route replace unreachable $base6/64"),
    of("neighbour", "deleted, v4", "ip neigh del $base dev flannel.1"),
    of("neighbour", "deleted, v6", "ip neigh del $base6 dev flannel-v6.1"),
    of(
        "neighbour",
        "other MAC, v4",
        "ip neigh replace $base lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent",
    ),
    of(
        "neighbour",
        "other MAC, v6",
        "ip neigh replace $base6 lladdr 02:00:00:00:00:99 dev flannel-v6.1 nud permanent",
    ),
    of("forwarding", "deleted, v4", "bridge fdb del $mac dev flannel.1"),
    of("forwarding", "deleted, v6", "bridge fdb del $mac6 dev flannel-v6.1"),
    of("forwarding", "other host, v4", "bridge fdb replace $mac dev flannel.1 dst 192.0.2.99"),
    of(
        "forwarding",
        "other host, v6",
        "bridge fdb replace $mac6 dev flannel-v6.1 dst 2001:db8:1::99",
    ),
];

const OF_ROUTES: [Damage; 15] = [
    of("route", "deleted, v4", "ip route del $base/24"),
    of("route", "deleted, v6", "ip -6 route del $base6/64"),
    of("route", "other gateway, v4", "ip route replace $base/24 via 192.0.2.1"),
    of("route", "other gateway, v6", "ip -6 route replace $base6/64 via 2001:db8:1::1"),
    of("route", "other device, v4", "ip route replace $base/24 dev lo"),
    of("route", "other device, v6", "ip -6 route replace $base6/64 dev lo"),
    of("route", "unreachable, v4", "ip route replace unreachable $base/24"),
    of("route", "unreachable, v6", "ip -6 route replace unreachable $base6/64"),
    of("route that drops", "deleted, v4", "ip route del blackhole $own metric 1048576"),
    of("route that drops", "deleted, v6", "ip -6 route del blackhole $own6 metric 1048576"),
    of("route that drops", "unreachable, v4", "ip route replace unreachable $own metric 1048576"),
    of(
        "route that drops",
        "unreachable, v6",
        "ip -6 route replace unreachable $own6 metric 1048576",
    ),
    of("route", "all deleted, v4", "ip route flush proto 78"),
    of("route", "all deleted, v6", "ip -6 route flush proto 78"),
    of("route", "all deleted", "ip route flush proto 78; ip -6 route flush proto 78"),
];

/// The table is one of family inet: its rules and sets are of a family each.
const RULES: [Damage; 10] = [
    of(
        "rule",
        "one deleted, v4",
        "nft delete rule inet netd_cluster postrouting handle $(rule @cluster4)",
    ),
    of(
        "rule",
        "one deleted, v6",
        "nft delete rule inet netd_cluster postrouting handle $(rule @cluster6)",
    ),
    of(
        "rule",
        "one altered, v4",
        "nft replace rule inet netd_cluster postrouting handle $(rule @cluster4) accept",
    ),
    of(
        "rule",
        "one altered, v6",
        "nft replace rule inet netd_cluster postrouting handle $(rule @cluster6) accept",
    ),
    of("rule", "all deleted", "nft flush chain inet netd_cluster postrouting"),
    of("table", "deleted", "nft delete table inet netd_cluster"),
    of("table", "a set emptied, v4", "nft flush set inet netd_cluster cluster4"),
    of("table", "a set emptied, v6", "nft flush set inet netd_cluster cluster6"),
    of("table", "a set altered, v4", "nft add element inet netd_cluster cluster4 { 10.99.0.0/16 }"),
    of("table", "a set altered, v6", "nft add element inet netd_cluster cluster6 { fd99::/48 }"),
];

const SUBNET_ENV: [Damage; 2] = [
    of("subnet.env", "deleted", "rm /run/flannel/subnet.env"),
    of("subnet.env", "altered", "echo FLANNEL_MTU=9 > /run/flannel/subnet.env"),
];

const ALL_OF_DEVICES: [Damage; 2] = [
    of(
        "all at once",
        "deleted, v4 and v6",
        "ip link del flannel.1; ip link del flannel-v6.1; nft flush ruleset; mv /run/flannel /run/moved$round",
    ),
    of(
        "all at once",
        "altered, v4 and v6",
        "bridge fdb replace $mac dev flannel.1 dst 192.0.2.99
         bridge fdb replace $mac6 dev flannel-v6.1 dst 2001:db8:1::99
         ip neigh replace $base lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent
         ip neigh replace $base6 lladdr 02:00:00:00:00:99 dev flannel-v6.1 nud permanent
         ip route replace $base/24 dev eth0; ip -6 route replace $base6/64 dev eth0
         nft add rule inet netd_cluster postrouting accept
         echo FLANNEL_MTU=9 > /run/flannel/subnet.env
         for device in flannel.1 flannel-v6.1; do
             ip link set $device mtu 1300 address 02:00:00:00:00:99
         done
         ip addr flush dev flannel.1; ip addr add 10.99.0.1/32 dev flannel.1
         ip -6 addr flush dev flannel-v6.1; ip addr add fd99::1/128 dev flannel-v6.1",
    ),
];

const ALL_OF_ROUTES: [Damage; 2] = [
    of(
        "all at once",
        "deleted, v4 and v6",
        "ip route flush proto 78; ip -6 route flush proto 78; nft flush ruleset; rm /run/flannel/subnet.env",
    ),
    of(
        "all at once",
        "altered, v4 and v6",
        "ip route replace $base/24 via 192.0.2.1; ip -6 route replace $base6/64 via 2001:db8:1::1
         ip route replace unreachable $own metric 1048576
         ip -6 route replace unreachable $own6 metric 1048576
         nft add rule inet netd_cluster postrouting accept
         echo FLANNEL_MTU=9 > /run/flannel/subnet.env",
    ),
];
