//! What a container gets to know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use hickory_proto::op::Query;
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::super::key;
use super::Zone;
use super::net::Net;

/// Seconds that an answer may be kept: not at all. The next one is as near as this one was, and an
/// address whose container is gone must be in nobody's memory (Docker: 600; Podman: 0).
const TTL: u32 = 0;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Client<'a> {
    /// On which network: its id.
    pub(in super::super) network: &'a str,
    /// From which address.
    pub(in super::super) source: IpAddr,
}

/// What comes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// The name is there. Without records: it has none of this type.
    Records(Vec<Record>),
    /// There is no such name.
    NoName,
    /// The name is none of ours.
    Forward,
    /// Not for this client, or nothing that is answered here.
    Refuse,
}

impl Zone {
    /// Decides. Of several addresses another one is the first with each `turn`.
    pub(in super::super) fn answer(
        &self,
        client: Client<'_>,
        question: &Query,
        turn: usize,
        now: Instant,
    ) -> Verdict {
        if question.query_class() != DNSClass::IN {
            return Verdict::Refuse;
        }
        let Some(joined) = self.joined(client.network, client.source) else {
            return Verdict::Refuse;
        };
        let name = question.name();
        if name.is_localhost() {
            return records(question, &[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], 0);
        }
        let text = key::of(name);
        if let Some(addresses) = addresses(&joined, &text) {
            return records(question, &addresses, turn);
        }
        if let Some(verdict) = reverse(&joined, question) {
            return verdict;
        }
        let is_lost = joined.iter().any(|net| net.has_lost(&text, now));
        let is_shut_in = joined.iter().all(|net| net.network().internal);
        if is_lost || is_shut_in { Verdict::NoName } else { Verdict::Forward }
    }
}

/// Of a name, on all these networks. None: it is on none of them.
fn addresses(joined: &[&Net], name: &str) -> Option<Vec<IpAddr>> {
    let mut found: Option<Vec<IpAddr>> = None;
    for addresses in joined.iter().filter_map(|net| net.addresses(name)) {
        let all = found.get_or_insert_default();
        for ip in addresses {
            if !all.contains(&ip) {
                all.push(ip);
            }
        }
    }
    found
}

fn records(question: &Query, addresses: &[IpAddr], turn: usize) -> Verdict {
    let kind = question.query_type();
    let wanted = |ip: &IpAddr| {
        let own = if ip.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        kind == own || kind == RecordType::ANY
    };
    let record = |ip: IpAddr| {
        let data = match ip {
            IpAddr::V4(ip) => RData::A(ip.into()),
            IpAddr::V6(ip) => RData::AAAA(ip.into()),
        };
        Record::from_rdata(question.name().clone(), TTL, data)
    };
    let mut all: Vec<Record> =
        addresses.iter().copied().filter(|ip| wanted(ip)).map(record).collect();
    if let Some(first) = turn.checked_rem(all.len()) {
        all.rotate_left(first);
    }
    Verdict::Records(all)
}

/// The name of an address of these networks (RFC 1035, section 3.5; RFC 3596, section 2.5). None: it is
/// another question.
fn reverse(joined: &[&Net], question: &Query) -> Option<Verdict> {
    let net = question.name().parse_arpa_name().ok()?;
    if net.prefix_len() != net.max_prefix_len() {
        return None;
    }
    let ip = net.addr();
    let names: Vec<Name> = joined
        .iter()
        .filter_map(|net| Name::from_ascii(format!("{}.", net.name(ip)?)).ok())
        .collect();
    if names.is_empty() {
        return joined.iter().any(|net| net.contains(ip)).then_some(Verdict::NoName);
    }
    let is_asked = matches!(question.query_type(), RecordType::PTR | RecordType::ANY);
    let record = |name| Record::from_rdata(question.name().clone(), TTL, RData::PTR(PTR(name)));
    Some(Verdict::Records(names.into_iter().filter(|_| is_asked).map(record).collect()))
}
