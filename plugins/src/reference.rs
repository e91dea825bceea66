//! What the reference plugins keep in the host's nf_tables for an attachment that they made, by
//! themselves or through iptables-nft. DEL takes it away where it has no record of ours, so that a
//! host can change from them to these plugins while its containers run.
//!
//! Names and comments are theirs (`pkg/utils`, `pkg/ip/ipmasq_*`, `plugins/meta/portmap`,
//! `plugins/meta/firewall`, `pkg/link/spoofcheck` of containernetworking/plugins). Tables of
//! iptables-legacy are not nf_tables: what is in them stays.

use std::net::IpAddr;

use cni::{Error, Request};
use drivers::firewall::iptables;
use drivers::ruleset::Ip;
use kernel::{ForeignRule, Kernel, Kind};
use netstate::nft::{ChainId, Family, Field, Rule, Stmt, TableId, Value};
use netstate::{LinkKind, LinkName, Ns, NsNames, Op, Plan, Step};
use sha2::{Digest, Sha512};

use crate::attachment::{self, attach_error, kernel_error};
use crate::removal;

/// Times the ruleset may change under our hands before DEL gives up.
const ATTEMPTS: usize = 10;
/// `XT_EXTENSION_MAXNAMELEN` - 1.
const CHAIN_NAME: usize = 28;

/// Of `bridge`: its veth pair, masquerading, and the check of link-layer addresses.
pub(crate) fn leave_bridge(request: &Request) -> Result<(), Error> {
    // Ours have an alias; what nobody owns is theirs.
    removal::remove_inside(request, |link| is_veth(&link.kind) && link.alias.is_none())?;
    let mut kernel = attachment::kernel(None);
    remove_host_link(request, &mut kernel)?;
    let (network, id) = (request.conf.name.as_str(), request.container_id.as_str());
    let comment = format!("name: {network:?} id: {id:?}");
    let own = hashed("CNI-", &format!("{network}{id}"), CHAIN_NAME);
    let mut traces: Vec<Trace<'_>> = [Family::Ip, Family::Ip6]
        .map(|family| Trace::jump(family, "nat", own.clone(), "POSTROUTING", comment.clone()))
        .into();
    let key = format!(
        "{}-{}",
        hashed("", network, 16),
        hashed("", &format!("{}:{id}", request.ifname), 16)
    );
    traces.push(Trace::Rules {
        chain: chain(Family::Inet, "cni_plugins_masquerade", "masq_checks"),
        is_own: Box::new(move |rule| rule.comment().starts_with(&key)),
    });
    let spoof = format!("{id}-{}", request.ifname);
    let comment = format!("macspoofchk-{spoof}");
    let iface = format!("cni-br-iface-{spoof}");
    let mac = format!("{iface}-mac");
    traces.push(Trace::jump(Family::Bridge, "nat", iface.clone(), "PREROUTING", comment.clone()));
    traces.push(Trace::jump(Family::Bridge, "nat", mac, &iface, comment));
    remove(&mut kernel, &traces)
}

/// Of `portmap`: translations of both backends, and the source translations of versions before
/// 0.7.
pub(crate) fn leave_ports(request: &Request) -> Result<(), Error> {
    let (network, id) = (request.conf.name.as_str(), request.container_id.as_str());
    let key = format!("{network}{id}");
    let addrs = addresses(request)?;
    let mut traces = Vec::new();
    for family in [Family::Ip, Family::Ip6] {
        for (prefix, from, word) in
            [("CNI-DN-", "CNI-HOSTPORT-DNAT", "dnat"), ("CNI-SN-", "CNI-HOSTPORT-SNAT", "snat")]
        {
            let own = hashed(prefix, &key, CHAIN_NAME);
            let comment: String =
                format!("{word} name: {network:?} id: {id:?}").chars().take(255).collect();
            traces.push(Trace::jump(family, "nat", own, from, comment));
        }
        for name in ["hostports", "hostip_hostports", "masquerading"] {
            let addrs = &addrs;
            // The comment is the same for all networks of a container. Without any address the
            // container is gone, and with it its other networks.
            let is_own = move |rule: &ForeignRule| {
                let of_address = |addr: &IpAddr| rule.has_value(&bytes(*addr));
                rule.comment() == id && (addrs.is_empty() || addrs.iter().any(of_address))
            };
            let chain = chain(family, "cni_hostport", name);
            traces.push(Trace::Rules { chain, is_own: Box::new(is_own) });
        }
    }
    remove(&mut attachment::kernel(None), &traces)
}

/// Of `firewall`: what it accepts in iptables' FORWARD, which only the addresses tell.
pub(crate) fn leave_forward(request: &Request) -> Result<(), Error> {
    let addrs = addresses(request)?;
    let mut traces = Vec::new();
    for (ip, family) in [(Ip::V4, Family::Ip), (Ip::V6, Family::Ip6)] {
        let of_family: Vec<IpAddr> = addrs.iter().copied().filter(|a| Ip::of(*a) == ip).collect();
        if !of_family.is_empty() {
            let chain = iptables::chain(family, iptables::CNI_FORWARD);
            let is_own =
                move |rule: &ForeignRule| of_family.iter().any(|addr| accepts_of(rule, *addr));
            traces.push(Trace::Rules { chain, is_own: Box::new(is_own) });
        }
    }
    remove(&mut attachment::kernel(None), &traces)
}

/// Where something of an attachment may be.
enum Trace<'a> {
    /// A chain of its own, and the chain with the rules that jump to it. Names are hashes of texts
    /// that others can have, too; comments tell.
    Chain { own: ChainId, from: ChainId, comment: String },
    /// Rules in a chain of all attachments.
    Rules { chain: ChainId, is_own: Box<dyn Fn(&ForeignRule) -> bool + 'a> },
}

impl Trace<'_> {
    fn jump(family: Family, table: &str, own: String, from: &str, comment: String) -> Self {
        let (own, from) = (chain(family, table, &own), chain(family, table, from));
        Self::Chain { own, from, comment }
    }

    /// The chain without which there is nothing.
    fn chain(&self) -> &ChainId {
        match self {
            Self::Chain { own, .. } => own,
            Self::Rules { chain, .. } => chain,
        }
    }
}

/// Removes what is there, all at once. Where nothing is, that is one question.
fn remove(kernel: &mut Kernel, traces: &[Trace<'_>]) -> Result<(), Error> {
    let places: Vec<ChainId> = traces.iter().map(|trace| trace.chain().clone()).collect();
    for attempt in 1.. {
        let there = kernel.chains_there(&Ns::Host, &places).map_err(|e| kernel_error(&e))?;
        let found = traces.iter().filter(|trace| there.contains(trace.chain()));
        if there.is_empty() {
            break;
        }
        match remove_found(kernel, found) {
            Err(e) if e.kind() == Kind::Interrupted && attempt < ATTEMPTS => {}
            other => return other.map_err(|e| kernel_error(&e)),
        }
    }
    Ok(())
}

fn remove_found<'t>(
    kernel: &mut Kernel,
    traces: impl Iterator<Item = &'t Trace<'t>>,
) -> Result<(), kernel::Error> {
    let generation = kernel.generation(&Ns::Host)?;
    let (mut rules, mut chains) = (Vec::new(), Vec::new());
    for trace in traces {
        match trace {
            Trace::Rules { chain, is_own } => {
                let all = kernel.rules(&Ns::Host, chain)?;
                rules.extend(all.into_iter().filter(|rule| is_own(rule)));
            }
            Trace::Chain { own, from, comment } => {
                let all = kernel.rules(&Ns::Host, from)?;
                let jumps = all.into_iter().filter(|rule| rule.jumps_to(&own.name));
                let (ours, others): (Vec<_>, Vec<_>) =
                    jumps.partition(|rule| rule.comment() == *comment);
                rules.extend(ours);
                if others.is_empty() {
                    chains.push(own.clone());
                }
            }
        }
    }
    if rules.is_empty() && chains.is_empty() {
        return Ok(());
    }
    kernel.remove_foreign(&Ns::Host, &rules, &chains, generation)
}

/// `-d <addr> -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT` or `-s <addr> -j ACCEPT`, and
/// nothing that an administrator may have written beside them.
fn accepts_of(rule: &ForeignRule, addr: IpAddr) -> bool {
    let (from, to) = match addr {
        IpAddr::V4(_) => (Field::IpSaddr, Field::IpDaddr),
        IpAddr::V6(_) => (Field::Ip6Saddr, Field::Ip6Daddr),
    };
    let about = |field| Rule(vec![Stmt::Cmp { field, ne: false, value: Value::from(addr) }]);
    let kinds = rule.kinds();
    let is_of = |wanted: &[&str]| kinds.iter().map(String::as_str).eq(wanted.iter().copied());
    rule.accepts()
        && ((rule.starts_with(&about(from)) && is_of(&["payload", "cmp", "counter", "immediate"]))
            || (rule.starts_with(&about(to))
                && is_of(&["payload", "cmp", "match", "counter", "immediate"])))
}

/// The host's end of the veth pair as `prevResult` has it: with its link-layer address, and not
/// ours. It is still there where DEL comes without the namespace, and somebody keeps that.
fn remove_host_link(request: &Request, kernel: &mut Kernel) -> Result<(), Error> {
    let interfaces = request.prev_result.iter().flat_map(|prev| &prev.interfaces);
    let mut steps = Vec::new();
    for end in interfaces.filter(|i| i.sandbox.is_empty() && !i.mac.is_empty()) {
        let Ok(name) = LinkName::new(end.name.clone()) else { continue };
        let there = kernel.link_by_name(&Ns::Host, &name).map_err(|e| kernel_error(&e))?;
        let is_it = there.is_some_and(|state| {
            let same = state.link.mac.is_some_and(|m| m.to_string().eq_ignore_ascii_case(&end.mac));
            let port = is_veth(&state.link.kind) && state.link.master.is_some();
            same && port && state.link.alias.is_none()
        });
        if is_it {
            steps.push(Step::fresh(Ns::Host, Op::DelLink(name)));
        }
    }
    let left = attach::wiring::remove(kernel, &Plan { steps }, &NsNames::default());
    if left.is_empty() { Ok(()) } else { Err(attach_error(&attach::Error::Left { left })) }
}

/// One whose other end is in a namespace that is not known here is of no kind that the model has.
fn is_veth(kind: &LinkKind) -> bool {
    kind.peer().is_some() || matches!(kind, LinkKind::Other(name) if name == "veth")
}

/// The attachment's addresses: those of `prevResult`, or else of its interface, while it is there.
fn addresses(request: &Request) -> Result<Vec<IpAddr>, Error> {
    if let Some(prev) = &request.prev_result {
        return Ok(prev.ips.iter().map(|ip| ip.address.addr).collect());
    }
    let Some(netns) = attachment::netns_if_there(request) else { return Ok(Vec::new()) };
    let name = attachment::ifname(request)?;
    let mut kernel = attachment::kernel(Some(&netns));
    if kernel.link_by_name(&Ns::Container, &name).map_err(|e| kernel_error(&e))?.is_none() {
        return Ok(Vec::new());
    }
    let addrs = kernel.addrs_of(&Ns::Container, &name).map_err(|e| kernel_error(&e))?;
    Ok(addrs.iter().map(|addr| addr.net.ip()).collect())
}

/// `MustFormatChainNameWithPrefix` and the like: a prefix and the SHA-512 in hex, cut.
fn hashed(prefix: &str, text: &str, length: usize) -> String {
    let digest = Sha512::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{hex}").chars().take(length).collect()
}

fn chain(family: Family, table: &str, name: &str) -> ChainId {
    ChainId { table: TableId::new(family, table), name: name.to_owned() }
}

fn bytes(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHAIN_NAME, hashed};

    #[test]
    fn names_are_those_that_the_reference_makes() {
        let key = "mynetabc123";
        assert_eq!(hashed("CNI-", key, CHAIN_NAME), "CNI-70a29d9dc18bc4d652ea5d59");
        assert_eq!(hashed("CNI-DN-", key, CHAIN_NAME), "CNI-DN-70a29d9dc18bc4d652ea5");
        assert_eq!(hashed("", "mynet", 16), "d23676b4f2d9fe04");
        assert_eq!(hashed("", "eth0:abc123", 16), "ebce0e3dd4dafae3");
    }
}
