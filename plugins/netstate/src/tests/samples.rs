//! One operation of every kind, in an order in which all can be done.

use std::net::IpAddr;

use crate::nft::{
    Chain, ChainId, ChainKind, CtState, DataType, Element, Family, Field, Hook, HookPoint,
    Rule as NftRule, Set, SetId, Stmt, Table, TableId, Value,
};
use crate::{
    Addr, Fdb, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, MacVlanMode, Neigh, Ns, Op,
    PeerInit, Route, RouteScope, Rule, Step, SysctlKey, VlanRange,
};

/// An operation, and how to see that it did what it says.
pub(super) struct Sample {
    pub(super) step: Step,
    /// A shell command that succeeds once it is done.
    pub(super) check: Option<&'static str>,
    /// The kernel may have been built without it.
    pub(super) may_lack_support: bool,
}

pub(super) fn all() -> Vec<Sample> {
    let mut samples = links();
    samples.extend(content());
    samples.extend(tables());
    samples.extend(removals());
    samples
}

#[test]
fn there_is_a_sample_of_every_kind_of_operation() {
    let kinds: std::collections::BTreeSet<u8> =
        all().iter().map(|sample| number(&sample.step.op)).collect();
    assert_eq!(kinds, (0..KINDS).collect());
}

const KINDS: u8 = 22;

/// Does not compile when a kind is missing: then [`KINDS`] and the samples need one more.
fn number(op: &Op) -> u8 {
    match op {
        Op::AddLink { .. } => 0,
        Op::SetLink { .. } => 1,
        Op::DelLink(_) => 2,
        Op::AddAddr(_) => 3,
        Op::DelAddr(_) => 4,
        Op::AddRoute(_) => 5,
        Op::DelRoute(_) => 6,
        Op::AddNeigh(_) => 7,
        Op::DelNeigh(_) => 8,
        Op::AddFdb(_) => 9,
        Op::DelFdb(_) => 10,
        Op::AddRule(_) => 11,
        Op::DelRule(_) => 12,
        Op::SetSysctl { .. } => 13,
        Op::AddTable(_) => 14,
        Op::DelTable(_) => 15,
        Op::AddChain { .. } => 16,
        Op::AddSet { .. } => 17,
        Op::InsertRule { .. } => 18,
        Op::DelRuleOf { .. } => 19,
        Op::AddElement { .. } => 20,
        Op::DelElement { .. } => 21,
    }
}

fn links() -> Vec<Sample> {
    let bridge = Link {
        mtu: Some(1500),
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        ..Link::new(name("cni0"), LinkKind::Bridge { vlan_filtering: None })
    };
    let host_end = Link {
        mtu: Some(1400),
        master: Some(name("cni0")),
        ..Link::new(name("vethab12"), veth(Ns::Container, "eth0"))
    };
    let peer = PeerInit {
        link: at(Ns::Container, "eth0"),
        mac: Some(Mac([2, 0, 0, 0, 0, 2])),
        mtu: Some(1400),
    };
    let odd = Link {
        alias: Some("it's \"$HOME\" `id`".to_owned()),
        promisc: true,
        up: false,
        ..Link::new(name("a$b'c"), LinkKind::Bridge { vlan_filtering: None })
    };
    let filtering = Link::new(name("brv"), LinkKind::Bridge { vlan_filtering: Some(true) });
    vec![
        host(Op::AddLink { link: bridge, peer: None })
            .shows("ip -o link show dev cni0 | grep -q '[<,]UP.*mtu 1500'"),
        host(Op::AddLink { link: host_end, peer: Some(peer) })
            .shows("ip -n box -o link show dev eth0 | grep -q 'mtu 1400.*02:00:00:00:00:02'"),
        host(Op::AddLink { link: odd, peer: None })
            .shows("ip link show dev \"a\\$b'c\" | grep -q \"it's \\\"\\$HOME\\\"\""),
        host(Op::DelLink(name("a$b'c"))).shows("! ip link show dev \"a\\$b'c\" 2>/dev/null"),
        container(Op::AddLink { link: backwards(), peer: Some(init(Ns::Host, "vback")) })
            .shows("ip link show dev vback"),
        container(Op::AddLink { link: macvlan(Ns::Host, "mv0"), peer: None })
            .shows("ip -n box -d link show dev mv0 | grep -q 'macvlan.*bridge.*bcqueuelen 2000'"),
        host(Op::AddLink { link: macvlan(Ns::Host, "mv1"), peer: None })
            .shows("ip -d link show dev mv1 | grep -q 'macvlan'"),
        host(Op::AddLink { link: filtering, peer: None }).maybe(),
        host(set("vethab12", port_changes()))
            .shows("bridge -d link show dev vethab12 | grep -q 'hairpin on.*isolated on'"),
        host(set("vethab12", vlan_changes())).maybe(),
        host(set("cni0", vec![LinkChange::VlanFiltering(true), LinkChange::Up(true)])).maybe(),
        container(set("eth0", link_changes()))
            .shows("ip -n box link show dev eth0 | grep -q 'alias owner'"),
        host(set("mv1", vec![LinkChange::Master(Some(name("cni0")))]))
            .shows("ip link show dev mv1 | grep -q 'master cni0'"),
        host(set("mv1", vec![LinkChange::Master(None), LinkChange::Alias(String::new())]))
            .shows("! ip link show dev mv1 | grep -q master"),
        container(set("lo", vec![LinkChange::Up(true)]))
            .shows("ip -n box addr show dev lo | grep ::1"),
        host(set("vback", vec![LinkChange::Up(true)])).plain(),
        host(set("vback", vec![LinkChange::Up(false)])).plain(),
    ]
}

fn content() -> Vec<Sample> {
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

fn removals() -> Vec<Sample> {
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

fn tables() -> Vec<Sample> {
    let table = table();
    let id = table.id.clone();
    let user = ChainId { table: id.clone(), name: "user".to_owned() };
    let late = Chain { name: "late".to_owned(), hook: None, rules: vec![drop_rule()] };
    let set = Set { name: "macs".to_owned(), key: vec![DataType::EtherAddr], data: Vec::new() };
    let map = Set { name: "extra".to_owned(), data: vec![DataType::Ipv4Addr], ..set.clone() };
    let (guarded, ports) = (SetId::new(&id, "guarded"), SetId::new(&id, "ports4"));
    vec![
        host(Op::AddTable(table.clone())).shows("nft list table inet netd | grep -q 'schema 1'"),
        container(Op::AddTable(table)).shows("ip netns exec box nft list chain inet netd forward"),
        host(Op::AddChain { table: id.clone(), chain: late })
            .shows("nft list chain inet netd late | grep -q drop"),
        host(Op::AddSet { table: id.clone(), set }).shows("nft list set inet netd macs"),
        host(Op::AddSet { table: id.clone(), set: map }).shows("nft list map inet netd extra"),
        host(Op::InsertRule { chain: user.clone(), rule: drop_rule() }).plain(),
        host(Op::InsertRule { chain: user.clone(), rule: accept_rule() }).plain(),
        container(Op::InsertRule { chain: user.clone(), rule: accept_rule() }).plain(),
        host(Op::DelRuleOf { chain: user.clone(), rule: accept_rule() })
            .shows("! nft list chain inet netd user | grep -q accept"),
        container(Op::DelRuleOf { chain: user.clone(), rule: accept_rule() })
            .shows("! ip netns exec box nft list chain inet netd user | grep -q accept"),
        host(Op::DelRuleOf { chain: user, rule: drop_rule() })
            .shows("! nft list chain inet netd user | grep -q drop"),
        host(Op::AddElement { set: guarded.clone(), element: guard("cni0") }).shows(
            "nft list set inet netd guarded | grep -q '10.1.0.2 . \"cni0\" comment \"box eth0\"'",
        ),
        host(Op::AddElement { set: guarded.clone(), element: guard("odd\"*") }).plain(),
        host(Op::AddElement { set: ports.clone(), element: port() }).shows(
            "nft list map inet netd ports4 | grep -q 'tcp . 8080 comment \".*\" : 10.1.0.2 . 80'",
        ),
        container(Op::AddElement { set: guarded.clone(), element: guard("cni0") }).plain(),
        host(Op::DelElement { set: guarded, element: guard("cni0") })
            .shows("! nft list set inet netd guarded | grep -q cni0"),
        host(Op::DelElement { set: ports, element: port() })
            .shows("! nft list map inet netd ports4 | grep -q 8080"),
        host(Op::DelTable(id.clone())).shows("test -z \"$(nft list tables)\""),
        container(Op::DelTable(id)).plain(),
    ]
}

/// All that a rule of ours can be made of.
fn table() -> Table {
    let id = TableId::new(Family::Inet, "netd");
    let sets = vec![
        Set {
            name: "guarded".to_owned(),
            key: vec![DataType::Ipv4Addr, DataType::Ifname],
            data: Vec::new(),
        },
        Set {
            name: "ports4".to_owned(),
            key: vec![DataType::InetProto, DataType::InetService],
            data: vec![DataType::Ipv4Addr, DataType::InetService],
        },
    ];
    let hook = |kind, point, priority| Some(Hook { kind, point, priority });
    let chain = |name: &str, hook, rules: Vec<Vec<Stmt>>| Chain {
        name: name.to_owned(),
        hook,
        rules: rules.into_iter().map(NftRule).collect(),
    };
    let guard = Stmt::In {
        fields: vec![Field::IpDaddr, Field::Oifname],
        ne: true,
        set: "guarded".to_owned(),
    };
    let dnat = Stmt::DnatMap {
        family: Family::Ip,
        fields: vec![Field::L4Proto, Field::ThDport],
        map: "ports4".to_owned(),
    };
    let cmp = |field, ne, value| Stmt::Cmp { field, ne, value };
    let within = |field, ne, text| Stmt::CmpNet { field, ne, net: net(text) };
    let pre = hook(ChainKind::Nat, HookPoint::Prerouting, -100);
    let post = hook(ChainKind::Nat, HookPoint::Postrouting, 100);
    let forward = hook(ChainKind::Filter, HookPoint::Forward, 0);
    let chains = vec![
        chain("user", None, Vec::new()),
        chain("translate", pre, vec![vec![Stmt::DaddrIsLocal, dnat]]),
        chain(
            "masq",
            post,
            vec![
                vec![within(Field::IpDaddr, false, "224.0.0.0/4"), Stmt::Return],
                vec![within(Field::Ip6Saddr, true, "fd00::/8"), Stmt::Return],
                vec![Stmt::CtStatusDnat, Stmt::Masquerade],
            ],
        ),
        chain(
            "forward",
            forward,
            vec![
                vec![Stmt::Jump("user".to_owned())],
                vec![Stmt::CtState(vec![CtState::Related, CtState::Established]), Stmt::Accept],
                vec![cmp(Field::L4Proto, false, Value::Proto(132)), Stmt::Counter, Stmt::Accept],
                vec![cmp(Field::ThSport, true, Value::Port(53)), Stmt::Accept],
                vec![guard, Stmt::Drop],
            ],
        ),
    ];
    Table { id, comment: "schema 1".to_owned(), sets, chains }
}

fn accept_rule() -> NftRule {
    let bridge = Value::Ifname(name("cni0"));
    let cmp = Stmt::Cmp { field: Field::Iifname, ne: false, value: bridge };
    NftRule(vec![cmp, Stmt::Counter, Stmt::Accept])
}

fn drop_rule() -> NftRule {
    let net = net("10.1.0.0/16");
    NftRule(vec![Stmt::CmpNet { field: Field::IpSaddr, ne: true, net }, Stmt::Drop])
}

fn guard(bridge: &str) -> Element {
    let key = vec![Value::from(ip("10.1.0.2")), Value::Ifname(name(bridge))];
    Element { key, data: Vec::new(), comment: "box eth0".to_owned() }
}

fn port() -> Element {
    Element {
        key: vec![Value::Proto(6), Value::Port(8080)],
        data: vec![Value::from(ip("10.1.0.2")), Value::Port(80)],
        comment: "it's $HOME \"box\"".to_owned(),
    }
}

fn backwards() -> Link {
    Link::new(name("eth1"), veth(Ns::Host, "vback"))
}

fn macvlan(parent_ns: Ns, link: &str) -> Link {
    let parent = LinkRef { ns: parent_ns, name: name("vback") };
    let kind = LinkKind::MacVlan { parent, mode: MacVlanMode::Bridge, bc_queue_len: Some(2000) };
    Link { mtu: Some(1300), ..Link::new(name(link), kind) }
}

fn port_changes() -> Vec<LinkChange> {
    let alias = LinkChange::Alias("container box, network a b".to_owned());
    vec![LinkChange::Hairpin(true), LinkChange::Isolated(true), alias, LinkChange::Up(true)]
}

fn vlan_changes() -> Vec<LinkChange> {
    let range = |first, last, flags: bool| VlanRange { first, last, pvid: flags, untagged: flags };
    vec![
        LinkChange::DelVlan(range(1, 1, true)),
        LinkChange::AddVlan(range(20, 20, true)),
        LinkChange::AddVlan(range(30, 39, false)),
    ]
}

fn link_changes() -> Vec<LinkChange> {
    vec![
        LinkChange::Mtu(1390),
        LinkChange::Mac(Mac([2, 0, 0, 0, 0, 5])),
        LinkChange::Promisc(true),
        LinkChange::Alias("owner".to_owned()),
        LinkChange::Up(true),
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

fn set(link: &str, changes: Vec<LinkChange>) -> Op {
    Op::SetLink { name: name(link), changes }
}

fn addr(link: &str, text: &str) -> Op {
    Op::AddAddr(Addr::new(name(link), net(text)))
}

fn sysctl(key: &str, value: &str, optional: bool) -> Op {
    Op::SetSysctl { key: SysctlKey::new(key).unwrap(), value: value.to_owned(), optional }
}

fn veth(ns: Ns, peer: &str) -> LinkKind {
    LinkKind::Veth { peer: at(ns, peer) }
}

fn init(ns: Ns, peer: &str) -> PeerInit {
    PeerInit { link: at(ns, peer), mac: None, mtu: None }
}

fn at(ns: Ns, link: &str) -> LinkRef {
    LinkRef { ns, name: name(link) }
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn net(text: &str) -> ipnetwork::IpNetwork {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

struct Unchecked(Step);

fn host(op: Op) -> Unchecked {
    Unchecked(Step::fresh(Ns::Host, op))
}

fn container(op: Op) -> Unchecked {
    Unchecked(Step::fresh(Ns::Container, op))
}

impl Unchecked {
    fn plain(self) -> Sample {
        Sample { step: self.0, check: None, may_lack_support: false }
    }

    fn shows(self, check: &'static str) -> Sample {
        Sample { step: self.0, check: Some(check), may_lack_support: false }
    }

    fn maybe(self) -> Sample {
        Sample { step: self.0, check: None, may_lack_support: true }
    }
}
