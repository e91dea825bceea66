//! What is damaged, and how, for each kind of object. In scripts `$app` and `$quiet` are the networks' bridges,
//! `$web` and `$one` the ends of containers on them.

use e2e::damage::{Damage, of};

/// Names for what is damaged.
pub(super) const NAMES: &str = r#"
link() { ip -d -j link | jq -r ".[] | select((.ifalias // \"\") | endswith(\"$1\")) | .ifname"; }
web=$(link app/web/eth0) one=$(link quiet/one/eth1)
app=$(ip -j link show $web | jq -r '.[].master') quiet=$(ip -j link show $one | jq -r '.[].master')
rule() { nft -a list chain inet netd $1 | awk -v "word=$2" 'index($0, word) {n = $NF} END {print n}'; }
sets() { nft -j list table inet netd | jq -r '.nftables[] | to_entries[] | select(.key == "set" or .key == "map") | .key + " inet netd " + .value.name'; }
empty() { sets | sed 's/^/flush /' | nft -f -; }
"#;

/// What is made of the host before, so that other programs' tables are there to be left alone.
pub(super) const OTHERS: &str = "
nft -f - <<<'table inet theirs {
    set s { type ipv4_addr; elements = { 192.0.2.77 } }
    chain c { type filter hook input priority 10; ip saddr @s counter drop; }
}'
iptables -P FORWARD DROP; iptables -A INPUT -s 192.0.2.78 -j DROP
";

pub(super) const DAMAGES: [Damage; 36] = [
    of("table", "deleted", "nft delete table inet netd"),
    of("rule", "a jump removed", "nft flush chain inet netd prerouting"),
    of("rule", "all of a chain removed", "nft flush chain inet netd forward"),
    of("rule", "one deleted", "nft delete rule inet netd guard handle $(rule guard @bridges)"),
    of(
        "rule",
        "one altered",
        "nft replace rule inet netd guard handle $(rule guard @bridges) accept",
    ),
    of("rule", "one of others", "nft insert rule inet netd ports accept"),
    of(
        "rule",
        "another order",
        "nft delete rule inet netd forward handle $(rule forward established)
         nft add rule inet netd forward ct state established,related accept",
    ),
    of(
        "chain",
        "deleted",
        "nft -f - <<<'flush chain inet netd postrouting; delete chain inet netd postrouting'",
    ),
    of("chain", "other policy", "nft chain inet netd forward '{ policy drop; }'"),
    of("set", "deleted", "nft -f - <<<'flush chain inet netd guard; delete set inet netd pinged4'"),
    of("element", "ports gone", "nft flush map inet netd dnat_any4"),
    of("element", "published gone", "nft flush set inet netd published4"),
    of("element", "own gone", "nft flush set inet netd own4"),
    of("element", "masquerade gone", "nft flush set inet netd masq4"),
    of("element", "masquerade gone, v6", "nft flush set inet netd masq6"),
    of("element", "guarded gone", "nft flush set inet netd guarded4"),
    of("element", "guarded gone, v6", "nft flush set inet netd guarded6"),
    of("element", "allowed gone", "nft flush set inet netd allowed4"),
    of("element", "closed gone", "nft flush set inet netd closed4"),
    of("element", "bridges gone", "nft flush set inet netd bridges"),
    of(
        "element",
        "internal gone",
        "nft flush set inet netd internal; nft flush set inet netd inside",
    ),
    of("element", "all gone", "empty"),
    of(
        "element",
        "altered, by its owner's name",
        "nft -f - <<<'delete element inet netd dnat_any4 { tcp . 8080 }
         add element inet netd dnat_any4 { tcp . 8080 comment \"app/web/eth0\" : 10.9.9.9 . 9 }'",
    ),
    of(
        "element",
        "altered, by nobody's",
        "nft -f - <<<'delete element inet netd dnat_any4 { tcp . 8080 }
         add element inet netd dnat_any4 { tcp . 8080 : 10.9.9.9 . 9 }'",
    ),
    of("forwarding", "off, v4", "sysctl -qw net.ipv4.ip_forward=0"),
    of("forwarding", "off, v6", "sysctl -qw net.ipv6.conf.all.forwarding=0"),
    of("FORWARD", "accepts gone", "iptables -F CNI-FORWARD"),
    of("FORWARD", "jump gone", "iptables -D FORWARD -j CNI-FORWARD"),
    of("bridge", "deleted", "ip link del $app"),
    of("bridge", "both deleted", "ip link del $app; ip link del $quiet"),
    of("bridge", "down, no address", "ip link set $app down; ip addr flush dev $app"),
    of("interface", "on no bridge", "ip link set $web nomaster"),
    of("interface", "on another's bridge", "ip link set $web master $quiet"),
    of("interface", "down, other MTU", "ip link set $web down mtu 1300; ip link set $one down"),
    of(
        "interface",
        "other settings",
        "bridge link set dev $web hairpin off; bridge link set dev $one isolated off",
    ),
    of(
        "all at once",
        "deleted",
        "ip link del $quiet; ip link del $app; sysctl -qw net.ipv4.ip_forward=0
         nft flush ruleset; others",
    ),
];
