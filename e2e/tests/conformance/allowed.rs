//! What may differ between the reference plugins and ours: this list, and nothing else.
//!
//! Names and MACs that are random are not in it: `tidy` makes them comparable.

/// Which comparison an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Bridge,
    MacVlan,
    Addresses,
    Chained,
    Reach,
}

/// Why something may differ. Numbers are sections of the facts about CNI and its reference plugins
/// (of version 1.9; Debian's are 1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Something of the specification 1.1.0, which Debian's do not know.
    Field110,
    /// A fault of the reference, that section says so.
    Bug(&'static str),
    /// What that section says of 1.9, and 1.1.1 did otherwise.
    Newer(&'static str),
    /// What this project is to do, and the reference does not.
    Decision(Decision),
    /// It is neither in a result nor seen from a container: files and links of the host, and what
    /// CHECK answers.
    NotSeen,
}

/// What this project is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Errors have the specification's codes.
    Codes,
    /// Results have the form that the specification gives the configuration's version.
    Forms,
    /// DEL undoes what was made, whatever the configuration has become.
    DelByRecord,
    /// Routes carry a protocol number of our own, the bound of what may be removed.
    RouteProtocol,
    /// IPv6 without the wait for duplicate address detection.
    NoDetection,
    /// Where iptables' FORWARD drops, what is for the container's bridge passes.
    Forward,
    /// A published port is for everybody, also on isolated bridges.
    Published,
}

/// One allowed difference; `*` in `case` and `path` stands for any text.
pub(crate) struct Allowed {
    /// Where it is needed: an entry that no case of one of these needs is an error.
    pub(crate) groups: &'static [Group],
    pub(crate) case: &'static str,
    pub(crate) path: &'static str,
    pub(crate) why: Why,
}

use Group::{Addresses, Bridge, Chained, MacVlan, Reach};
use Why::{Bug, Field110, Newer, NotSeen};

const EVERYWHERE: &[Group] = &[Bridge, MacVlan, Addresses, Chained];

const fn allowed(
    groups: &'static [Group],
    case: &'static str,
    path: &'static str,
    why: Why,
) -> Allowed {
    Allowed { groups, case, path, why }
}

/// The list.
pub(crate) const ALLOWED: &[Allowed] = &[
    // 999 is the reference's code for every error of a plugin (1.4).
    allowed(EVERYWHERE, "*", "/ADD/*/code", Why::Decision(Decision::Codes)),
    // An empty dns in 1.0.0 too.
    allowed(EVERYWHERE, "*", "/ADD/*/result/dns", Newer("1.5")),
    // IPAM's dns is lost where the bridge has none of its own.
    allowed(&[Bridge, Addresses], "*", "/ADD/*/result/dns/*", Newer("2.1")),
    allowed(&[MacVlan], "macvlan dns of ipam", "/ADD/*/result/dns/*", Bug("2.2")),
    // The form of 1.0.0 in every version.
    allowed(&[Bridge], "loopback", "/ADD/*/result/*", Why::Decision(Decision::Forms)),
    // A configuration that became wrong keeps the reference from removing what is there.
    allowed(EVERYWHERE, "invalid *", "/DEL*", Why::Decision(Decision::DelByRecord)),
    // What was wired before the failure stays.
    allowed(&[Bridge], "late *", "/container/*", Bug("5, item 14")),
    allowed(&[Bridge], "late *", "/host*", Bug("5, item 14")),
    allowed(&[MacVlan], "late *", "/container/*", Bug("2.2")),
    // 0, by the default of the netlink library.
    allowed(&[Bridge, Addresses, Chained], "*", "*/links/*/txqlen", Newer("1.12, 2.1")),
    // The same default; of macvlan the section does not speak.
    allowed(&[MacVlan], "*", "*/links/*/txqlen", Newer("1.12")),
    allowed(EVERYWHERE, "*", "*/routes*/protocol", Why::Decision(Decision::RouteProtocol)),
    allowed(EVERYWHERE, "*", "*/addr_info/*/nodad", Why::Decision(Decision::NoDetection)),
    allowed(
        &[MacVlan],
        "*",
        "/container*/sysctls/ipv6/conf/eth0/accept_dad",
        Why::Decision(Decision::NoDetection),
    ),
    allowed(&[Bridge, Addresses, Chained], "*", "/host*/bridge accept_dad", NotSeen),
    // A neighbour's router advertisements give addresses and routes (CVE-2020-10749).
    allowed(EVERYWHERE, "*", "/container*/sysctls/ipv6/conf/eth0/accept_ra", Bug("3, item 21")),
    allowed(EVERYWHERE, "*", "/container*/sysctls/ipv6/conf/eth0/keep_addr_on_down", Newer("1.12")),
    allowed(&[MacVlan], "*", "/container*/sysctls/ipv6/conf/eth0/ndisc_notify", Newer("2.2")),
    // A port of a bridge hands no packet to IPv6: the bridge's own key is the one that counts.
    allowed(&[Bridge, Addresses, Chained], "*", "/host*/port accept_ra", NotSeen),
    // A bridge of somebody else's, of which the host is no gateway, may be the host's way out by
    // what routers tell it.
    allowed(&[Bridge], "bridge there *", "/host*/bridge accept_ra", NotSeen),
    allowed(&[Bridge], "bridge without ipam", "/CHECK/bridge", Bug("2.1")),
    // A route for which IPAM's gateway was taken is looked for without one.
    allowed(&[Bridge], "bridge routes without gateway", "/CHECK/bridge", Newer("1.12")),
    // The reference has moved on before it fails and releases (2.16); ours has written nothing.
    allowed(&[Addresses], "host-local ip outside", "/host*/last_reserved_ip.0", NotSeen),
    // The rules of IPv4 are looked for in ip6tables' tables too.
    allowed(&[Chained], "portmap*", "/CHECK/portmap", NotSeen),
    // A container does not reach its own published port.
    allowed(&[Chained], "portmap*", "/host/links/1/info_slave_data/hairpin", Bug("3, item 25")),
    // The list of versions has one more.
    allowed(&[Chained], "firewall too old", "/DEL*", Field110),
    // What a container sends passes, and the answers, not what comes for its published port (2.11).
    allowed(&[Reach], "drop", "/outside to uplink*", Why::Decision(Decision::Forward)),
    allowed(&[Reach], "same-bridge", "/other to uplink*", Why::Decision(Decision::Published)),
];

#[test]
fn what_is_said_not_to_be_seen_is_neither_in_a_result_nor_in_a_container() {
    let hidden = |path: &str| path.starts_with("/host") || path.starts_with("/CHECK/");
    for Allowed { path, why, .. } in ALLOWED {
        assert!(*why != NotSeen || hidden(path), "{path}");
        assert!(!matches!(why, Bug("") | Newer("")), "{path}");
    }
}
