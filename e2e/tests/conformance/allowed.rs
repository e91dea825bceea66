//! What may differ between the reference plugins and ours: this list, and nothing else.

/// One allowed difference; `*` in `case` and `path` stands for any text.
pub(crate) struct Allowed {
    pub(crate) case: &'static str,
    pub(crate) path: &'static str,
    /// Why; numbers are sections of the facts about CNI.
    pub(crate) reason: &'static str,
}

/// The list.
pub(crate) const ALLOWED: &[Allowed] = &[
    Allowed {
        case: "*",
        path: "/ADD/*/code",
        reason: "the reference says 999 for every error of a plugin (1.4); ours are the specification's",
    },
    Allowed {
        case: "*",
        path: "/ADD/*/result/dns",
        reason: "1.1.1 prints an empty dns in 1.0.0 too; the specification and 1.9 leave it out (1.5)",
    },
    Allowed {
        case: "static on bridge",
        path: "/ADD/*/result/dns/nameservers",
        reason: "1.1.1 loses IPAM's dns where the bridge has none of its own; 1.9 keeps it (2.1)",
    },
    Allowed {
        case: "*",
        path: "*/links/*/txqlen",
        reason: "1.1.1 sets a transmit queue of 0 by its netlink library's default; 1.9 leaves the kernel's (1.12)",
    },
    Allowed {
        case: "*",
        path: "*/routes*/protocol",
        reason: "routes of ours carry the protocol number that bounds what repair and GC may delete",
    },
    Allowed {
        case: "*",
        path: "*/addr_info/*/nodad",
        reason: "ours never waits for duplicate address detection: the bridge hands each address out once; 1.1.1 waits with the bridge's own (2.1)",
    },
    Allowed {
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/accept_dad",
        reason: "1.1.1 leaves it for macvlan and writes it without any IPv6 address; ours writes it where it gives IPv6 (2.1, 2.2)",
    },
    Allowed {
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/accept_ra",
        reason: "CVE-2020-10749: a neighbour's router advertisements give no routes; 1.1.1 closed only the host's side",
    },
    Allowed {
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/keep_addr_on_down",
        reason: "1.1.1 does not write it yet, 1.9 does (1.12)",
    },
    Allowed {
        case: "*",
        path: "/container*/sysctls/ipv6/conf/eth0/ndisc_notify",
        reason: "1.1.1 does not write it yet, 1.9 does (2.2)",
    },
    Allowed {
        case: "*",
        path: "/host*/port accept_ra",
        reason: "a port of a bridge hands no packet to IPv6: the bridge's own key is the one that counts",
    },
    Allowed {
        case: "*",
        path: "/host/links/1/info_slave_data/hairpin",
        reason: "portmap turns it on for its port, or the container could not reach its own published port (2.10)",
    },
    Allowed {
        case: "macvlan m*",
        path: "/DEL*",
        reason: "1.1.1 wants a valid master on DEL and so never frees the address (as 2.3, BUG)",
    },
    Allowed { case: "macvlan no master", path: "/DEL*", reason: "the same" },
    Allowed {
        case: "portmap *",
        path: "/DEL*",
        reason: "1.1.1 validates all keys on DEL and so refuses to remove (2.10)",
    },
    Allowed {
        case: "firewall too old",
        path: "/DEL*",
        reason: "the list of versions has one more",
    },
];
