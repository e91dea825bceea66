//! Single decisions of the planner.

use std::collections::BTreeSet;

use crate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use crate::{
    Addr, Desired, Link, LinkChange, LinkKind, LinkName, LinkRef, Mode, Ns, Observed, Op, Plan,
    Route, Scope, State, SysctlKey,
};

#[test]
fn nothing_wanted_is_nothing_to_do() {
    let nothing = Desired::default();
    assert!(Plan::create(&nothing).is_empty());
    assert!(Plan::remove(&nothing).is_empty());
    assert!(Plan::missing(&Observed::default(), &nothing).is_empty());
}

#[test]
fn a_veth_is_made_once_in_the_namespace_that_sorts_first() {
    let plan = Plan::create(&Desired(veth_pair()));
    let made: Vec<&Ns> =
        plan.steps.iter().filter(|s| s.op.peer().is_some()).map(|s| &s.ns).collect();
    assert_eq!(made, [&Ns::Host]);
}

#[test]
fn a_veth_is_removed_from_the_hosts_side_alone() {
    let plan = Plan::remove(&Desired(veth_pair()));
    assert_eq!(lines(&plan), ["ip link del dev veth0"]);
    assert!(plan.steps.iter().all(|step| step.ns == Ns::Host));
}

#[test]
fn a_veth_whose_far_end_was_lost_is_made_anew() {
    let mut there = veth_pair();
    there.ns_mut(Ns::Container).links.clear();
    let plan = Plan::missing(&Observed(there), &Desired(veth_pair()));
    assert_eq!(lines(&plan)[0], "ip link del dev veth0");
    assert!(lines(&plan)[1].starts_with("ip link add name veth0"), "{plan}");
}

#[test]
fn a_physical_link_is_neither_made_nor_removed_nor_stripped() {
    let mut want = State::default();
    want.ns_mut(Ns::Host).add_link(Link { up: false, ..nic() });
    let mut there = State::default();
    there.ns_mut(Ns::Host).add_link(Link { promisc: true, master: Some(name("br0")), ..nic() });
    let want = Desired(want);
    assert!(Plan::between(&Observed(there), &want, &Scope::of(&want)).is_empty());
    assert!(Plan::create(&want).is_empty());
    assert!(Plan::remove(&want).is_empty());
}

#[test]
fn a_link_that_is_only_mentioned_keeps_what_others_gave_it() {
    let mut there = State::default();
    let host = there.ns_mut(Ns::Host);
    host.add_link(bridge("docker0"));
    host.addrs.insert(Addr::new(name("docker0"), net("172.17.0.1/16")));
    host.routes.insert(Route::new(net("172.30.0.0/16"), name("docker0")));
    let mut want = State::default();
    want.ns_mut(Ns::Host).routes.insert(Route::new(net("10.9.0.0/16"), name("docker0")));
    let want = Desired(want);
    let plan = Plan::between(&Observed(there), &want, &Scope::of(&want));
    assert_eq!(lines(&plan), ["ip route add 10.9.0.0/16 dev docker0 proto static scope global"]);
}

#[test]
fn what_the_kernel_made_by_itself_stays() {
    let mut there = State::default();
    let host = there.ns_mut(Ns::Host);
    host.add_link(bridge("br0"));
    host.addrs.insert(Addr::new(name("br0"), net("fe80::1/64")));
    let connected = Route { protocol: 2, ..Route::new(net("10.1.0.0/24"), name("br0")) };
    host.routes.insert(connected);
    host.routes.insert(Route { protocol: 9, ..Route::new(net("::/0"), name("br0")) });
    let mut want = State::default();
    want.ns_mut(Ns::Host).add_link(bridge("br0"));
    let want = Desired(want);
    assert!(Plan::between(&Observed(there), &want, &Scope::of(&want)).is_empty());
}

#[test]
fn routes_of_our_protocol_are_removed_wherever_they_are() {
    let mut there = State::default();
    let host = there.ns_mut(Ns::Host);
    host.routes.insert(Route { protocol: 77, ..Route::new(net("10.9.0.0/16"), name("eno1")) });
    host.routes.insert(Route::new(net("10.8.0.0/16"), name("eno1")));
    let scope = Scope { route_protocol: Some(77), ..Scope::default() };
    let plan = Plan::between(&Observed(there), &Desired::default(), &scope);
    assert_eq!(lines(&plan), ["ip route del 10.9.0.0/16 dev eno1 proto 77 scope global"]);
}

#[test]
fn a_claim_of_another_owner_is_never_removed() {
    let want = Desired(with_element("ours"));
    let there = Observed(with_element("theirs"));
    for plan in [
        Plan::between(&there, &want, &Scope::of(&want)),
        Plan::missing(&there, &want),
        Plan::between(&there, &Desired::default(), &claims_of(&want)),
    ] {
        assert!(plan.steps.iter().all(|step| !step.op.is_removal()), "{plan}");
    }
}

#[test]
fn an_element_of_ours_with_other_data_is_replaced() {
    let want = Desired(with_element("ours"));
    let mut there = with_element("ours");
    for set in there.ns_mut(Ns::Host).elements.values_mut() {
        *set = set
            .iter()
            .map(|e| Element { data: vec![Value::Port(9)], ..Element::clone(e) }.into())
            .collect::<BTreeSet<_>>();
    }
    let plan = Plan::between(&Observed(there), &want, &Scope::of(&want));
    assert_eq!(
        lines(&plan),
        [
            "nft delete element inet netd ports '{ tcp }'",
            "nft add element inet netd ports '{ tcp comment \"ours\" : 80 }'",
        ]
    );
}

#[test]
fn a_table_of_another_version_is_left_to_who_makes_tables() {
    let want = Desired(with_element("ours"));
    let mut there = with_element("ours");
    for table in there.ns_mut(Ns::Host).tables.values_mut() {
        table.comment = "schema 0".to_owned();
    }
    let plan = Plan::between(&Observed(there), &want, &Scope::of(&want));
    let [step] = plan.steps.as_slice() else { panic!("{plan}") };
    assert!(matches!(step.op, Op::AddTable(_)) && step.mode == Mode::Ensure, "{plan}");
}

#[test]
fn missing_minds_neither_being_up_nor_extras() {
    let mut want = State::default();
    want.ns_mut(Ns::Host).add_link(Link { up: false, ..bridge("br0") });
    let mut there = State::default();
    let host = there.ns_mut(Ns::Host);
    host.add_link(Link {
        promisc: true,
        alias: Some("someone".to_owned()),
        mtu: Some(9000),
        ..bridge("br0")
    });
    host.addrs.insert(Addr::new(name("br0"), net("10.7.0.1/24")));
    host.add_link(bridge("br1"));
    assert!(Plan::missing(&Observed(there), &Desired(want)).is_empty());
}

#[test]
fn addresses_come_before_up_and_sysctls_before_addresses() {
    let mut want = State::default();
    let host = want.ns_mut(Ns::Host);
    host.add_link(bridge("br0"));
    host.addrs.insert(Addr::new(name("br0"), net("fd00::1/64")));
    let key = SysctlKey::conf("ipv6", &name("br0"), "accept_dad");
    host.sysctls.insert(key.clone(), "0".to_owned());
    let plan = Plan::create(&Desired(want));
    assert_eq!(
        lines(&plan),
        [
            "ip link add name br0 type bridge",
            "sysctl -qw net/ipv6/conf/br0/accept_dad=0",
            "ip addr add fd00::1/64 dev br0 nodad",
            "ip link set dev br0 up",
        ]
    );
}

#[test]
fn a_default_for_links_is_written_before_there_are_links() {
    let mut want = veth_pair();
    let key = SysctlKey::fixed("net/ipv6/conf/default/accept_ra");
    want.ns_mut(Ns::Container).sysctls.insert(key, "0".to_owned());
    let plan = Plan::create(&Desired(want));
    assert!(matches!(plan.steps[0].op, Op::SetSysctl { .. }), "{plan}");
}

#[test]
fn an_ipv6_address_with_another_prefix_length_is_replaced() {
    let with = |text: &str| {
        let mut state = State::default();
        state.ns_mut(Ns::Host).add_link(bridge("br0"));
        state.ns_mut(Ns::Host).addrs.insert(Addr::new(name("br0"), net(text)));
        state
    };
    let plan = Plan::missing(&Observed(with("fd00::1/128")), &Desired(with("fd00::1/64")));
    assert_eq!(
        lines(&plan),
        ["ip addr del fd00::1/128 dev br0", "ip addr add fd00::1/64 dev br0 nodad"]
    );
}

#[test]
fn secondary_addresses_that_may_go_with_their_primary_are_added_again() {
    let mut there = State::default();
    let host = there.ns_mut(Ns::Host);
    host.add_link(bridge("br0"));
    host.addrs.insert(Addr::new(name("br0"), net("10.1.0.1/24")));
    host.addrs.insert(Addr::new(name("br0"), net("10.1.0.2/24")));
    let mut want = there.clone();
    want.ns_mut(Ns::Host).addrs.remove(&Addr::new(name("br0"), net("10.1.0.1/24")));
    let want = Desired(want);
    let plan = Plan::between(&Observed(there), &want, &Scope::of(&want));
    assert_eq!(
        lines(&plan),
        ["ip addr del 10.1.0.1/24 dev br0", "ip addr add 10.1.0.2/24 brd + dev br0"]
    );
    assert_eq!(plan.steps[1].mode, Mode::Ensure);
}

#[test]
fn the_kernels_default_metric_is_no_difference() {
    let with = |metric| {
        let mut state = State::default();
        let host = state.ns_mut(Ns::Host);
        host.add_link(bridge("br0"));
        host.routes.insert(Route { metric, ..Route::new(net("fd09::/32"), name("br0")) });
        state
    };
    let want = Desired(with(None));
    let plan = Plan::between(&Observed(with(Some(1024))), &want, &Scope::of(&want));
    assert!(plan.is_empty(), "{plan}");
}

#[test]
fn changes_say_up_last_and_mtu_before_master() {
    let there = Link { up: false, mtu: Some(1000), ..bridge("x") };
    let want = Link { mtu: Some(1500), master: Some(name("br0")), ..bridge("x") };
    assert_eq!(
        there.changes_to(&want),
        [LinkChange::Mtu(1500), LinkChange::Master(Some(name("br0"))), LinkChange::Up(true),]
    );
}

/// The commands without their namespaces.
fn lines(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.op.to_string()).collect()
}

fn claims_of(want: &Desired) -> Scope {
    Scope { tables: BTreeSet::new(), ..Scope::of(want) }
}

fn with_element(owner: &str) -> State {
    let id = TableId::new(Family::Inet, "netd");
    let set = Set {
        name: "ports".to_owned(),
        key: vec![DataType::InetProto],
        data: vec![DataType::InetService],
    };
    let element = Element {
        key: vec![Value::Proto(6)],
        data: vec![Value::Port(80)],
        comment: owner.to_owned(),
    };
    let mut state = State::default();
    let host = state.ns_mut(Ns::Host);
    host.add_element(SetId::new(&id, "ports"), element);
    let comment = "schema 1".to_owned();
    host.tables.insert(
        id.clone(),
        Table { id, comment, sets: vec![set], networks: vec![], chains: Vec::new() },
    );
    state
}

fn veth_pair() -> State {
    let mut state = State::default();
    let end = |link: &str, ns, peer: &str| {
        Link::new(name(link), LinkKind::Veth { peer: LinkRef { ns, name: name(peer) } })
    };
    state.ns_mut(Ns::Host).add_link(end("veth0", Ns::Container, "eth0"));
    state.ns_mut(Ns::Container).add_link(end("eth0", Ns::Host, "veth0"));
    state.ns_mut(Ns::Container).addrs.insert(Addr::new(name("eth0"), net("10.1.0.2/24")));
    state
}

fn bridge(link: &str) -> Link {
    Link::new(name(link), LinkKind::Bridge { vlan_filtering: None })
}

fn nic() -> Link {
    Link::new(name("eno1"), LinkKind::Other(String::new()))
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn net(text: &str) -> ipnetwork::IpNetwork {
    text.parse().unwrap()
}
