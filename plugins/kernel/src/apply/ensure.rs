//! Whether what is there already is what was asked for.

use netstate::{Addr, Link, LinkKind, Ns, Op, Route, Step};

use crate::Kernel;
use crate::error::{Error, Kind};

/// Reads the object that is in the way of a step.
///
/// # Errors
/// Of kind [`Kind::Exists`], naming both, where it differs.
pub(super) fn same(kernel: &mut Kernel, step: &Step) -> Result<(), Error> {
    match &step.op {
        Op::AddLink { link, .. } => same_link(kernel, step, link),
        Op::AddAddr(addr) => same_addr(kernel, step, addr),
        Op::AddRoute(route) => same_route(kernel, step, route),
        Op::AddNeigh(neigh) => {
            let there = on(kernel, &step.ns, &neigh.link, Kernel::neighs_on)?;
            let rivals = there.iter().filter(|n| n.ip == neigh.ip);
            verdict(step, there.contains(neigh), rivals.map(|n| n.mac.to_string()))
        }
        Op::AddFdb(fdb) => {
            let there = on(kernel, &step.ns, &fdb.link, Kernel::fdb_on)?;
            let rivals = there.iter().filter(|f| f.mac == fdb.mac);
            verdict(step, there.contains(fdb), rivals.map(|f| f.dst.to_string()))
        }
        // The kernel compares all of a rule (`rule_exists()`, `net/core/fib_rules.c`).
        Op::AddRule(_) => Ok(()),
        // nf_tables steps are compared where their transaction is made.
        Op::SetLink { .. }
        | Op::DelLink(_)
        | Op::DelAddr(_)
        | Op::DelRoute(_)
        | Op::DelNeigh(_)
        | Op::DelFdb(_)
        | Op::AddWgPeer(_)
        | Op::DelWgPeer(_)
        | Op::DelRule(_)
        | Op::SetSysctl { .. }
        | Op::AddTable(_)
        | Op::DelTable(_)
        | Op::AddChain { .. }
        | Op::AddSet { .. }
        | Op::InsertRule { .. }
        | Op::DelRuleOf { .. }
        | Op::FlushChain(_)
        | Op::AddElement { .. }
        | Op::DelElement { .. } => verdict(step, false, std::iter::empty()),
    }
}

fn same_link(kernel: &mut Kernel, step: &Step, wanted: &Link) -> Result<(), Error> {
    let there = kernel.link_by_name(&step.ns, &wanted.name)?;
    let same = there.as_ref().is_some_and(|there| match (&wanted.kind, &there.link.kind) {
        (LinkKind::Bridge { .. }, LinkKind::Bridge { .. }) => true,
        (LinkKind::Veth { peer: a }, LinkKind::Veth { peer: b }) => a == b,
        (
            LinkKind::MacVlan { parent: a, mode: m, .. },
            LinkKind::MacVlan { parent: b, mode: n, .. },
        ) => a == b && m == n,
        (a, b) => a == b,
    });
    let kind = there.map(|there| format!("a link of kind {}", kind_word(&there.link.kind)));
    verdict(step, same, kind.into_iter())
}

/// An IPv4 address clashes only with the same address and prefix; an IPv6 address with the same
/// address of any prefix.
fn same_addr(kernel: &mut Kernel, step: &Step, wanted: &Addr) -> Result<(), Error> {
    let there = on(kernel, &step.ns, &wanted.link, Kernel::addrs_on)?;
    let same = there.iter().any(|a| a.net == wanted.net);
    let rivals = there.iter().filter(|a| a.net.ip() == wanted.net.ip());
    verdict(step, same, rivals.map(|a| a.net.to_string()))
}

fn same_route(kernel: &mut Kernel, step: &Step, wanted: &Route) -> Result<(), Error> {
    let there = kernel.routes_to(&step.ns, wanted.dst, wanted.table)?;
    let rivals: Vec<&Route> = there.iter().filter(|r| r.metric == wanted.metric).collect();
    let same = rivals.iter().any(|r| {
        let dev = if wanted.dev.is_none() { None } else { r.dev.clone() };
        // Who made it does not matter.
        Route { dev, protocol: wanted.protocol, ..(*r).clone() } == *wanted
    });
    verdict(step, same, rivals.into_iter().map(describe))
}

/// The error that a route cannot be put where another is.
pub(super) fn route_in_the_way(step: &Step, there: &[Route]) -> Error {
    let there: Vec<String> = there.iter().map(describe).collect();
    in_the_way(step, &there)
}

fn describe(route: &Route) -> String {
    let kind = route.kind.word().map(|word| format!("{word} ")).unwrap_or_default();
    let via = route.via.map(|ip| format!(" via {ip}")).unwrap_or_default();
    let dev = route.dev.as_ref().map(|d| format!(" dev {d}")).unwrap_or_default();
    format!("{kind}{}{via}{dev}", route.dst)
}

fn on<T>(
    kernel: &mut Kernel,
    ns: &Ns,
    link: &netstate::LinkName,
    read: impl FnOnce(&mut Kernel, &Ns, &netstate::LinkName, u32) -> Result<Vec<T>, Error>,
) -> Result<Vec<T>, Error> {
    match kernel.index(ns, link)? {
        Some(index) => read(kernel, ns, link, index),
        None => Ok(Vec::new()),
    }
}

/// Same, or an error that says what is there instead.
fn verdict(step: &Step, same: bool, there: impl Iterator<Item = String>) -> Result<(), Error> {
    if same {
        return Ok(());
    }
    Err(in_the_way(step, &there.collect::<Vec<_>>()))
}

fn in_the_way(step: &Step, there: &[String]) -> Error {
    let what = if there.is_empty() { "something else".to_owned() } else { there.join(", ") };
    Error::found(step.to_string(), Kind::Exists, format!("there is already {what}"))
}

fn kind_word(kind: &LinkKind) -> &str {
    match kind {
        LinkKind::Loopback => "loopback",
        LinkKind::Bridge { .. } => "bridge",
        LinkKind::Veth { .. } => "veth",
        LinkKind::MacVlan { .. } => "macvlan",
        LinkKind::IpVlan(_) => "ipvlan",
        LinkKind::Vlan { .. } => "vlan",
        LinkKind::Vxlan(_) => "vxlan",
        LinkKind::Ipip(_) => "ipip",
        LinkKind::WireGuard(_) => "wireguard",
        LinkKind::Other(word) if word.is_empty() => "physical",
        LinkKind::Other(word) => word,
    }
}
