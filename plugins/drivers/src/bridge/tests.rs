//! What is missing of a bridge, and what is in the way.

use netstate::{Addr, Link, LinkKind, LinkName, Mac, Ns, Observed};

use super::{BRIDGE_ALIAS, Bridge, BridgeError, VlanGateway};

fn name(text: &str) -> LinkName {
    LinkName::new(text).expect("name")
}

fn bridge(gateways: &[&str]) -> Bridge {
    Bridge {
        name: name("cni0"),
        mtu: None,
        new_mac: Mac([2, 0, 0, 0, 0, 1]),
        promisc: false,
        vlan_filtering: false,
        gateways: gateways.iter().map(|g| g.parse().expect("network")).collect(),
        gateway_vlan: None,
        force_address: false,
    }
}

/// A host with `cni0` of this kind, up, with these addresses.
fn host(kind: LinkKind, alias: Option<&str>, addrs: &[&str]) -> Observed {
    let mut observed = Observed::default();
    let host = observed.0.ns_mut(Ns::Host);
    host.add_link(Link {
        up: true,
        mac: Some(Mac([2, 0, 0, 0, 0, 9])),
        alias: alias.map(str::to_owned),
        ..Link::new(name("cni0"), kind)
    });
    host.addrs.extend(addrs.iter().map(|a| Addr::new(name("cni0"), a.parse().expect("network"))));
    observed
}

fn commands(bridge: &Bridge, observed: &Observed) -> Vec<String> {
    let plan = bridge.ensure(observed).expect("a plan");
    plan.steps.iter().map(|s| s.command(&netstate::NsNames::default())).collect()
}

const BRIDGE: LinkKind = LinkKind::Bridge { vlan_filtering: Some(false) };

#[test]
fn a_gateway_takes_no_routes_from_a_bridge_that_was_there_and_keeps_its_address() {
    let commands = commands(&bridge(&["10.1.0.1/24"]), &host(BRIDGE, None, &[]));
    assert_eq!(
        commands,
        [
            "ip link set dev cni0 address 02:00:00:00:00:09 alias netd:bridge",
            "sysctl -eqw net/ipv6/conf/cni0/accept_ra=0 || true",
            "ip addr add 10.1.0.1/24 brd + dev cni0",
        ]
    );
}

#[test]
fn a_bridge_that_was_there_and_needs_no_gateway_is_left_alone() {
    assert!(commands(&bridge(&[]), &host(BRIDGE, None, &[])).is_empty());
}

#[test]
fn a_new_bridge_detects_no_duplicates_only_where_it_is_an_ipv6_gateway() {
    let detects = |gateways: &[&str], vlan: Option<VlanGateway>| {
        let new = Bridge { gateway_vlan: vlan, ..bridge(gateways) };
        let commands = commands(&new, &Observed::default());
        commands.into_iter().filter(|c| c.contains("accept_dad")).collect::<Vec<_>>()
    };
    assert!(detects(&[], None).is_empty());
    assert!(detects(&["10.1.0.1/24"], None).is_empty());
    assert_eq!(
        detects(&["10.1.0.1/24", "fd00:1::1/64"], None),
        ["sysctl -eqw net/ipv6/conf/cni0/accept_dad=0 || true"]
    );
    let vlan = VlanGateway { name: name("cni0.5"), port: name("veth5"), vlan: 5 };
    assert_eq!(
        detects(&["fd00:1::1/64"], Some(vlan)),
        ["sysctl -eqw net/ipv6/conf/cni0.5/accept_dad=0 || true"]
    );
}

#[test]
fn a_bridge_of_ours_costs_nothing_the_second_time() {
    let there = host(BRIDGE, Some(BRIDGE_ALIAS), &["10.1.0.1/24"]);
    assert!(commands(&bridge(&["10.1.0.1/24"]), &there).is_empty());
}

#[test]
fn another_kind_of_link_and_another_address_are_in_the_way() {
    let other = host(LinkKind::Other("dummy".to_owned()), None, &[]);
    assert!(matches!(bridge(&[]).ensure(&other), Err(BridgeError::NotABridge { .. })));
    let taken = host(BRIDGE, None, &["10.9.0.1/24"]);
    let wanted = bridge(&["10.1.0.1/24"]);
    assert!(matches!(wanted.ensure(&taken), Err(BridgeError::OtherAddress { .. })));
    let forced = Bridge { force_address: true, ..wanted };
    let commands = commands(&forced, &taken);
    assert!(commands.contains(&"ip addr del 10.9.0.1/24 dev cni0".to_owned()), "{commands:?}");
}

#[test]
fn a_second_ipv6_network_is_not_in_the_way_and_an_overlapping_one_is() {
    let there = host(BRIDGE, Some(BRIDGE_ALIAS), &["fd00:1::1/64", "fe80::1/64"]);
    assert_eq!(
        commands(&bridge(&["fd00:2::1/64"]), &there),
        ["ip addr add fd00:2::1/64 dev cni0 nodad"]
    );
    assert!(bridge(&["fd00:1::2/48"]).ensure(&there).is_err());
}
