//! What `netstate` plans, done for real: what was made is found as it was wanted, what was spoilt
//! is put right, and what is removed is gone.

use netstate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use netstate::{
    Addr, BridgePort, Datapath, Desired, Fdb, Link, LinkKind, LinkName, MacVlanMode, Neigh, Ns,
    Observed, Op, Plan, Route, Rule, Scope, Step, SysctlKey,
};

use super::{applied, at, name};
use crate::Kernel;
use crate::testing::{in_new_host, new_container, sh, sh_in};

fn bridged() -> Desired {
    let mut desired = Desired::default();
    let host = desired.0.ns_mut(Ns::Host);
    host.add_link(Link {
        mtu: Some(1400),
        ..Link::new(name("br0"), LinkKind::Bridge { vlan_filtering: None })
    });
    host.addrs.insert(Addr::new(name("br0"), "10.1.0.1/24".parse().unwrap()));
    host.sysctls.insert(SysctlKey::conf("ipv6", &name("br0"), "accept_ra"), "0".to_owned());
    host.add_link(Link {
        mtu: Some(1400),
        master: Some(name("br0")),
        alias: Some("netd:net/c1/eth0".to_owned()),
        port: Some(BridgePort { hairpin: Some(true), isolated: None, vlans: None }),
        ..Link::new(name("veth1"), LinkKind::Veth { peer: at(Ns::Container, "eth0") })
    });
    let id = TableId::new(Family::Inet, "t");
    let sets = vec![Set { name: "s".into(), key: vec![DataType::Ipv4Addr], data: vec![] }];
    let table =
        Table { id: id.clone(), comment: "v1".into(), sets, networks: vec![], chains: vec![] };
    host.tables.insert(id.clone(), table);
    let key = vec![Value::Ipv4([10, 1, 0, 2].into())];
    let element = Element { key, data: vec![], comment: "net/c1/eth0".to_owned() };
    host.add_element(SetId::new(&id, "s"), element);
    let inside = desired.0.ns_mut(Ns::Container);
    inside.add_link(Link::new(LinkName::lo(), LinkKind::Loopback));
    let kind = LinkKind::Veth { peer: at(Ns::Host, "veth1") };
    inside.add_link(Link { mtu: Some(1400), ..Link::new(name("eth0"), kind) });
    for net in ["10.1.0.2/24", "fd00::2/64"] {
        inside.addrs.insert(Addr::new(name("eth0"), net.parse().unwrap()));
    }
    for (dst, via) in [("0.0.0.0/0", "10.1.0.1"), ("::/0", "fd00::1")] {
        let via = Some(via.parse().unwrap());
        inside.routes.insert(Route { via, ..Route::new(dst.parse().unwrap(), name("eth0")) });
    }
    inside.sysctls.insert(SysctlKey::conf("ipv4", &name("eth0"), "arp_notify"), "1".to_owned());
    desired
}

fn macvlan() -> Desired {
    let mut desired = Desired::default();
    let inside = desired.0.ns_mut(Ns::Container);
    let parent = at(Ns::Host, "up0");
    let kind = LinkKind::MacVlan { parent, mode: MacVlanMode::Bridge, bc_queue_len: None };
    inside.add_link(Link::new(name("eth0"), kind));
    inside.addrs.insert(Addr::new(name("eth0"), "10.2.0.2/24".parse().unwrap()));
    desired
}

fn overlay() -> Desired {
    let mut desired = Desired::default();
    let host = desired.0.ns_mut(Ns::Host);
    let (link, mac) = (name("vx0"), netstate::Mac([2, 0, 0, 0, 0, 9]));
    let ip = "10.3.1.0".parse().unwrap();
    host.addrs.insert(Addr::new(link.clone(), "10.3.0.0/32".parse().unwrap()));
    host.neighs.insert(Neigh { link: link.clone(), ip, mac });
    host.fdb.insert(Fdb { link: link.clone(), mac, dst: "192.0.2.9".parse().unwrap() });
    let via = Some(ip);
    let far = Route::new("10.3.1.0/24".parse().unwrap(), link);
    host.routes.insert(Route { via, onlink: true, table: 77, ..far });
    let from = Some("10.3.0.0/16".parse().unwrap());
    host.rules.insert(Rule { priority: 90, from, to: None, table: 77 });
    desired
}

/// Makes it, looks at it, spoils it, puts it right, removes it.
fn round_trip(desired: &Desired, setup: &str, spoil: &str, spoil_inside: &str) {
    in_new_host(|| {
        let container = new_container();
        sh(setup);
        let scope = Scope::of(desired);
        let look = || Kernel::open(Some(&container)).observe(&scope).unwrap();
        let mut kernel = Kernel::open(Some(&container));
        let before = (sh(ALL), sh_in(&container, ALL));
        let all = Plan::missing(&look(), desired);
        applied(&mut kernel, &all);
        same(&look(), desired, &scope);
        sh(spoil);
        sh_in(&container, spoil_inside);
        let repair = Plan::missing(&look(), desired);
        assert!(!repair.is_empty(), "nothing was spoilt");
        kernel.forget();
        applied(&mut kernel, &repair);
        same(&look(), desired, &scope);
        applied(&mut kernel, &Plan::remove(desired));
        sh("nft flush ruleset");
        assert_eq!((sh(ALL), sh_in(&container, ALL)), before);
    });
}

/// Links by name, addresses, routes and rules, without those of `lo`. Whether a carrier is there Linux
/// finds out in its own time.
const ALL: &str = "ip -o link | grep -v LOOPBACK | \
                   sed 's/^[0-9]*: //; s/NO-CARRIER,//; s/,LOWER_UP//; s/ state [A-Z]*//'; ip -o addr show scope global; \
                   ip route show table all proto static; ip rule; ip neigh; bridge fdb show | grep dst; true";

fn same(seen: &Observed, desired: &Desired, scope: &Scope) {
    let missing = Plan::missing(seen, desired);
    assert!(missing.is_empty(), "missing:\n{missing}");
    // Only tables are known by their comment alone.
    let mut bare = desired.clone();
    for (ns, state) in desired.0.iter() {
        for (id, table) in &state.tables {
            let table = Table { sets: vec![], networks: vec![], chains: vec![], ..table.clone() };
            bare.0.ns_mut(ns.clone()).tables.insert(id.clone(), table);
        }
    }
    let between = Plan::between(seen, &bare, scope);
    assert!(between.is_empty(), "different:\n{between}");
}

#[test]
fn an_attachment_to_a_bridge_goes_round() {
    let spoil = "ip link set veth1 mtu 1300 type bridge_slave hairpin off; \
                 nft flush set inet t s; sysctl -qw net.ipv6.conf.br0.accept_ra=1";
    let inside = "ip addr del 10.1.0.2/24 dev eth0; ip -6 route del default";
    round_trip(&bridged(), "true", spoil, inside);
}

/// Setting something has no "exclusively": all may find it different.
fn is_made(step: &Step) -> bool {
    !matches!(step.op, Op::SetSysctl { .. } | Op::SetLink { .. })
}

#[test]
fn of_parallel_plans_for_shared_things_one_makes_each_and_none_fails() {
    let mut shared = Desired::default();
    let host = bridged().0.ns(&Ns::Host).cloned().unwrap();
    *shared.0.ns_mut(Ns::Host) = host;
    shared.0.ns_mut(Ns::Host).links.remove(&name("veth1"));
    for _ in 0..10 {
        in_new_host(|| {
            let start = std::sync::Barrier::new(8);
            let makers: Vec<usize> = std::thread::scope(|scope| {
                let apply = || {
                    start.wait();
                    let report = applied(&mut Kernel::open(None), &Plan::ensure(&shared));
                    let made = report.done.iter().filter(|d| d.changed);
                    made.filter(|d| is_made(&d.step)).count()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(apply)).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let wanted = Plan::ensure(&shared).steps.iter().filter(|s| is_made(s)).count();
            assert_eq!(makers.iter().sum::<usize>(), wanted);
        });
    }
}

#[test]
fn a_macvlan_goes_round() {
    let setup = "ip link add up0 type veth peer name w; ip link set up0 up; ip link set w up";
    round_trip(&macvlan(), setup, "true", "ip link set eth0 down");
}

#[test]
fn neighbours_forwarding_and_rules_go_round() {
    let setup = "ip link add vx0 type vxlan id 7 dstport 8472 local 192.0.2.1; ip link set vx0 up";
    let spoil = "ip neigh flush dev vx0 nud permanent; ip rule del priority 90; \
                 bridge fdb del 02:00:00:00:00:09 dev vx0 dst 192.0.2.9";
    round_trip(&overlay(), setup, spoil, "true");
}
