//! nf_tables.

use std::sync::Arc;

use super::{Sample, container, host, ip, name, net};
use crate::Op;
use crate::nft::{
    Chain, ChainId, ChainKind, CtState, DataType, Element, Family, Field, Hook, HookPoint,
    Rule as NftRule, Set, SetId, Stmt, Table, TableId, Value,
};

pub(super) fn tables() -> Vec<Sample> {
    let table = table();
    let id = table.id.clone();
    let user = ChainId { table: id.clone(), name: "user".to_owned() };
    let late = Chain { name: "late".to_owned(), hook: None, rules: vec![drop_rule()] };
    let set = Set { name: "macs".to_owned(), key: vec![DataType::EtherAddr], data: Vec::new() };
    let far = Set {
        name: "far4".to_owned(),
        key: vec![DataType::Ipv4Addr, DataType::Vni],
        data: Vec::new(),
    };
    let far_one = Element {
        key: vec![Value::from(ip("192.0.2.2")), Value::Vni(0x80_0001)],
        data: Vec::new(),
        comment: "n".to_owned(),
    };
    let map = Set { name: "extra".to_owned(), data: vec![DataType::Ipv4Addr], ..set.clone() };
    let (guarded, ports) = (SetId::new(&id, "guarded"), SetId::new(&id, "ports4"));
    vec![
        host(Op::AddTable(table.clone())).shows("nft list table inet netd | grep -q 'schema 1'"),
        container(Op::AddTable(table)).shows("ip netns exec box nft list chain inet netd forward"),
        host(Op::AddChain { table: id.clone(), chain: late })
            .shows("nft list chain inet netd late | grep -q drop"),
        host(Op::AddSet { table: id.clone(), set }).shows("nft list set inet netd macs"),
        host(Op::AddSet { table: id.clone(), set: far }).shows("nft list set inet netd far4"),
        host(Op::AddElement { set: SetId::new(&id, "far4"), element: far_one.into() })
            .shows("nft list set inet netd far4 | grep -q '192.0.2.2 . 0x800001 comment \"n\"'"),
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
        host(Op::FlushChain(ChainId { table: id.clone(), name: "late".to_owned() }))
            .shows("! nft list chain inet netd late | grep -q drop"),
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
                vec![Stmt::CtStatusDnat, Stmt::Masquerade { fully_random: false }],
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
    Table { id, comment: "schema 1".to_owned(), sets, networks: vec![], chains }
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

fn guard(bridge: &str) -> Arc<Element> {
    let key = vec![Value::from(ip("10.1.0.2")), Value::Ifname(name(bridge))];
    Element { key, data: Vec::new(), comment: "box eth0".to_owned() }.into()
}

fn port() -> Arc<Element> {
    Element {
        key: vec![Value::Proto(6), Value::Port(8080)],
        data: vec![Value::from(ip("10.1.0.2")), Value::Port(80)],
        comment: "it's $HOME \"box\"".to_owned(),
    }
    .into()
}
