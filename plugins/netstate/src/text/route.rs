//! Commands for what lies on links (addresses, routes, neighbours), policy rules and sysctls.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::shell::{Line, Tool, Words, quote};
use crate::addr::{Addr, Fdb, Neigh};
use crate::name::SysctlKey;
use crate::route::{IPV6_METRIC, Route, RouteKind, RouteScope, Rule, TABLE_MAIN};

pub(super) fn add_addr(addr: &Addr) -> Vec<Line> {
    let mut words = Words::new("addr add");
    words.word(&addr.net.to_string());
    // RFC 3021: prefixes of 31 and 32 bits have no broadcast address.
    if addr.net.is_ipv4() && addr.net.prefix() < 31 {
        words.word("brd +");
    }
    words.pair("dev", &addr.link);
    if addr.net.is_ipv6() && !addr.dad {
        words.word("nodad");
    }
    vec![words.into_line(Tool::Ip)]
}

pub(super) fn del_addr(addr: &Addr) -> Vec<Line> {
    let mut words = Words::new("addr del");
    words.word(&addr.net.to_string());
    words.pair("dev", &addr.link);
    vec![words.into_line(Tool::Ip)]
}

pub(super) fn route(verb: &str, route: &Route) -> Vec<Line> {
    let mut words = Words::new(&format!("route {verb}"));
    if let Some(word) = route.kind.word() {
        words.word(word);
    }
    if route.dst.prefix() == 0 {
        words.word("default");
    } else {
        words.word(&route.dst.to_string());
    }
    words.pair_if("via", route.via);
    words.pair_if("dev", route.dev.as_ref());
    if route.onlink {
        words.word("onlink");
    }
    if route.table != TABLE_MAIN {
        words.pair("table", route.table);
    }
    match route.protocol {
        2 => words.pair("proto", "kernel"),
        // `ip route add` says "boot" where it is told nothing.
        3 => {}
        4 => words.pair("proto", "static"),
        n => words.pair("proto", n),
    }
    push_scope(&mut words, route);
    words.pair_if("src", route.src);
    // Without a metric the kernel removes the first IPv6 route with any (`ip6_route_del()`,
    // `net/ipv6/route.c`).
    let default = (verb == "del" && route.dst.is_ipv6()).then_some(IPV6_METRIC);
    words.pair_if("metric", route.metric.or(default));
    words.pair_if("mtu", route.mtu);
    words.pair_if("advmss", route.advmss);
    vec![words.into_line(family(route.dst))]
}

pub(super) fn add_neigh(verb: &str, neigh: &Neigh) -> Vec<Line> {
    let mut words = Words::new(&format!("neigh {verb}"));
    words.word(&neigh.ip.to_string());
    words.pair("lladdr", neigh.mac);
    words.pair("dev", &neigh.link);
    words.word("nud permanent");
    vec![words.into_line(Tool::Ip)]
}

pub(super) fn del_neigh(neigh: &Neigh) -> Vec<Line> {
    let mut words = Words::new("neigh del");
    words.word(&neigh.ip.to_string());
    words.pair("dev", &neigh.link);
    vec![words.into_line(Tool::Ip)]
}

/// `append`: one inner destination may have several outer ones.
pub(super) fn add_fdb(replace: bool, fdb: &Fdb) -> Vec<Line> {
    let replace = replace && !fdb.is_list();
    let mut words = Words::new(if replace { "fdb replace" } else { "fdb append" });
    words.word(&fdb.mac.to_string());
    words.pair("dev", &fdb.link);
    words.pair("dst", fdb.dst);
    words.word("self permanent");
    vec![words.into_line(Tool::Bridge)]
}

pub(super) fn del_fdb(fdb: &Fdb) -> Vec<Line> {
    let mut words = Words::new("fdb del");
    words.word(&fdb.mac.to_string());
    words.pair("dev", &fdb.link);
    words.pair("dst", fdb.dst);
    words.word("self");
    vec![words.into_line(Tool::Bridge)]
}

pub(super) fn rule(verb: &str, rule: &Rule) -> Vec<Line> {
    let mut words = Words::new(&format!("rule {verb}"));
    words.pair("priority", rule.priority);
    words.pair_if("from", rule.from);
    words.pair_if("to", rule.to);
    words.pair("lookup", rule.table);
    let is_v6 = rule.from.or(rule.to).is_some_and(|net| net.is_ipv6());
    vec![words.into_line(if is_v6 { Tool::Ip6 } else { Tool::Ip })]
}

pub(super) fn sysctl(key: &SysctlKey, value: &str, optional: bool) -> Vec<Line> {
    let assignment = quote(&format!("{key}={value}"));
    let args =
        if optional { format!("-eqw {assignment} || true") } else { format!("-qw {assignment}") };
    vec![Line::new(Tool::Sysctl, args)]
}

/// What `ip route` takes for the scope where it is told nothing depends on the next hop.
fn push_scope(words: &mut Words, route: &Route) {
    let is_far = route.via.is_some() || route.kind != RouteKind::Unicast;
    let default = if is_far { RouteScope::Universe } else { RouteScope::Link };
    if route.dst.is_ipv6() || route.scope == default {
        return;
    }
    match route.scope {
        RouteScope::Universe => words.pair("scope", "global"),
        RouteScope::Link => words.pair("scope", "link"),
        RouteScope::Host => words.pair("scope", "host"),
        RouteScope::Other(n) => words.pair("scope", n),
    }
}

/// `default` does not tell the family, and neither does a next hop of the other one.
fn family(dst: IpNetwork) -> Tool {
    match dst.ip() {
        IpAddr::V4(_) => Tool::Ip,
        IpAddr::V6(_) => Tool::Ip6,
    }
}
