//! What the host has of networks without a bridge.

use netstate::LinkKind;

use super::host::{Host, option, subnet};
use crate::network::*;

fn on(driver: &str, parent: &str, more: &[(&str, &str)]) -> CreateRequest {
    let mut request = option(driver, "parent", parent);
    let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    request.options.extend(more);
    request
}

fn named(name: &str, request: CreateRequest) -> CreateRequest {
    CreateRequest { name: name.to_owned(), ..request }
}

fn standings(network: &Network) -> Vec<(String, LinkKind)> {
    let device = Device::of(network).unwrap();
    let standings = device.into_iter().flat_map(|device| device.standings);
    standings.map(|standing| (standing.name.to_string(), standing.kind)).collect()
}

#[test]
fn a_parent_that_is_there_is_left_alone_and_a_sub_interface_that_is_not_is_made_for_all_networks_on_it()
 {
    let mut host = Host::default();
    let (there, _) = host.create(named("a", on("macvlan", "eth0", &[]))).unwrap();
    assert_eq!((there.adopted, standings(&there)), (true, vec![]));
    for name in ["b", "c"] {
        let (network, _) = host.create(named(name, on("macvlan", "eth0.10", &[]))).unwrap();
        assert!(!network.adopted);
        let made = standings(&network);
        assert_eq!(made[0].0, "eth0.10");
        assert!(
            matches!(&made[0].1, LinkKind::Vlan { id: 10, parent } if parent.name.as_str() == "eth0")
        );
    }
}

#[test]
fn without_a_parent_and_with_internal_a_dummy_is_the_parent() {
    let mut host = Host::default();
    for (driver, prefix) in [("macvlan", "dm"), ("ipvlan", "di")] {
        let internal = CreateRequest { internal: true, ..on(driver, "eth0", &[]) };
        let none = CreateRequest { options: Default::default(), ..on(driver, "eth0", &[]) };
        for (at, request) in [internal, none].into_iter().enumerate() {
            let (network, _) = host.create(named(&format!("{driver}{at}"), request)).unwrap();
            let dummy =
                (format!("{prefix}-{}", network.id.short()), LinkKind::Other("dummy".into()));
            assert_eq!(standings(&network), [dummy]);
            assert!(network.internal);
        }
    }
}

#[test]
fn the_host_has_a_link_and_the_lowest_address_that_nobody_has_where_it_reaches_containers() {
    let mut host = Host::default();
    let lan = || CreateRequest {
        ipam: Ipam { config: vec![subnet("10.7.0.0/24", "10.7.0.1")], ..Ipam::default() },
        ..on("macvlan", "eth0", &[("host_access", "true")])
    };
    let (network, _) = host.create(lan()).unwrap();
    assert_eq!(network.subnets[0].aux[HOST_ADDRESS].to_string(), "10.7.0.2");
    let device = Device::of(&network).unwrap().unwrap();
    let [standing] = device.standings.as_slice() else { panic!("one link") };
    assert_eq!(standing.name.to_string(), format!("nh-{}", network.id.short()));
    assert_eq!(standing.gateways[0].to_string(), "10.7.0.2/32");
    let mut named = lan();
    named.ipam.config[0].aux.insert("host".into(), "10.7.0.9".into());
    let (network, _) = Host::default().create(named).unwrap();
    assert_eq!(network.subnets[0].aux[HOST_ADDRESS].to_string(), "10.7.0.9");
    for (driver, key, value) in [
        ("macvlan", "macvlan_mode", "private"),
        ("macvlan", "macvlan_mode", "passthru"),
        ("ipvlan", "ipvlan_flag", "private"),
    ] {
        let request = on(driver, "eth0", &[("host_access", "true"), (key, value)]);
        let text = format!("host_access: \"true\" cannot be with {key} {value}");
        Host::default().refuses(request, Kind::Invalid, &text);
    }
}

#[test]
fn a_parent_that_is_taken_over_is_nobody_elses() {
    let passthru = || on("macvlan", "eth0", &[("macvlan_mode", "passthru")]);
    for (first, second) in [
        (passthru(), on("macvlan", "eth0", &[])),
        (on("macvlan", "eth0", &[]), passthru()),
        (on("ipvlan", "eth0", &[]), on("ipvlan", "eth0", &[])),
    ] {
        let mut host = Host::default();
        host.create(first).unwrap();
        let text = "network n is already using parent interface eth0";
        host.refuses(named("second", second), Kind::Forbidden, text);
    }
}

#[test]
fn a_network_of_the_cluster_is_on_a_parent_that_each_host_has_for_itself() {
    let mut host = Host::default();
    let shared = |name: &str, request: CreateRequest| CreateRequest {
        scope: "global".to_owned(),
        ..named(name, request)
    };
    let (there, warnings) = host.create(shared("a", on("macvlan", "eth0", &[]))).unwrap();
    assert_eq!((there.scope, there.adopted, standings(&there)), (Scope::Global, false, vec![]));
    assert_eq!((warnings, there.vnis().count()), (vec![], 0));
    assert_eq!(there.subnets[0].gateway, None, "nobody's on the hosts");
    let (vlan, _) = host.create(shared("b", on("macvlan", "eth0.10", &[]))).unwrap();
    let device = Device::of(&vlan).unwrap().unwrap();
    assert!(device.of_cluster && device.standings[0].name.as_str() == "eth0.10");
    // Other hosts may have it.
    let (_, warnings) = host.create(shared("c", on("macvlan", "eth7", &[]))).unwrap();
    assert!(warnings[0].contains("eth7 is no interface of this host"), "{warnings:?}");

    // What is in the way on another host is found there.
    let (own, _) = Host::default().create(named("own", on("ipvlan", "eth0", &[]))).unwrap();
    let both = [own, there];
    let error = is_free_for(&both[1], both.iter()).unwrap_err();
    assert_eq!(error.to_string(), "network own is already using parent interface eth0");
    assert_eq!(is_free_for(&both[1], both[1..].iter()), Ok(()));
}
