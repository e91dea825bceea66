use netstate::{
    Addr, BridgePort, Datapath, Link, LinkChange, LinkKind, LinkName, LinkRef, Mac, MacVlanMode,
    Mode, Ns, Op, PeerInit, Plan, Report, Route, Scope, Step, SysctlKey,
};

use crate::testing::{in_new_host, new_container, sh, sh_in};
use crate::{Error, Kernel, Kind};

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

#[test]
fn a_bridge_attachment_stands_as_its_commands_say() {
    in_new_host(|| {
        let container = new_container();
        let mut kernel = Kernel::open(Some(&container));
        let report = kernel.apply(&attach());
        ok(&report);
        assert_eq!(report.done.len(), 9);
        assert!(report.done.iter().all(|d| d.changed || d.step.op == up("lo")));
        let link = sh("ip -d link show dev veth1");
        for part in ["mtu 1400", "master br0", "UP", "hairpin on", "isolated on", "numtxqueues 1"] {
            assert!(link.contains(part), "{part} in {link}");
        }
        assert!(link.contains("alias netd:net/c1/eth0"), "{link}");
        let inside = sh_in(&container, "ip addr; ip route; ip -6 route");
        for part in [
            "02:01:02:03:04:05",
            "inet 10.1.0.2/24 brd 10.1.0.255",
            "inet6 fd00::2/64",
            "default via 10.1.0.1 dev eth0 proto static",
            "default via fd00::1 dev eth0 proto static",
            "lo: <LOOPBACK,UP",
        ] {
            assert!(inside.contains(part), "{part} in {inside}");
        }
        assert!(!inside.contains("tentative") || inside.contains("fe80"), "{inside}");
        let eth0 = report.links.get(&at(Ns::Container, "eth0")).unwrap();
        assert!(inside.contains(&format!("{}: eth0@", eth0.index)));
        assert_eq!((eth0.mac, eth0.mtu), (Mac([2, 1, 2, 3, 4, 5]), 1400));
    });
}

#[test]
fn undo_takes_back_what_was_made() {
    in_new_host(|| {
        let container = new_container();
        let mut kernel = Kernel::open(Some(&container));
        let state = || (sh("ip link; ip addr"), sh_in(&container, "ip -o link | wc -l; ip route"));
        let before = state();
        let report = kernel.apply(&attach());
        ok(&report);
        ok(&kernel.apply(&report.undo()));
        assert_eq!(before, state());
    });
}
