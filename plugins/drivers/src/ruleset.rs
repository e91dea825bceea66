//! The nf_tables tables of this project: constant rules over sets.
//!
//! The rules are made once and depend on no container. A table's comment holds [`SCHEMA`]: an
//! older table is replaced in one transaction with its elements kept, a newer one is refused.
//!
//! Chain `user` is jumped to before anything else of ours in the forward hook and is never
//! touched: it is the administrator's.

mod sets;

use ipnetwork::IpNetwork;
use netstate::nft::{
    Chain, ChainKind, CtState, DataType, Family, Field, Hook, HookPoint, Rule, Set, Stmt, Table,
    TableId, Value,
};
use netstate::{LinkName, NameError};

use sets::{PURPOSES, set_name};

pub use sets::{Ip, Purpose, bridges, class_set, declare, purpose, set, spoofing_sets};

/// Version of the tables' content; one more for every change of it.
pub const SCHEMA: u32 = 1;

/// `table inet netd`: translation and isolation.
#[must_use]
pub fn inet_id() -> TableId {
    TableId::new(Family::Inet, "netd")
}

/// `table bridge netd`: MAC spoofing checks.
#[must_use]
pub fn bridge_id() -> TableId {
    TableId::new(Family::Bridge, "netd")
}

/// The comment of a table of this schema.
#[must_use]
pub fn comment(schema: u32) -> String {
    format!("netd schema {schema}")
}

/// The schema version in a table's comment.
#[must_use]
pub fn schema_of(comment: &str) -> Option<u32> {
    comment.strip_prefix("netd schema ")?.parse().ok()
}

/// `table inet netd`.
///
/// # Errors
/// Never in practice: every name in it is valid.
pub fn inet_table() -> Result<Table, NameError> {
    let mut sets: Vec<Set> =
        PURPOSES.iter().flat_map(|p| Ip::BOTH.map(|ip| declare(*p, ip, ""))).collect();
    sets.push(Set { name: "bridges".to_owned(), key: vec![DataType::Ifname], data: vec![] });
    let mut chains = vec![
        plain("user", vec![]),
        plain("ports", Ip::BOTH.into_iter().flat_map(|ip| translations(ip, "")).collect()),
        plain("hairpin", Ip::BOTH.into_iter().flat_map(hairpin).collect()),
        plain("guard", guard()),
    ];
    chains.extend(base_chains()?);
    Ok(Table { id: inet_id(), comment: comment(SCHEMA), sets, networks: vec![], chains })
}

/// `table bridge netd`: a checked port may only send frames from its own address. It runs before
/// connection tracking and the bridge's own learning (priority -300).
#[must_use]
pub fn bridge_table() -> Table {
    let rule = Rule(vec![
        Stmt::In { fields: vec![Field::Iifname], ne: false, set: "checked".to_owned() },
        Stmt::In {
            fields: vec![Field::Iifname, Field::EtherSaddr],
            ne: true,
            set: "genuine".to_owned(),
        },
        Stmt::Drop,
    ]);
    Table {
        id: bridge_id(),
        comment: comment(SCHEMA),
        sets: vec![
            Set { name: "checked".to_owned(), key: vec![DataType::Ifname], data: vec![] },
            Set {
                name: "genuine".to_owned(),
                key: vec![DataType::Ifname, DataType::EtherAddr],
                data: vec![],
            },
        ],
        networks: vec![],
        chains: vec![base(
            "prerouting",
            ChainKind::Filter,
            HookPoint::Prerouting,
            -300,
            vec![rule],
        )],
    }
}

/// The rules that translate by the port maps of a class (`""`: without conditions). An address of
/// the host is looked up before "any address".
#[must_use]
pub fn translations(ip: Ip, class: &str) -> Vec<Rule> {
    let dnat = |fields: Vec<Field>, purpose| {
        let map = set_name(purpose, ip, class);
        Rule(vec![Stmt::DnatMap { family: ip.family(), fields, map }])
    };
    vec![
        dnat(vec![ip.daddr(), Field::L4Proto, Field::ThDport], Purpose::DnatHost),
        dnat(vec![Field::L4Proto, Field::ThDport], Purpose::DnatAny),
    ]
}

fn base_chains() -> Result<Vec<Chain>, NameError> {
    let to_ports = || Rule(vec![Stmt::DaddrIsLocal, Stmt::Jump("ports".to_owned())]);
    let not_lo =
        Stmt::Cmp { field: Field::Iifname, ne: true, value: Value::Ifname(LinkName::new("lo")?) };
    let to_loopback = Rule(vec![not_lo, net(Field::IpDaddr, false, loopback_net()), Stmt::Drop]);
    Ok(vec![
        // route_localnet lets a neighbour address 127.0.0.0/8: refused before conntrack sees it.
        base("loopback", ChainKind::Filter, HookPoint::Prerouting, -300, vec![to_loopback]),
        base("prerouting", ChainKind::Nat, HookPoint::Prerouting, -100, vec![to_ports()]),
        base("output", ChainKind::Nat, HookPoint::Output, -100, vec![to_ports()]),
        base("forward", ChainKind::Filter, HookPoint::Forward, 0, forward()),
        base("postrouting", ChainKind::Nat, HookPoint::Postrouting, 100, postrouting()),
    ])
}

fn forward() -> Vec<Rule> {
    let mut rules = vec![
        Rule(vec![Stmt::Jump("user".to_owned())]),
        Rule(vec![Stmt::CtState(vec![CtState::Established, CtState::Related]), Stmt::Accept]),
    ];
    for ip in Ip::BOTH {
        let guarded = is_in(vec![ip.daddr()], Purpose::Guarded, ip);
        rules.push(Rule(vec![guarded, Stmt::Jump("guard".to_owned())]));
    }
    rules
}

/// A guarded address is reached from where it is allowed, through a published port, and from
/// links that are not container bridges.
fn guard() -> Vec<Rule> {
    let mut rules = Vec::new();
    for ip in Ip::BOTH {
        let pair = is_in(vec![ip.daddr(), Field::Iifname], Purpose::Allowed, ip);
        rules.push(Rule(vec![pair, Stmt::Return]));
        let published = is_in(endpoint(ip), Purpose::Published, ip);
        rules.push(Rule(vec![Stmt::CtStatusDnat, published, Stmt::Return]));
    }
    let from_bridge =
        Stmt::In { fields: vec![Field::Iifname], ne: false, set: "bridges".to_owned() };
    rules.push(Rule(vec![from_bridge, Stmt::Drop]));
    rules
}

fn postrouting() -> Vec<Rule> {
    let mut rules = vec![Rule(vec![Stmt::CtStatusDnat, Stmt::Jump("hairpin".to_owned())])];
    for ip in Ip::BOTH {
        rules.push(Rule(vec![
            is_in(vec![ip.saddr(), Field::Iifname], Purpose::Masquerade, ip),
            // What stays on the link it came from is not for outside (a bridge with
            // br_netfilter shows such frames here).
            Stmt::In {
                fields: vec![ip.saddr(), Field::Oifname],
                ne: true,
                set: set_name(Purpose::Masquerade, ip, ""),
            },
            net(ip.daddr(), true, multicast_net(ip)),
            Stmt::Masquerade { fully_random: false },
        ]));
    }
    rules
}

/// Flows to a published port whose answer would not come back through this host, or would come
/// back from an address the sender does not know: their source becomes this host.
fn hairpin(ip: Ip) -> Vec<Rule> {
    let by = |link: Field| {
        let mut fields = endpoint(ip);
        fields.push(link);
        is_in(fields, Purpose::Hairpin, ip)
    };
    let mut rules = vec![
        Rule(vec![
            is_in(endpoint(ip), Purpose::MasqAll, ip),
            Stmt::Masquerade { fully_random: false },
        ]),
        // From a neighbour on the container's own bridge, routed by this host.
        Rule(vec![by(Field::Iifname), Stmt::Masquerade { fully_random: false }]),
        // The same, bridged: br_netfilter gives no input interface here.
        Rule(vec![
            is_in(vec![ip.saddr(), Field::Oifname], Purpose::Own, ip),
            by(Field::Oifname),
            Stmt::Masquerade { fully_random: false },
        ]),
    ];
    if ip == Ip::V4 {
        let from_loopback = net(Field::IpSaddr, false, loopback_net());
        rules.push(Rule(vec![
            from_loopback,
            by(Field::Oifname),
            Stmt::Masquerade { fully_random: false },
        ]));
    }
    rules
}

fn endpoint(ip: Ip) -> Vec<Field> {
    vec![ip.daddr(), Field::L4Proto, Field::ThDport]
}

fn is_in(fields: Vec<Field>, purpose: Purpose, ip: Ip) -> Stmt {
    Stmt::In { fields, ne: false, set: set_name(purpose, ip, "") }
}

fn net(field: Field, ne: bool, net: IpNetwork) -> Stmt {
    Stmt::CmpNet { field, ne, net }
}

/// 127.0.0.0/8 (RFC 1122, section 3.2.1.3).
fn loopback_net() -> IpNetwork {
    IpNetwork::V4(
        ipnetwork::Ipv4Network::new_checked(std::net::Ipv4Addr::new(127, 0, 0, 0), 8)
            .unwrap_or_else(|| ipnetwork::Ipv4Network::from(std::net::Ipv4Addr::LOCALHOST)),
    )
}

/// 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291, section 2.7).
pub(crate) fn multicast_net(ip: Ip) -> IpNetwork {
    match ip {
        Ip::V4 => ipnetwork::Ipv4Network::new_checked(std::net::Ipv4Addr::new(224, 0, 0, 0), 4)
            .map_or_else(loopback_net, IpNetwork::V4),
        Ip::V6 => ipnetwork::Ipv6Network::new_checked(
            std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
            8,
        )
        .map_or_else(loopback_net, IpNetwork::V6),
    }
}

fn plain(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), hook: None, rules }
}

fn base(name: &str, kind: ChainKind, point: HookPoint, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), hook: Some(Hook { kind, point, priority }), rules }
}
