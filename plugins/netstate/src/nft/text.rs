//! The text that `nft` reads and prints.

use std::fmt::{Display, Write};

use super::{
    Chain, ChainKind, CtState, DataType, Element, Family, Field, Hook, HookPoint, NetworkSet, Rule,
    Set, Stmt, Table, Value,
};

/// A whole table, as `nft -f` reads it.
#[must_use]
pub fn nft_table(table: &Table) -> String {
    let mut out = format!("table {} {{\n", table.id);
    if !table.comment.is_empty() {
        let _ = writeln!(out, "\tcomment {}", quoted(&table.comment));
    }
    for set in &table.sets {
        push_set(&mut out, set);
    }
    for set in &table.networks {
        push_networks(&mut out, set);
    }
    for chain in &table.chains {
        out.push_str(&nft_chain(chain));
    }
    out.push_str("}\n");
    out
}

/// A rule on one line.
#[must_use]
pub fn nft_rule(rule: &Rule) -> String {
    join(rule.0.iter().map(stmt), " ")
}

/// An element as it stands between braces.
#[must_use]
pub fn nft_element(element: &Element) -> String {
    let mut out = join(&element.key, " . ");
    if !element.comment.is_empty() {
        let _ = write!(out, " comment {}", quoted(&element.comment));
    }
    if !element.data.is_empty() {
        let _ = write!(out, " : {}", join(&element.data, " . "));
    }
    out
}

/// A chain as it stands in its table.
#[must_use]
pub fn nft_chain(chain: &Chain) -> String {
    let mut out = format!("\tchain {} {{\n", chain.name);
    if let Some(hook) = &chain.hook {
        let _ = writeln!(out, "\t\t{}", hook_line(hook));
    }
    for rule in &chain.rules {
        let _ = writeln!(out, "\t\t{}", nft_rule(rule));
    }
    out.push_str("\t}\n");
    out
}

/// What a set or map is made of: types, or where one has no name, what is looked up.
#[must_use]
pub fn nft_set_spec(set: &Set) -> String {
    let all = || set.key.iter().chain(&set.data);
    let (word, of): (_, fn(&DataType) -> String) = match all().any(|it| *it == DataType::Vni) {
        true => ("typeof", |data_type| field_text(data_type.example()).to_owned()),
        false => ("type", DataType::to_string),
    };
    let parts = |types: &[DataType]| join(types.iter().map(of), " . ");
    if set.data.is_empty() {
        format!("{word} {}", parts(&set.key))
    } else {
        format!("{word} {} : {}", parts(&set.key), parts(&set.data))
    }
}

/// A string as `nft` reads it. Its grammar (`src/scanner.l`, 1.0.6) has no way to write a quotation
/// mark or a line break in one: they are written as `?`.
#[must_use]
pub fn quoted(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c == '"' || c.is_control() { '?' } else { c }).collect();
    format!("\"{text}\"")
}

fn push_set(out: &mut String, set: &Set) {
    let word = if set.data.is_empty() { "set" } else { "map" };
    let _ = writeln!(out, "\t{word} {} {{\n\t\t{}\n\t}}", set.name, nft_set_spec(set));
}

fn push_networks(out: &mut String, set: &NetworkSet) {
    let (key, elements) = (set.key(), join(&set.networks, ", "));
    let _ = write!(
        out,
        "\tset {} {{\n\t\ttype {key}\n\t\tflags interval\n\t\telements = {{ {elements} }}\n\t}}\n",
        set.name
    );
}

fn hook_line(hook: &Hook) -> String {
    let kind = match hook.kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
    };
    let point = match hook.point {
        HookPoint::Prerouting => "prerouting",
        HookPoint::Input => "input",
        HookPoint::Forward => "forward",
        HookPoint::Output => "output",
        HookPoint::Postrouting => "postrouting",
    };
    format!("type {kind} hook {point} priority {}; policy accept;", hook.priority)
}

fn stmt(stmt: &Stmt) -> String {
    match stmt {
        Stmt::Cmp { field, ne, value } => {
            format!("{} {}{}", field_text(*field), not(*ne), cmp_value(value))
        }
        Stmt::CmpNet { field, ne, net } => format!("{} {}{net}", field_text(*field), not(*ne)),
        Stmt::In { fields, ne, set } => format!("{} {}@{set}", concat(fields), not(*ne)),
        Stmt::CtState(states) => format!("ct state {}", join(states.iter().map(state), ",")),
        Stmt::CtStatusDnat => "ct status dnat".to_owned(),
        Stmt::DaddrIsLocal => "fib daddr type local".to_owned(),
        Stmt::DnatMap { family, fields, map } => {
            format!("dnat {family} to {} map @{map}", concat(fields))
        }
        Stmt::SnatMap { family, fields, map } => {
            format!("snat {family} to {} map @{map}", concat(fields))
        }
        Stmt::Mark { mask, value } => format!("meta mark & {mask:#010x} == {value:#010x}"),
        Stmt::Masquerade { fully_random: false } => "masquerade".to_owned(),
        Stmt::Masquerade { fully_random: true } => "masquerade fully-random".to_owned(),
        Stmt::Counter => "counter".to_owned(),
        Stmt::Accept => "accept".to_owned(),
        Stmt::Drop => "drop".to_owned(),
        Stmt::Return => "return".to_owned(),
        Stmt::Jump(chain) => format!("jump {chain}"),
    }
}

fn cmp_value(value: &Value) -> String {
    value.to_string()
}

fn not(ne: bool) -> &'static str {
    if ne { "!= " } else { "" }
}

fn concat(fields: &[Field]) -> String {
    join(fields.iter().map(|f| field_text(*f)), " . ")
}

fn field_text(field: Field) -> &'static str {
    match field {
        Field::IpSaddr => "ip saddr",
        Field::IpDaddr => "ip daddr",
        Field::Ip6Saddr => "ip6 saddr",
        Field::Ip6Daddr => "ip6 daddr",
        Field::EtherSaddr => "ether saddr",
        Field::Iifname => "iifname",
        Field::Oifname => "oifname",
        Field::L4Proto => "meta l4proto",
        Field::ThSport => "th sport",
        Field::ThDport => "th dport",
        Field::Vni => "@th,96,24",
    }
}

fn state(state: &CtState) -> &'static str {
    match state {
        CtState::Invalid => "invalid",
        CtState::Established => "established",
        CtState::Related => "related",
        CtState::New => "new",
    }
}

fn join<T: Display>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    let mut out = String::new();
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        let _ = write!(out, "{item}");
    }
    out
}

/// The family word of a packet field in an `inet` table, where one is implied.
impl Field {
    /// The network family a field implies, where it implies one.
    #[must_use]
    pub fn family(self) -> Option<Family> {
        match self {
            Self::IpSaddr | Self::IpDaddr => Some(Family::Ip),
            Self::Ip6Saddr | Self::Ip6Daddr => Some(Family::Ip6),
            Self::EtherSaddr
            | Self::Iifname
            | Self::Oifname
            | Self::L4Proto
            | Self::ThSport
            | Self::ThDport
            | Self::Vni => None,
        }
    }
}

impl DataType {
    /// A field of this type.
    fn example(self) -> Field {
        match self {
            Self::Ipv4Addr => Field::IpSaddr,
            Self::Ipv6Addr => Field::Ip6Saddr,
            Self::EtherAddr => Field::EtherSaddr,
            Self::InetProto => Field::L4Proto,
            Self::InetService => Field::ThDport,
            Self::Ifname => Field::Iifname,
            Self::Vni => Field::Vni,
        }
    }
}
