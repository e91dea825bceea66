//! Plans against the real kernel, in namespaces of their own.

mod fail;
mod features;
mod group;
mod link;
mod nft;
mod plans;
mod route;
mod sysctl;

use netstate::{
    Addr, BridgePort, Datapath, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, Mode, Ns, Op,
    PeerInit, Plan, Report, Route, Step,
};

use crate::{Error, Kernel};

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn at(ns: Ns, text: &str) -> LinkRef {
    LinkRef { ns, name: name(text) }
}

fn bridge(text: &str) -> Op {
    let link = Link {
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        alias: Some("netd:bridge".to_owned()),
        ..Link::new(name(text), LinkKind::Bridge { vlan_filtering: None })
    };
    Op::AddLink { link, peer: None }
}

fn veth(mac: Option<Mac>) -> Op {
    let peer = at(Ns::Container, "eth0");
    let link = Link {
        mtu: Some(1400),
        master: Some(name("br0")),
        alias: Some("netd:net/c1/eth0".to_owned()),
        port: Some(BridgePort { hairpin: Some(true), isolated: Some(true), vlans: None }),
        ..Link::new(name("veth1"), LinkKind::Veth { peer: peer.clone() })
    };
    Op::AddLink { link, peer: Some(PeerInit { link: peer, mac, mtu: Some(1400) }) }
}

fn up(link: &str) -> Op {
    Op::SetLink { name: name(link), changes: vec![LinkChange::Up(true)] }
}

fn addr(link: &str, net: &str) -> Op {
    Op::AddAddr(Addr::new(name(link), net.parse().unwrap()))
}

fn route(link: &str, dst: &str, via: &str) -> Op {
    let via = Some(via.parse().unwrap());
    Op::AddRoute(Route { via, ..Route::new(dst.parse().unwrap(), name(link)) })
}

fn plan(steps: impl IntoIterator<Item = (Ns, Mode, Op)>) -> Plan {
    Plan { steps: steps.into_iter().map(|(ns, mode, op)| Step { ns, mode, op }).collect() }
}

fn attach() -> Plan {
    use Mode::{Ensure, Fresh};
    plan([
        (Ns::Host, Ensure, bridge("br0")),
        (Ns::Host, Ensure, addr("br0", "10.1.0.1/24")),
        (Ns::Host, Fresh, veth(Some(Mac([2, 1, 2, 3, 4, 5])))),
        (Ns::Container, Ensure, up("lo")),
        (Ns::Container, Fresh, up("eth0")),
        (Ns::Container, Fresh, addr("eth0", "10.1.0.2/24")),
        (Ns::Container, Fresh, addr("eth0", "fd00::2/64")),
        (Ns::Container, Fresh, route("eth0", "0.0.0.0/0", "10.1.0.1")),
        (Ns::Container, Fresh, route("eth0", "::/0", "fd00::1")),
    ])
}

fn ok(report: &Report<Error>) {
    if let Some((step, error)) = &report.failed {
        panic!("{step}: {error} ({:?})", error.errno());
    }
}

fn failure(report: Report<Error>) -> Error {
    report.failed.expect("the plan fails").1
}

/// Applies a plan that must work.
fn applied(kernel: &mut Kernel, plan: &Plan) -> Report<Error> {
    let report = kernel.apply(plan);
    ok(&report);
    report
}

fn changed(report: &Report<Error>) -> Vec<bool> {
    report.done.iter().map(|d| d.changed).collect()
}
