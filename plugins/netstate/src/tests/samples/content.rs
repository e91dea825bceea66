//! What lies on links, policy rules and sysctls.

use super::{Sample, container, host, ip, name, net};
use crate::{Addr, Fdb, Mac, Neigh, Op, Route, RouteScope, Rule, SysctlKey};

pub(super) fn content() -> Vec<Sample> {
    let eth0 = || name("eth0");
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    let fdb = Fdb { link: name("vx"), mac: Mac([0; 6]), dst: ip("192.0.2.7") };
    vec![
        container(sysctl("net/ipv4/conf/eth0/arp_notify", "1", false))
            .shows("ip netns exec box sysctl -n net.ipv4.conf.eth0.arp_notify | grep -q 1"),
        container(sysctl("net/ipv4/conf/none/arp_notify", "1", true)).plain(),
        host(sysctl("net/ipv4/ping_group_range", "1 7", false))
            .shows("sysctl -n net.ipv4.ping_group_range | grep -q 7"),
        container(addr("eth0", "10.1.0.2/24"))
            .shows("ip -n box addr show dev eth0 | grep -q '10.1.0.2/24 brd 10.1.0.255'"),
        container(addr("eth0", "10.2.0.2/32")).plain(),
        container(addr("eth0", "fd00::2/64"))
            .shows("ip -n box addr show dev eth0 | grep -q 'fd00::2/64 scope global nodad'"),
        container(Op::AddAddr(Addr { dad: true, ..Addr::new(eth0(), net("fd01::2/64")) })).plain(),
        container(Op::AddNeigh(Neigh { link: eth0(), ip: ip("10.1.0.9"), mac }))
            .shows("ip -n box neigh show 10.1.0.9 | grep -q PERMANENT"),
        container(Op::AddNeigh(Neigh { link: eth0(), ip: ip("fd00::9"), mac })).plain(),
        host(Op::AddFdb(fdb.clone())).shows("bridge fdb show dev vx | grep -q 'dst 192.0.2.7'"),
        host(Op::DelFdb(fdb)).shows("! bridge fdb show dev vx | grep -q 192.0.2.7"),
        container(Op::AddRoute(onlink_route())).shows(
            "ip -n box route show 10.9.0.0/16 | grep -q 'proto static scope link src 10.1.0.2'",
        ),
        container(Op::AddRoute(Route::new(net("10.10.0.0/16"), eth0())))
            .shows("! ip -n box route show 10.10.0.0/16 | grep -q 'scope link'"),
        container(Op::AddRoute(default_v4())).shows(
            "ip -n box route show default | grep 'via 10.1.0.1 .*metric 50 mtu 1300 advmss 1200'",
        ),
        container(Op::AddRoute(default_v6()))
            .shows("ip -n box -6 route show default | grep -q 'via fd00::1'"),
        container(Op::AddRoute(foreign_gateway()))
            .shows("ip -n box route show table 100 | grep -q 'via 198.51.100.1 .*onlink'"),
        container(Op::AddRule(rule("10.1.0.2/32")))
            .shows("ip -n box rule | grep -q '100:.from 10.1.0.2 lookup 100'"),
        container(Op::AddRule(rule("fd00::2/128")))
            .shows("ip -n box -6 rule | grep -q '100:.from fd00::2 lookup 100'"),
    ]
}

pub(super) fn removals() -> Vec<Sample> {
    let eth0 = || name("eth0");
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    vec![
        container(Op::DelRule(rule("10.1.0.2/32"))).shows("! ip -n box rule | grep -q 10.1.0.2"),
        container(Op::DelRule(rule("fd00::2/128"))).shows("! ip -n box -6 rule | grep -q fd00"),
        container(Op::DelRoute(foreign_gateway())).plain(),
        container(Op::DelRoute(default_v6())).plain(),
        container(Op::DelRoute(default_v4())).plain(),
        container(Op::DelRoute(onlink_route()))
            .shows("! ip -n box route show 10.9.0.0/16 | grep -q static"),
        container(Op::DelNeigh(Neigh { link: eth0(), ip: ip("10.1.0.9"), mac })).plain(),
        container(Op::DelNeigh(Neigh { link: eth0(), ip: ip("fd00::9"), mac })).plain(),
        container(Op::DelAddr(Addr::new(eth0(), net("fd00::2/64")))).plain(),
        container(Op::DelAddr(Addr::new(eth0(), net("10.1.0.2/24"))))
            .shows("! ip -n box addr show dev eth0 | grep -q 10.1.0.2"),
        host(Op::DelLink(name("vethab12"))).shows("! ip -n box link show dev eth0 2>/dev/null"),
    ]
}

fn onlink_route() -> Route {
    let route = Route::new(net("10.9.0.0/16"), name("eth0"));
    Route { src: Some(ip("10.1.0.2")), scope: RouteScope::Link, ..route }
}

fn default_v4() -> Route {
    let route = Route::new(net("0.0.0.0/0"), name("eth0"));
    let (metric, mtu, advmss) = (Some(50), Some(1300), Some(1200));
    Route { via: Some(ip("10.1.0.1")), metric, mtu, advmss, ..route }
}

fn default_v6() -> Route {
    Route { via: Some(ip("fd00::1")), ..Route::new(net("::/0"), name("eth0")) }
}

fn foreign_gateway() -> Route {
    let route = Route::new(net("0.0.0.0/0"), name("eth0"));
    Route { via: Some(ip("198.51.100.1")), onlink: true, table: 100, protocol: 77, ..route }
}

fn rule(from: &str) -> Rule {
    Rule { priority: 100, from: Some(net(from)), to: None, table: 100 }
}

fn addr(link: &str, text: &str) -> Op {
    Op::AddAddr(Addr::new(name(link), net(text)))
}

fn sysctl(key: &str, value: &str, optional: bool) -> Op {
    Op::SetSysctl { key: SysctlKey::new(key).unwrap(), value: value.to_owned(), optional }
}
