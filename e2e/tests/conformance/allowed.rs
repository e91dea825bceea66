//! What may differ between the reference plugins and ours: this list, and nothing else.

/// Which comparison an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Bridge,
    MacVlan,
    Addresses,
    Chained,
    Reach,
}

/// One allowed difference; `*` in `case` and `path` stands for any text.
pub(crate) struct Allowed {
    /// Where it is needed: an entry that no case of one of these needs is an error.
    pub(crate) groups: &'static [Group],
    pub(crate) case: &'static str,
    pub(crate) path: &'static str,
    /// Why, for whoever reads the list; numbers are sections of the facts about CNI.
    #[expect(dead_code, reason = "for readers")]
    pub(crate) reason: &'static str,
}

use Group::{Addresses, Bridge, Chained, MacVlan, Reach};

const EVERYWHERE: &[Group] = &[Bridge, MacVlan, Addresses, Chained];

/// The list.
pub(crate) const ALLOWED: &[Allowed] = &[
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "/ADD/*/code",
        reason: "the reference says 999 for every error of a plugin (1.4); ours are the specification's",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "/ADD/*/result/dns",
        reason: "1.1.1 prints an empty dns in 1.0.0 too; the specification and 1.9 leave it out (1.5)",
    },
    Allowed {
        groups: &[Bridge, Addresses],
        case: "*",
        path: "/ADD/*/result/dns/*",
        reason: "1.1.1 loses IPAM's dns where the bridge has none of its own; 1.9 keeps it (2.1)",
    },
    Allowed {
        groups: &[MacVlan],
        case: "macvlan dns of ipam",
        path: "/ADD/*/result/dns/*",
        reason: "the reference loses IPAM's dns (2.2, BUG)",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "invalid *",
        path: "/DEL*",
        reason: "the reference validates all keys on DEL: what became wrong is never removed (2.10, 2.16; 2.5, BUG)",
    },
    Allowed {
        groups: &[Bridge, MacVlan],
        case: "late *",
        path: "/container/*",
        reason: "the reference leaves what it wired before the failure (2.1, 2.2 BUG)",
    },
    Allowed {
        groups: &[Bridge],
        case: "late *",
        path: "/host*",
        reason: "the same of the bridge and the host's end",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "*/links/*/txqlen",
        reason: "1.1.1 sets a transmit queue of 0 by its netlink library's default; 1.9 leaves the kernel's (1.12)",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "*/routes*/protocol",
        reason: "routes of ours carry the protocol number that bounds what repair and GC may delete",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "*/addr_info/*/nodad",
        reason: "ours never waits for duplicate address detection: each address is handed out once (2.1)",
    },
    Allowed {
        groups: &[Bridge, MacVlan, Addresses],
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/accept_dad",
        reason: "1.1.1 leaves it for macvlan and writes it without any IPv6 address; ours writes it where it gives IPv6 (2.1, 2.2)",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/accept_ra",
        reason: "CVE-2020-10749: a neighbour's router advertisements give no routes; 1.1.1 closed only the host's side",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/keep_addr_on_down",
        reason: "1.1.1 does not write it yet, 1.9 does (1.12)",
    },
    Allowed {
        groups: EVERYWHERE,
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/ndisc_notify",
        reason: "1.1.1 does not write it yet, 1.9 does (2.2)",
    },
    Allowed {
        groups: &[Bridge, Addresses, Chained],
        case: "*",
        path: "/host*/port accept_ra",
        reason: "a port of a bridge hands no packet to IPv6: the bridge's own key is the one that counts",
    },
    Allowed {
        groups: &[Bridge],
        case: "bridge there *",
        path: "/host*/bridge accept_ra",
        reason: "a bridge of somebody else's, of which the host is no gateway, may be the host's way out by what routers tell it",
    },
    Allowed {
        groups: &[Bridge],
        case: "bridge without ipam",
        path: "/CHECK/bridge",
        reason: "the reference's CHECK wants IPAM where there is none (2.1, BUG)",
    },
    Allowed {
        groups: &[Bridge],
        case: "bridge routes without gateway",
        path: "/CHECK/bridge",
        reason: "the reference does not find the route on the link that it made (1.12)",
    },
    Allowed {
        groups: &[Bridge],
        case: "loopback",
        path: "/ADD/*/result/*",
        reason: "1.1.1 prints the form of 1.0.0 in every version; older ones have their own (1.5)",
    },
    Allowed {
        groups: &[Addresses],
        case: "host-local ip outside",
        path: "/host*/last_reserved_ip.0",
        reason: "the reference has moved on before it fails and releases (2.16); ours has written nothing",
    },
    Allowed {
        groups: &[Chained],
        case: "portmap*",
        path: "/CHECK/portmap",
        reason: "1.1.1 looks for the IPv4 rules in ip6tables' tables too; both families have their own (2.10)",
    },
    Allowed {
        groups: &[Chained],
        case: "portmap*",
        path: "/host/links/1/info_slave_data/hairpin",
        reason: "portmap turns it on for its port, or the container could not reach its own published port (2.10)",
    },
    Allowed {
        groups: &[Chained],
        case: "firewall too old",
        path: "/DEL*",
        reason: "the list of versions has one more: a 1.1.0 field",
    },
    Allowed {
        groups: &[Reach],
        case: "drop",
        path: "/outside to uplink*",
        reason: "the reference accepts what a container sends and the answers, not what comes for its published port (2.11)",
    },
    Allowed {
        groups: &[Reach],
        case: "same-bridge",
        path: "/other to uplink*",
        reason: "a published port is for everybody, whichever bridge they are on (2.10); the reference drops it for other bridges (2.11)",
    },
];
