//! Tables with every kind of rule, set and element.

use ipnetwork::IpNetwork;
use netstate::nft::{
    Chain, ChainKind, CtState, DataType, Element, Family, Field, Hook, HookPoint, NetworkSet, Rule,
    Set, SetId, Stmt, Table, TableId, Value,
};
use netstate::{LinkName, Mac};

pub(super) fn tables() -> Vec<Table> {
    use Field::{EtherSaddr, Iifname, Ip6Saddr, IpSaddr};
    use Stmt::{Accept, Drop};
    let v4 = Value::Ipv4([10, 0, 0, 1].into());
    let bridge = vec![
        vec![cmp(IpSaddr, false, v4.clone()), Accept],
        vec![cmp_net(Ip6Saddr, true, "fd00::/8"), Drop],
        vec![
            is_in(&[Iifname], false, "link"),
            is_in(&[Iifname, EtherSaddr], true, "genuine"),
            Drop,
        ],
    ];
    let v4_rules = vec![
        vec![cmp(IpSaddr, false, v4), cmp_net(Field::IpDaddr, false, "10.0.0.0/9"), Drop],
        vec![cmp(EtherSaddr, false, Value::Mac(Mac([2, 0, 0, 0, 0, 1]))), Accept],
    ];
    let v6_rules = vec![vec![cmp_net(Ip6Saddr, false, "fd00::/12"), Drop]];
    vec![
        inet(),
        other(Family::Bridge, bridge),
        other(Family::Ip, v4_rules),
        other(Family::Ip6, v6_rules),
    ]
}

pub(super) fn elements() -> Vec<(SetId, Element)> {
    let table = TableId::new(Family::Inet, "t");
    let element = |key: &[Value], data: &[Value], comment: &str| Element {
        key: key.to_vec(),
        data: data.to_vec(),
        comment: comment.to_owned(),
    };
    let v4 = Value::Ipv4([10, 0, 0, 2].into());
    let v6 = Value::Ipv6("fd00::2".parse().unwrap());
    let (tcp, port, link) = (Value::Proto(6), Value::Port(8080), Value::Ifname(name("cni0")));
    let mac = Value::Mac(Mac([2, 0, 0, 0, 0, 1]));
    let all = vec![
        ("one4", element(std::slice::from_ref(&v4), &[], "net/c1/eth0")),
        ("one6", element(std::slice::from_ref(&v6), &[], "")),
        ("mac", element(std::slice::from_ref(&mac), &[], "")),
        ("proto", element(&[Value::Proto(17)], &[], "")),
        ("port", element(std::slice::from_ref(&port), &[], &"x".repeat(127))),
        ("link", element(std::slice::from_ref(&link), &[], "")),
        ("long4", element(&[v4.clone(), tcp.clone(), port.clone(), link.clone()], &[], "a")),
        ("long6", element(&[v6.clone(), Value::Proto(132), port.clone(), link.clone()], &[], "b")),
        ("genuine", element(&[link, mac], &[], "")),
        ("to4", element(&[tcp.clone(), Value::Port(80)], &[v4.clone(), port.clone()], "c")),
        ("to6", element(&[v6.clone(), tcp, Value::Port(80)], &[v6.clone(), port.clone()], "d")),
        ("single", element(std::slice::from_ref(&v4), &[port], "")),
        ("vni", element(&[Value::Vni(0x80_0001)], &[], "n")),
        ("far4", element(&[v4, Value::Vni(7)], &[], "n")),
        ("far6", element(&[v6, Value::Vni(0xff_ffff)], &[], "n")),
    ];
    all.into_iter().map(|(set, element)| (SetId::new(&table, set), element)).collect()
}

pub(super) fn cmp(field: Field, ne: bool, value: Value) -> Stmt {
    Stmt::Cmp { field, ne, value }
}

pub(super) fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn set(name: &str, key: &[DataType], data: &[DataType]) -> Set {
    Set { name: name.to_owned(), key: key.to_vec(), data: data.to_vec() }
}

fn chain(name: &str, hook: Option<(ChainKind, HookPoint, i32)>, rules: Vec<Vec<Stmt>>) -> Chain {
    let hook = hook.map(|(kind, point, priority)| Hook { kind, point, priority });
    Chain { name: name.to_owned(), hook, rules: rules.into_iter().map(Rule).collect() }
}

fn cmp_net(field: Field, ne: bool, text: &str) -> Stmt {
    Stmt::CmpNet { field, ne, net: net(text) }
}

fn is_in(fields: &[Field], ne: bool, set: &str) -> Stmt {
    Stmt::In { fields: fields.to_vec(), ne, set: set.to_owned() }
}

fn masquerade(fully_random: bool) -> Stmt {
    Stmt::Masquerade { fully_random }
}

/// Adjacent ones, one that ends with the last address, and all of a family.
fn networks() -> Vec<NetworkSet> {
    let set = |name: &str, all: &[&str]| NetworkSet {
        name: name.to_owned(),
        networks: all.iter().map(|text| net(text)).collect(),
    };
    vec![
        set("nets4", &["10.5.0.0/16", "10.6.0.0/16", "10.9.7.0/24", "255.0.0.0/8"]),
        set("nets6", &["::/0"]),
    ]
}

fn dnat(family: Family, fields: &[Field], map: &str) -> Stmt {
    Stmt::DnatMap { family, fields: fields.to_vec(), map: map.to_owned() }
}

fn snat(family: Family, fields: &[Field], map: &str) -> Stmt {
    Stmt::SnatMap { family, fields: fields.to_vec(), map: map.to_owned() }
}

fn sets() -> Vec<Set> {
    use DataType::{EtherAddr, Ifname, InetProto, InetService, Ipv4Addr, Ipv6Addr, Vni};
    vec![
        set("one4", &[Ipv4Addr], &[]),
        set("one6", &[Ipv6Addr], &[]),
        set("mac", &[EtherAddr], &[]),
        set("proto", &[InetProto], &[]),
        set("port", &[InetService], &[]),
        set("link", &[Ifname], &[]),
        set("long4", &[Ipv4Addr, InetProto, InetService, Ifname], &[]),
        set("long6", &[Ipv6Addr, InetProto, InetService, Ifname], &[]),
        set("genuine", &[Ifname, EtherAddr], &[]),
        set("to4", &[InetProto, InetService], &[Ipv4Addr, InetService]),
        set("to6", &[Ipv6Addr, InetProto, InetService], &[Ipv6Addr, InetService]),
        set("single", &[Ipv4Addr], &[InetService]),
        set("as4", &[Ipv4Addr, Ifname], &[Ipv4Addr]),
        set("as6", &[Ipv6Addr, Ifname], &[Ipv6Addr]),
        set("vni", &[Vni], &[]),
        set("far4", &[Ipv4Addr, Vni], &[]),
        set("far6", &[Ipv6Addr, Vni], &[]),
    ]
}

fn inet() -> Table {
    use ChainKind::{Filter, Nat};
    use Field::{
        EtherSaddr, Iifname, Ip6Daddr, Ip6Saddr, IpDaddr, IpSaddr, L4Proto, Oifname, ThDport,
        ThSport, Vni,
    };
    use Stmt::{Accept, Counter, Drop, Return};
    let v4 = |text: &str| Value::Ipv4(text.parse().unwrap());
    let v6 = |text: &str| Value::Ipv6(text.parse().unwrap());
    let link = |text| Value::Ifname(name(text));
    let mac = Value::Mac(Mac([2, 0, 0, 0, 0, 1]));
    let user = || Stmt::Jump("user".to_owned());
    let udp = || cmp(L4Proto, false, Value::Proto(17));
    let vxlan = || cmp(ThDport, false, Value::Port(4789));
    let rules = vec![
        vec![user()],
        vec![cmp(IpSaddr, false, v4("10.0.0.1")), Accept],
        vec![cmp(IpSaddr, true, v4("10.0.0.1")), cmp(IpDaddr, false, v4("10.0.0.2")), Drop],
        vec![cmp(Ip6Saddr, true, v6("fd00::1")), cmp(Ip6Daddr, false, v6("fd00::2")), Return],
        vec![cmp(EtherSaddr, false, mac), Counter],
        vec![cmp(Iifname, false, link("eth0")), cmp(Oifname, true, link("abcdefghijklmno")), Drop],
        vec![cmp(L4Proto, true, Value::Proto(132)), Accept],
        vec![cmp(L4Proto, false, Value::Proto(6)), cmp(ThDport, false, Value::Port(80)), Accept],
        vec![cmp(ThSport, true, Value::Port(53)), Counter, Accept],
        vec![cmp_net(IpSaddr, true, "127.0.0.0/8"), cmp_net(IpDaddr, false, "10.1.0.0/20"), Drop],
        vec![cmp_net(IpSaddr, false, "1.2.3.4/32"), cmp_net(IpDaddr, false, "10.1.2.0/24"), Drop],
        vec![cmp_net(IpSaddr, false, "0.0.0.0/0"), Drop],
        vec![cmp_net(Ip6Saddr, false, "fd00::/8"), cmp_net(Ip6Daddr, true, "fe80::/10"), Drop],
        vec![cmp_net(Ip6Daddr, false, "fd00:1::/64"), Drop],
        vec![is_in(&[IpSaddr], false, "one4"), is_in(&[IpDaddr], true, "one4"), Drop],
        vec![is_in(&[Ip6Daddr], false, "one6"), Accept],
        vec![is_in(&[EtherSaddr], true, "mac"), Accept],
        vec![is_in(&[L4Proto], false, "proto"), is_in(&[ThDport], true, "port"), Accept],
        vec![is_in(&[Iifname], false, "link"), is_in(&[Oifname], true, "link"), Return],
        vec![is_in(&[IpDaddr, L4Proto, ThDport, Iifname], false, "long4"), Accept],
        vec![is_in(&[Ip6Daddr, L4Proto, ThDport, Oifname], true, "long6"), Accept],
        vec![is_in(&[Iifname, EtherSaddr], true, "genuine"), Drop],
        vec![
            udp(),
            vxlan(),
            is_in(&[Vni], false, "vni"),
            is_in(&[IpSaddr, Vni], true, "far4"),
            Drop,
        ],
        vec![udp(), vxlan(), cmp(Vni, true, Value::Vni(0x80_0001)), Accept],
        vec![Stmt::CtState(vec![CtState::Established, CtState::Related]), Accept],
        vec![Stmt::CtState(vec![CtState::Invalid]), Drop],
        vec![Stmt::CtState(vec![CtState::New]), Stmt::CtStatusDnat, Accept],
        vec![Stmt::DaddrIsLocal, Accept],
    ];
    let translations = vec![
        vec![dnat(Family::Ip, &[L4Proto, ThDport], "to4")],
        vec![Stmt::DaddrIsLocal, dnat(Family::Ip6, &[Ip6Daddr, L4Proto, ThDport], "to6")],
    ];
    let masquerade = vec![
        vec![
            is_in(&[IpSaddr], false, "one4"),
            cmp_net(IpDaddr, true, "224.0.0.0/4"),
            masquerade(false),
        ],
        vec![Stmt::Mark { mask: 0x4000, value: 0x4000 }, masquerade(true)],
        vec![snat(Family::Ip, &[IpSaddr, Iifname], "as4")],
        vec![
            cmp(Oifname, true, Value::Ifname(name("lo"))),
            snat(Family::Ip6, &[Ip6Saddr, Iifname], "as6"),
        ],
        vec![is_in(&[IpSaddr], true, "nets4"), is_in(&[IpDaddr], false, "nets4"), Return],
        vec![is_in(&[Ip6Saddr], true, "nets6"), is_in(&[Ip6Daddr], false, "nets6"), Return],
        vec![masquerade(false)],
    ];
    Table {
        id: TableId::new(Family::Inet, "t"),
        comment: "netd schema 1".to_owned(),
        sets: sets(),
        networks: networks(),
        chains: vec![
            chain("user", None, vec![]),
            chain("early", Some((Filter, HookPoint::Prerouting, -450)), vec![]),
            chain("inwards", Some((Filter, HookPoint::Input, 10)), vec![vec![Counter]]),
            chain("through", Some((Filter, HookPoint::Forward, -5)), rules),
            chain("translate", Some((Nat, HookPoint::Prerouting, -100)), translations.clone()),
            chain("translate_own", Some((Nat, HookPoint::Output, -100)), translations),
            chain("sources", Some((Nat, HookPoint::Postrouting, 100)), masquerade),
        ],
    }
}

fn other(family: Family, rules: Vec<Vec<Stmt>>) -> Table {
    let hook = Some((ChainKind::Filter, HookPoint::Forward, -300));
    Table {
        id: TableId::new(family, "t"),
        comment: String::new(),
        sets: sets(),
        networks: vec![],
        chains: vec![chain("checks", hook, rules)],
    }
}
