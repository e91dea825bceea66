//! The nf_tables tables of this project: constant rules over sets.
//!
//! The rules are made once and depend on no container. A table's comment holds [`SCHEMA`]: an
//! older table is replaced in one transaction with its elements kept, a newer one is refused.
//!
//! Chain `user` is jumped to before anything else of ours in the forward hook and is never
//! touched: it is the administrator's.

mod frames;
mod sets;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnetwork::IpNetwork;
use netstate::nft::{
    Chain, ChainKind, CtState, DataType, Family, Field, Hook, HookPoint, Rule, Set, SetId, Stmt,
    Table, TableId, Value,
};
use netstate::{LinkName, NameError};

use frames::{sealed_by, tunnels};
use sets::{PURPOSES, set_name};

pub use sets::{
    Ip, Purpose, bridges, class_set, closed, declare, inside, internal, is_retired, known, purpose,
    sealed, set, spoofing_sets,
};

/// Version of the tables' content; one more for every change of it.
pub const SCHEMA: u32 = 6;

/// `table inet netd`: translation, isolation, and which hosts' frames are let in.
#[must_use]
pub fn inet_id() -> TableId {
    static ID: LazyLock<TableId> = LazyLock::new(|| TableId::new(Family::Inet, "netd"));
    ID.clone()
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
    let of = |set: SetId, key: &[DataType]| Set {
        name: set.name.to_string(),
        key: key.to_vec(),
        data: vec![],
    };
    let link = DataType::Ifname;
    sets.extend([of(bridges(), &[link]), of(internal(), &[link]), of(inside(), &[link, link])]);
    sets.extend([closed(), sealed()].map(|set| of(set, &[DataType::Vni])));
    sets.extend(Ip::BOTH.map(|ip| of(known(ip), &[ip.addr(), DataType::Vni])));
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
    // From ::1 nothing leaves the host, so it stays with who listens there, as `netd proxy` does.
    let own = IpAddr::from(Ipv6Addr::LOCALHOST).into();
    let stays = Rule(vec![net(Field::Ip6Daddr, false, own), Stmt::Return]);
    Ok(vec![
        // route_localnet lets a neighbour address 127.0.0.0/8: refused before conntrack sees it.
        base("loopback", ChainKind::Filter, HookPoint::Prerouting, -300, vec![to_loopback]),
        base("tunnels", ChainKind::Filter, HookPoint::Input, -300, tunnels()),
        base("prerouting", ChainKind::Nat, HookPoint::Prerouting, -100, vec![to_ports()]),
        base("output", ChainKind::Nat, HookPoint::Output, -100, vec![stays, to_ports()]),
        base("forward", ChainKind::Filter, HookPoint::Forward, 0, forward()),
        base("postrouting", ChainKind::Nat, HookPoint::Postrouting, 100, postrouting()),
        // After all that may choose another way.
        base(
            "sealed",
            ChainKind::Filter,
            HookPoint::Postrouting,
            0,
            vec![sealed_by(Field::Oifname)],
        ),
    ])
}

fn forward() -> Vec<Rule> {
    let mut rules = tunnels();
    rules.push(Rule(vec![Stmt::Jump("user".to_owned())]));
    // What stays on a bridge is seen here by br_netfilter.
    for link in [Field::Iifname, Field::Oifname] {
        let internal = Stmt::In { fields: vec![link], ne: false, set: internal().name.to_string() };
        let fields = vec![Field::Iifname, Field::Oifname];
        let leaves = Stmt::In { fields, ne: true, set: inside().name.to_string() };
        rules.push(Rule(vec![internal, leaves, Stmt::Drop]));
    }
    rules.push(Rule(vec![
        Stmt::CtState(vec![CtState::Established, CtState::Related]),
        Stmt::Accept,
    ]));
    for ip in Ip::BOTH {
        let guarded = is_in(vec![ip.daddr()], Purpose::Guarded, ip);
        rules.push(Rule(vec![guarded, Stmt::Jump("guard".to_owned())]));
    }
    rules
}

/// A guarded address is reached from where it is allowed, through a published port or one that is
/// opened, and, unless it is closed, from links that are not container bridges.
fn guard() -> Vec<Rule> {
    let mut rules = Vec::new();
    for ip in Ip::BOTH {
        let pair = is_in(vec![ip.daddr(), Field::Iifname], Purpose::Allowed, ip);
        rules.push(Rule(vec![pair, Stmt::Return]));
        let published = is_in(endpoint(ip), Purpose::Published, ip);
        rules.push(Rule(vec![Stmt::CtStatusDnat, published, Stmt::Return]));
        rules.push(Rule(vec![is_in(endpoint(ip), Purpose::Opened, ip), Stmt::Return]));
        let icmp = Value::Proto(if ip == Ip::V4 { 1 } else { 58 });
        let icmp = Stmt::Cmp { field: Field::L4Proto, ne: false, value: icmp };
        let pinged = is_in(vec![ip.daddr()], Purpose::Pinged, ip);
        rules.push(Rule(vec![icmp, pinged, Stmt::Return]));
        rules.push(Rule(vec![is_in(vec![ip.daddr()], Purpose::Closed, ip), Stmt::Drop]));
    }
    let from_bridge =
        Stmt::In { fields: vec![Field::Iifname], ne: false, set: "bridges".to_owned() };
    rules.push(Rule(vec![from_bridge, Stmt::Drop]));
    rules
}

fn postrouting() -> Vec<Rule> {
    let mut rules = vec![Rule(vec![Stmt::CtStatusDnat, Stmt::Jump("hairpin".to_owned())])];
    for ip in Ip::BOTH {
        let map = set_name(Purpose::Snat, ip, "");
        let fields = vec![ip.saddr(), Field::Iifname];
        let chosen = Stmt::SnatMap { family: ip.family(), fields, map };
        for translation in [chosen, Stmt::Masquerade { fully_random: false }] {
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
                translation,
            ]));
        }
    }
    rules
}

/// Flows to a published port whose answer would not come back through this host, or would come
/// back from an address the sender does not know: their source becomes this host.
fn hairpin(ip: Ip) -> Vec<Rule> {
    let masquerade = Stmt::Masquerade { fully_random: false };
    let published = is_in(endpoint(ip), Purpose::Published, ip);
    // To a published port of a container behind a link.
    let behind = |link: Field, rest: Vec<Stmt>| {
        let own = is_in(vec![ip.daddr(), link], Purpose::Own, ip);
        let to_port = [own, published.clone(), masquerade.clone()];
        Rule(rest.into_iter().chain(to_port).collect())
    };
    let mut rules = vec![
        Rule(vec![is_in(endpoint(ip), Purpose::MasqAll, ip), masquerade.clone()]),
        // From a neighbour on the container's own bridge, routed by this host.
        behind(Field::Iifname, vec![]),
        // The same, bridged: br_netfilter gives no input interface here.
        behind(Field::Oifname, vec![is_in(vec![ip.saddr(), Field::Oifname], Purpose::Own, ip)]),
    ];
    if ip == Ip::V4 {
        let from_loopback = net(Field::IpSaddr, false, loopback_net());
        rules.push(behind(Field::Oifname, vec![from_loopback]));
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
    let net = ipnetwork::Ipv4Network::new_checked(Ipv4Addr::new(127, 0, 0, 0), 8);
    net.unwrap_or_else(|| Ipv4Addr::LOCALHOST.into()).into()
}

/// 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291, section 2.7).
pub(crate) fn multicast_net(ip: Ip) -> IpNetwork {
    match ip {
        Ip::V4 => ipnetwork::Ipv4Network::new_checked(Ipv4Addr::new(224, 0, 0, 0), 4)
            .map_or_else(loopback_net, IpNetwork::V4),
        Ip::V6 => {
            ipnetwork::Ipv6Network::new_checked(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)
                .map_or_else(loopback_net, IpNetwork::V6)
        }
    }
}

fn plain(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), hook: None, rules }
}

fn base(name: &str, kind: ChainKind, point: HookPoint, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), hook: Some(Hook { kind, point, priority }), rules }
}
