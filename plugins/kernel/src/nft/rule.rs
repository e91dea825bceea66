//! Rules: statements as expressions, with the dependencies that `nft` puts before them.

use ipnetwork::IpNetwork;
use netstate::nft::{ChainId, CtState, DataType, Family, Field, Rule, Stmt, Value};

use super::expr::{self, Cmp, FIRST, Verdict, base, ct, meta, register};
use super::types::{encode, length};
use super::{family, msg, push};
use crate::netlink::wire::Writer;
use crate::netlink::{Batch, flag};

/// `NFTA_RULE_CHAIN`.
const CHAIN: u16 = 2;
/// `NFTA_RULE_HANDLE`.
const HANDLE: u16 = 3;
/// `NFTA_RULE_EXPRESSIONS`.
pub(super) const EXPRESSIONS: u16 = 4;

/// Adds a rule at the end of a chain.
pub(crate) fn add_rule(batch: &mut Batch, chain: &ChainId, rule: &Rule) {
    new_rule(batch, flag::CREATE | flag::APPEND, chain, rule);
}

/// Puts a rule at the top of a chain.
pub(crate) fn insert_rule(batch: &mut Batch, chain: &ChainId, rule: &Rule) {
    new_rule(batch, flag::CREATE, chain, rule);
}

/// Removes a rule by its handle.
pub(crate) fn del_rule(batch: &mut Batch, chain: &ChainId, handle: u64) {
    push(batch, msg::DELRULE, 0, &chain.table, |w| {
        w.str(CHAIN, &chain.name).be64(HANDLE, handle);
    });
}

/// Removes all rules of a chain.
pub(crate) fn flush_chain(batch: &mut Batch, chain: &ChainId) {
    push(batch, msg::DELRULE, 0, &chain.table, |w| {
        w.str(CHAIN, &chain.name);
    });
}

/// Asks for the rules of a chain, by a dump.
pub(crate) fn list_rules(batch: &mut Batch, chain: &ChainId) {
    push(batch, msg::GETRULE, flag::DUMP, &chain.table, |w| {
        w.str(CHAIN, &chain.name);
    });
}

fn new_rule(batch: &mut Batch, flags: u16, chain: &ChainId, rule: &Rule) {
    push(batch, msg::NEWRULE, flags, &chain.table, |w| {
        w.str(CHAIN, &chain.name);
        w.nest(EXPRESSIONS, |w| put_rule(w, chain.table.family, rule));
    });
}

pub(super) fn put_rule(list: &mut Writer<'_>, table: Family, rule: &Rule) {
    let mut rules = Dependencies { table, network: None, ether: false };
    for stmt in &rule.0 {
        put_stmt(list, &mut rules, stmt);
    }
}

fn put_stmt(list: &mut Writer<'_>, known: &mut Dependencies, stmt: &Stmt) {
    match stmt {
        Stmt::Cmp { field, ne, value } => {
            known.require(list, &[*field]);
            load(list, *field, 0);
            expr::cmp(list, op(*ne), &comparand(value));
        }
        Stmt::CmpNet { field, ne, net } => {
            known.require(list, &[*field]);
            compare_network(list, *field, op(*ne), *net);
        }
        Stmt::In { fields, ne, set } => {
            look_up(list, known, fields, set, None, *ne);
        }
        Stmt::CtState(states) => {
            let bits = states.iter().fold(0, |bits, state| bits | state_bit(*state));
            any_bit(list, ct::STATE, bits);
        }
        Stmt::CtStatusDnat => {
            const IPS_DST_NAT: u32 = 1 << 5;
            any_bit(list, ct::STATUS, IPS_DST_NAT);
        }
        Stmt::DaddrIsLocal => {
            const RTN_LOCAL: u32 = 2;
            expr::fib_daddr_type(list);
            expr::cmp(list, Cmp::Equal, &RTN_LOCAL.to_ne_bytes());
        }
        Stmt::DnatMap { family: addresses, fields, map } => {
            look_up(list, known, fields, map, Some(FIRST), false);
            let address = if *addresses == Family::Ip6 { 16 } else { 4 };
            expr::dnat(list, family(*addresses), register(address));
        }
        Stmt::SnatMap { family: addresses, fields, map } => {
            look_up(list, known, fields, map, Some(FIRST), false);
            expr::snat(list, family(*addresses));
        }
        Stmt::Mark { mask, value } => {
            expr::meta(list, meta::MARK, FIRST);
            expr::mask(list, &mask.to_ne_bytes());
            expr::cmp(list, Cmp::Equal, &value.to_ne_bytes());
        }
        Stmt::Masquerade { fully_random } => expr::masquerade(list, *fully_random),
        Stmt::Counter => expr::counter(list),
        Stmt::Accept => expr::verdict(list, Verdict::Accept),
        Stmt::Drop => expr::verdict(list, Verdict::Drop),
        Stmt::Return => expr::verdict(list, Verdict::Return),
        Stmt::Jump(chain) => expr::verdict(list, Verdict::Jump(chain)),
    }
}

/// What a rule has made sure of so far: a header can only be read where it is there.
struct Dependencies {
    table: Family,
    network: Option<Family>,
    ether: bool,
}

impl Dependencies {
    fn require(&mut self, list: &mut Writer<'_>, fields: &[Field]) {
        for field in fields {
            if *field == Field::EtherSaddr {
                self.ethernet(list);
            }
            if let Some(network) = field.family() {
                self.network(list, network);
            }
        }
    }

    fn network(&mut self, list: &mut Writer<'_>, network: Family) {
        if self.network == Some(network) {
            return;
        }
        self.network = Some(network);
        match self.table {
            Family::Inet => {
                expr::meta(list, meta::NFPROTO, FIRST);
                expr::cmp(list, Cmp::Equal, &[family(network)]);
            }
            Family::Bridge => {
                let ethertype: u16 = if network == Family::Ip6 { 0x86dd } else { 0x0800 };
                expr::meta(list, meta::PROTOCOL, FIRST);
                expr::cmp(list, Cmp::Equal, &ethertype.to_be_bytes());
            }
            Family::Ip | Family::Ip6 => {}
        }
    }

    fn ethernet(&mut self, list: &mut Writer<'_>) {
        const ARPHRD_ETHER: u16 = 1;
        if self.ether || self.table == Family::Bridge {
            return;
        }
        self.ether = true;
        expr::meta(list, meta::IIFTYPE, FIRST);
        expr::cmp(list, Cmp::Equal, &ARPHRD_ETHER.to_ne_bytes());
    }
}

/// Where a field is found.
enum Source {
    Meta(u32),
    Header { base: u32, offset: u32 },
}

fn source(field: Field) -> (Source, DataType) {
    let header = |base, offset| Source::Header { base, offset };
    match field {
        Field::IpSaddr => (header(base::NETWORK, 12), DataType::Ipv4Addr),
        Field::IpDaddr => (header(base::NETWORK, 16), DataType::Ipv4Addr),
        Field::Ip6Saddr => (header(base::NETWORK, 8), DataType::Ipv6Addr),
        Field::Ip6Daddr => (header(base::NETWORK, 24), DataType::Ipv6Addr),
        Field::EtherSaddr => (header(base::LINK, 6), DataType::EtherAddr),
        Field::ThSport => (header(base::TRANSPORT, 0), DataType::InetService),
        Field::ThDport => (header(base::TRANSPORT, 2), DataType::InetService),
        Field::Vni => (header(base::TRANSPORT, 12), DataType::Vni),
        Field::Iifname => (Source::Meta(meta::IIFNAME), DataType::Ifname),
        Field::Oifname => (Source::Meta(meta::OIFNAME), DataType::Ifname),
        Field::L4Proto => (Source::Meta(meta::L4PROTO), DataType::InetProto),
    }
}

/// Loads a field to so many bytes after the first register's start; its length comes back.
fn load(list: &mut Writer<'_>, field: Field, at: usize) -> usize {
    let (source, data_type) = source(field);
    let bytes = length(data_type);
    match source {
        Source::Meta(key) => expr::meta(list, key, register(at)),
        Source::Header { base, offset } => {
            let count = u32::try_from(bytes).unwrap_or(u32::MAX);
            expr::payload(list, base, offset, count, register(at));
        }
    }
    bytes
}

fn look_up(
    list: &mut Writer<'_>,
    known: &mut Dependencies,
    fields: &[Field],
    set: &str,
    into: Option<u32>,
    ne: bool,
) {
    known.require(list, fields);
    load_key(list, fields);
    expr::lookup(list, set, into, ne);
}

fn load_key(list: &mut Writer<'_>, fields: &[Field]) {
    let mut at = 0;
    for field in fields {
        at += load(list, *field, at).next_multiple_of(4);
    }
}

/// Whole bytes are compared as such; only what is left needs a mask.
fn compare_network(list: &mut Writer<'_>, field: Field, op: Cmp, net: IpNetwork) {
    let address = encode(&[Value::from(net.network())]);
    let prefix = usize::from(net.prefix());
    let (source, _) = source(field);
    let Source::Header { base, offset } = source else { return };
    if prefix > 0 && prefix.is_multiple_of(8) {
        let count = u32::try_from(prefix / 8).unwrap_or(u32::MAX);
        expr::payload(list, base, offset, count, FIRST);
        expr::cmp(list, op, address.get(..prefix / 8).unwrap_or_default());
    } else {
        load(list, field, 0);
        expr::mask(list, &encode(&[Value::from(net.mask())]));
        expr::cmp(list, op, &address);
    }
}

/// A name is compared with its NUL and no further, as iptables-nft does; `nft` prints that the
/// same as a comparison of all 16 bytes.
fn comparand(value: &Value) -> Vec<u8> {
    match value {
        Value::Ifname(name) => {
            let mut bytes = name.as_str().as_bytes().to_vec();
            bytes.push(0);
            bytes
        }
        Value::Ipv4(_)
        | Value::Ipv6(_)
        | Value::Mac(_)
        | Value::Proto(_)
        | Value::Port(_)
        | Value::Vni(_) => encode(std::slice::from_ref(value)),
    }
}

fn any_bit(list: &mut Writer<'_>, key: u32, bits: u32) {
    expr::ct(list, key);
    expr::mask(list, &bits.to_ne_bytes());
    expr::cmp(list, Cmp::Different, &[0; 4]);
}

/// `NF_CT_STATE_BIT()` (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
fn state_bit(state: CtState) -> u32 {
    match state {
        CtState::Invalid => 1,
        CtState::Established => 2,
        CtState::Related => 4,
        CtState::New => 8,
    }
}

fn op(ne: bool) -> Cmp {
    if ne { Cmp::Different } else { Cmp::Equal }
}
