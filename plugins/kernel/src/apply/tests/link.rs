use netstate::{
    Datapath, Link, LinkChange, LinkKind, Mac, MacVlanMode, Mode, Ns, Op, Scope, VlanRange,
};

use super::{addr, applied, at, attach, bridge, changed, failure, name, plan, up, veth};
use crate::testing::{in_new_host, new_container, sh, sh_in};
use crate::{Kernel, Kind};

#[test]
fn a_bridge_attachment_stands_as_its_commands_say() {
    in_new_host(|| {
        let container = new_container();
        let mut kernel = Kernel::open(Some(&container));
        let report = applied(&mut kernel, &attach());
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
        let report = applied(&mut kernel, &attach());
        applied(&mut kernel, &report.undo());
        assert_eq!(before, state());
    });
}

#[test]
fn what_is_shared_and_there_already_is_left_alone() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let shared = plan([
            (Ns::Host, Mode::Ensure, bridge("br0")),
            (Ns::Host, Mode::Ensure, addr("br0", "10.1.0.1/24")),
            (Ns::Host, Mode::Ensure, addr("br0", "fd00::1/64")),
        ]);
        assert_eq!(changed(&applied(&mut kernel, &shared)), [true; 3]);
        let before = sh("ip addr show dev br0");
        let again = applied(&mut Kernel::open(None), &shared);
        assert_eq!(changed(&again), [false; 3]);
        assert!(again.undo().is_empty());
        assert_eq!(sh("ip addr show dev br0"), before);
    });
}

#[test]
fn a_link_of_another_kind_is_an_error_that_names_both() {
    in_new_host(|| {
        sh("ip link add br0 type veth peer name other");
        let report = Kernel::open(None).apply(&plan([(Ns::Host, Mode::Ensure, bridge("br0"))]));
        let error = failure(report);
        assert_eq!(error.kind(), Kind::Exists);
        assert!(error.to_string().starts_with("ip link add name br0"), "{error}");
        assert!(error.to_string().ends_with("there is already a link of kind veth"), "{error}");
    });
}

#[test]
fn an_ipv6_address_with_another_prefix_is_an_error_that_names_both() {
    in_new_host(|| {
        sh("ip link add br0 type bridge; ip addr add fd00::1/48 dev br0 nodad");
        let wanted = (Ns::Host, Mode::Ensure, addr("br0", "fd00::1/64"));
        let error = failure(Kernel::open(None).apply(&plan([wanted])));
        assert_eq!(error.kind(), Kind::Exists);
        assert!(error.to_string().ends_with("there is already fd00::1/48"), "{error}");
    });
}

#[test]
fn a_name_that_is_taken_stops_the_plan_and_touches_nothing() {
    in_new_host(|| {
        let container = new_container();
        sh("ip link add br0 type bridge; ip link add veth1 type veth peer name x alias theirs");
        let before = (sh("ip -d addr"), sh_in(&container, "ip -d addr"));
        let steps = [
            (Ns::Host, Mode::Fresh, veth(None)),
            (Ns::Host, Mode::Fresh, up("veth1")),
            (Ns::Container, Mode::Fresh, up("lo")),
        ];
        let report = Kernel::open(Some(&container)).apply(&plan(steps));
        assert!(report.done.is_empty());
        assert_eq!(failure(report).kind(), Kind::Exists);
        assert_eq!((sh("ip -d addr"), sh_in(&container, "ip -d addr")), before);
    });
}

fn macvlan(mode: MacVlanMode) -> Op {
    let parent = at(Ns::Host, "eth0");
    let kind = LinkKind::MacVlan { parent, mode, bc_queue_len: Some(2000) };
    Op::AddLink { link: Link { mtu: Some(1400), ..Link::new(name("eth0"), kind) }, peer: None }
}

#[test]
fn a_macvlan_is_born_in_the_container_though_the_host_has_a_link_of_its_name() {
    in_new_host(|| {
        let container = new_container();
        sh("ip link add eth0 type veth peer name wire; ip link set eth0 up; ip link set wire up");
        let host = sh("ip -d link show dev eth0");
        let mut kernel = Kernel::open(Some(&container));
        for mode in
            [MacVlanMode::Bridge, MacVlanMode::Private, MacVlanMode::Vepa, MacVlanMode::Passthru]
        {
            let steps = [(Ns::Container, Mode::Fresh, macvlan(mode))];
            let report = applied(&mut kernel, &plan(steps.clone()));
            let facts = report.links.get(&at(Ns::Container, "eth0")).unwrap();
            let there = sh_in(&container, "ip -d link show dev eth0");
            let word = format!("{mode:?}").to_lowercase();
            for part in [format!("macvlan mode {word}"), "mtu 1400".into(), ",UP".into()] {
                assert!(there.contains(&part), "{part} in {there}");
            }
            assert!(there.starts_with(&format!("{}: eth0", facts.index)), "{there}");
            assert!(there.contains(&facts.mac.to_string()), "{} in {there}", facts.mac);
            let mut scope = Scope::default();
            scope.links.insert(at(Ns::Container, "eth0"));
            let observed = kernel.observe(&scope).unwrap();
            let seen = &observed.0.ns(&Ns::Container).unwrap().links[&name("eth0")];
            let Op::AddLink { link, .. } = macvlan(mode) else { unreachable!() };
            let mut kind = link.kind;
            if let LinkKind::MacVlan { bc_queue_len: None, .. } = seen.kind
                && let LinkKind::MacVlan { bc_queue_len, .. } = &mut kind
            {
                *bc_queue_len = None; // kernels before 5.11 have no such length
            }
            assert_eq!((&seen.kind, seen.up), (&kind, true));
            if mode != MacVlanMode::Passthru {
                // A second of its name in the same container; of that mode there can be only one.
                assert_eq!(failure(kernel.apply(&plan(steps))).kind(), Kind::Exists);
            }
            applied(&mut kernel, &report.undo());
            assert!(!sh_in(&container, "ip link").contains("eth0"));
        }
        assert!(sh("ip -d link show dev eth0").contains(host.lines().nth(1).unwrap()));
    });
}

#[test]
fn changes_are_made_as_asked() {
    in_new_host(|| {
        sh("ip link add br0 type bridge; ip link add v0 type veth peer name v1");
        let mac = Mac([2, 9, 9, 9, 9, 9]);
        let set = |changes: Vec<LinkChange>| {
            let op = Op::SetLink { name: name("v0"), changes };
            applied(&mut Kernel::open(None), &plan([(Ns::Host, Mode::Fresh, op)]));
            sh("ip -d link show dev v0")
        };
        use LinkChange::{Alias, Hairpin, Isolated, Mac as SetMac, Master, Mtu, Promisc, Up};
        let all = vec![
            Hairpin(true),
            Isolated(true),
            Master(Some(name("br0"))),
            Mtu(1300),
            SetMac(mac),
            Promisc(true),
            Alias("mine".to_owned()),
            Up(true),
        ];
        let text = set(all);
        for part in [
            "master br0",
            "mtu 1300",
            "02:09:09:09:09:09",
            "PROMISC",
            "alias mine",
            "hairpin on",
            "isolated on",
            ",UP",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = set(vec![Up(false), Promisc(false), Hairpin(false)]);
        assert!(text.contains("hairpin off") && !text.contains("PROMISC"), "{text}");
        assert!(!set(vec![Master(None)]).contains("master"));
    });
}

#[test]
fn observing_says_what_was_made() {
    in_new_host(|| {
        let container = new_container();
        let mut kernel = Kernel::open(Some(&container));
        applied(&mut kernel, &attach());
        let mut scope = Scope { routes: true, ..Scope::default() };
        let links = [at(Ns::Host, "br0"), at(Ns::Host, "veth1"), at(Ns::Container, "eth0")];
        scope.links.extend(links);
        scope.links.insert(at(Ns::Host, "missing"));
        let observed = Kernel::open(Some(&container)).observe(&scope).unwrap();
        let (host, inside) =
            (observed.0.ns(&Ns::Host).unwrap(), observed.0.ns(&Ns::Container).unwrap());
        for step in attach().steps {
            let state = if step.ns == Ns::Host { host } else { inside };
            if let Op::AddLink { link, .. } = &step.op {
                same_link(&state.links[&link.name], link);
            } else if let Op::AddAddr(addr) = &step.op {
                assert!(state.addrs.contains(addr), "{addr:?}");
            } else if let Op::AddRoute(route) = &step.op {
                assert!(state.routes.contains(route), "{route:?}");
            }
        }
        assert_eq!(host.links.len(), 2);
        assert_eq!((host.addrs.len(), inside.addrs.len(), inside.routes.len()), (1, 2, 2));
        let LinkKind::Veth { peer } = &inside.links[&name("eth0")].kind else { panic!() };
        assert_eq!(*peer, at(Ns::Host, "veth1"));
    });
}

#[test]
fn a_link_tells_what_the_model_leaves_out() {
    in_new_host(|| {
        sh("ip link add v0 type veth peer name v1; ip link set v0 alias netd:a/b/c");
        let mut kernel = Kernel::open(None);
        let v0 = kernel.link_by_name(&Ns::Host, &name("v0")).unwrap().unwrap();
        assert_eq!(v0.operstate, "down");
        assert_eq!(v0.link.kind, LinkKind::Veth { peer: at(Ns::Host, "v1") });
        let text = sh("ip link show dev v0");
        assert!(text.starts_with(&format!("{}:", v0.index)));
        assert!(text.contains(&v0.link.mac.unwrap().to_string()));
        assert_eq!(kernel.link_by_name(&Ns::Host, &name("none")).unwrap(), None);
        assert_eq!(kernel.links_by_alias_prefix(&Ns::Host, "netd:").unwrap(), vec![v0]);
        let lo = kernel.link_by_name(&Ns::Host, &name("lo")).unwrap().unwrap();
        assert_eq!((lo.link.kind, lo.index), (LinkKind::Loopback, 1));
    });
}

fn same_link(seen: &Link, made: &Link) {
    if let LinkKind::Bridge { .. } = made.kind {
        assert!(matches!(seen.kind, LinkKind::Bridge { .. }));
    } else {
        assert_eq!((&seen.kind, &seen.port), (&made.kind, &made.port));
    }
    assert_eq!((&seen.master, &seen.alias, seen.up), (&made.master, &made.alias, true));
}

#[test]
fn vlans_of_a_port_are_set_and_seen_where_the_kernel_sorts_by_them() {
    in_new_host(|| {
        let kind = LinkKind::Bridge { vlan_filtering: Some(true) };
        let bridge = Op::AddLink { link: Link::new(name("br0"), kind.clone()), peer: None };
        let mut kernel = Kernel::open(None);
        let report = kernel.apply(&plan([(Ns::Host, Mode::Ensure, bridge)]));
        if sh("ip link add br1 type bridge vlan_filtering 1 || echo lacks").contains("lacks") {
            // CONFIG_BRIDGE_VLAN_FILTERING is off: then it must say so, and leave nothing.
            assert_eq!(failure(report).kind(), Kind::Unsupported);
            assert!(!sh("ip link").contains("br0"));
            return;
        }
        super::ok(&report);
        let range = |first, last, pvid| VlanRange { first, last, pvid, untagged: pvid };
        sh("ip link add v0 type veth peer name v1");
        let changes = vec![
            LinkChange::Master(Some(name("br0"))),
            LinkChange::DelVlan(range(1, 1, true)),
            LinkChange::AddVlan(range(5, 5, true)),
            LinkChange::AddVlan(range(10, 20, false)),
            LinkChange::AddVlan(range(30, 30, false)),
        ];
        let set = Op::SetLink { name: name("v0"), changes };
        applied(&mut kernel, &plan([(Ns::Host, Mode::Fresh, set)]));
        let v0 = kernel.link_by_name(&Ns::Host, &name("v0")).unwrap().unwrap().link;
        let wanted = vec![range(5, 5, true), range(10, 20, false), range(30, 30, false)];
        assert_eq!(v0.port.unwrap().vlans, Some(wanted));
        let text = sh("bridge vlan show dev v0");
        assert!(text.contains("5 PVID Egress Untagged") && text.contains("20"), "{text}");
        let del = vec![LinkChange::DelVlan(range(12, 20, false))];
        let set = Op::SetLink { name: name("v0"), changes: del };
        applied(&mut kernel, &plan([(Ns::Host, Mode::Fresh, set)]));
        let v0 = kernel.link_by_name(&Ns::Host, &name("v0")).unwrap().unwrap().link;
        let wanted = vec![range(5, 5, true), range(10, 11, false), range(30, 30, false)];
        assert_eq!(v0.port.unwrap().vlans, Some(wanted));
        let br0 = kernel.link_by_name(&Ns::Host, &name("br0")).unwrap().unwrap().link;
        assert_eq!(br0.kind, kind);
    });
}
