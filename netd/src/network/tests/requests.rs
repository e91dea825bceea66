use super::host::{Host, named, option, subnet, with};
use crate::network::*;

#[test]
fn a_network_without_more_gets_a_subnet_with_the_first_address_as_gateway() {
    let (network, warnings) = Host::default().create(named("a")).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(network.subnets.len(), 1);
    assert_eq!(network.subnets[0].net.to_string(), "172.17.0.0/24");
    assert_eq!(network.subnets[0].gateway.unwrap().to_string(), "172.17.0.1");
    let device = Device::of(&network).unwrap().unwrap();
    assert_eq!(device.standings[0].name.as_str(), format!("br-{}", network.id.short()));
    assert_eq!(device.standings[0].gateways[0].to_string(), "172.17.0.1/24");
    assert!(device.standings[0].mac.unwrap().is_unicast());
}

#[test]
fn a_gateway_is_the_first_address_of_the_range_that_nobody_has() {
    let request = SubnetRequest {
        ip_range: "172.30.14.128/25".into(),
        aux: [("r".to_owned(), "172.30.14.128".to_owned())].into(),
        ..subnet("172.30.14.0/24", "")
    };
    let (network, _) = Host::default().create(with("a", request)).unwrap();
    assert_eq!(network.subnets[0].gateway.unwrap().to_string(), "172.30.14.129");
    for (of, gateway) in [("10.0.0.0/31", "10.0.0.0"), ("10.0.0.4/30", "10.0.0.5")] {
        let (network, _) = Host::default().create(with("a", subnet(of, ""))).unwrap();
        assert_eq!(network.subnets[0].gateway.unwrap().to_string(), gateway, "{of}");
    }
}

#[test]
fn both_families_are_there_where_they_are_asked_for_ipv4_first() {
    let request = CreateRequest { enable_ipv6: Some(true), ..with("a", subnet("fd00:1::/64", "")) };
    let (network, _) = Host::default().create(request).unwrap();
    let shown: Vec<String> = network.subnets.iter().map(|s| s.net.to_string()).collect();
    assert_eq!(shown, ["172.17.0.0/24", "fd00:1::/64"]);
    assert_eq!(network.subnets[1].gateway.unwrap().to_string(), "fd00:1::1");
    let alone = CreateRequest { enable_ipv4: Some(false), enable_ipv6: Some(true), ..named("b") };
    let (network, _) = Host::default().create(alone).unwrap();
    assert_eq!(network.subnets[0].net.to_string(), "fd00:0:1::/64");
    let neither = CreateRequest { enable_ipv4: Some(false), ..named("c") };
    assert_eq!(Host::default().refused(neither).1, "IPv4 or IPv6 must be enabled");
}

#[test]
fn what_is_refused_says_why_by_dockers_words() {
    let mut host = Host::default();
    host.create(with("a", subnet("172.30.11.0/24", "172.30.11.1"))).unwrap();
    for (request, kind, text) in [
        (named("a"), Kind::Conflict, "network with name a already exists"),
        (
            named("bridge"),
            Kind::Forbidden,
            "operation is not permitted on predefined bridge network",
        ),
        (named("default"), Kind::Forbidden, "operation is not permitted on predefined default"),
        (named("a b"), Kind::Invalid, "invalid network name \"a b\""),
        (named(""), Kind::Invalid, "invalid network name \"\""),
        (named("-x"), Kind::Invalid, "invalid network name"),
        (
            CreateRequest { driver: "weave".into(), ..named("o") },
            Kind::NotFound,
            "plugin \"weave\" not found",
        ),
        (
            CreateRequest { driver: "host".into(), ..named("o") },
            Kind::Forbidden,
            "only one instance of \"host\" network is allowed",
        ),
        (
            CreateRequest { scope: "swarm".into(), ..named("o") },
            Kind::Invalid,
            "scope \"swarm\" of driver bridge is not supported",
        ),
        (CreateRequest { config_only: true, ..named("o") }, Kind::Invalid, "is not supported"),
    ] {
        host.refuses(request, kind, text);
    }
    assert_eq!(host.networks.len(), 1);
}

#[test]
fn subnets_that_make_no_sense_are_refused_with_the_remedy() {
    let mut host = Host::default();
    host.create(with("a", subnet("172.30.11.0/24", "172.30.11.1"))).unwrap();
    for (request, kind, text) in [
        (
            with("b", subnet("172.30.11.0/25", "")),
            Kind::Forbidden,
            "Pool overlaps with other one on this address space: network a has 172.30.11.0/24",
        ),
        (
            with("b", subnet("172.30.12.5/24", "")),
            Kind::Invalid,
            "invalid subnet 172.30.12.5/24: it should be 172.30.12.0/24",
        ),
        (
            with("b", subnet("172.30.12.0/24", "10.0.0.1")),
            Kind::Invalid,
            "invalid gateway 10.0.0.1: parent subnet 172.30.12.0/24 doesn't contain",
        ),
        (
            with("b", subnet("172.30.12.0/24", "172.30.12.0")),
            Kind::Forbidden,
            "failed to allocate gateway (172.30.12.0): Address already in use",
        ),
        (
            with("b", subnet("172.30.12.0/24", "172.30.12.255")),
            Kind::Forbidden,
            "failed to allocate gateway",
        ),
        (
            with("b", subnet("nonsense", "")),
            Kind::Invalid,
            "invalid subnet nonsense: invalid CIDR address",
        ),
        (with("b", subnet("224.0.0.0/24", "")), Kind::Invalid, "it is multicast"),
        (
            with("b", subnet("fd00::/64", "")),
            Kind::Invalid,
            "IPv6 is off for this network: add --ipv6",
        ),
        (
            with(
                "b",
                SubnetRequest { ip_range: "172.30.0.0/16".into(), ..subnet("172.30.12.0/24", "") },
            ),
            Kind::Invalid,
            "CIDR block is bigger than its parent",
        ),
        (
            with("b", subnet("0.0.0.0/7", "")),
            Kind::Failed,
            "all predefined address pools have been fully subnetted",
        ),
    ] {
        host.refuses(request, kind, text);
    }
    assert_eq!(host.networks.len(), 1);
}

#[test]
fn options_that_make_no_sense_are_refused_and_unknown_ones_are_told() {
    let bridge = |key: &str| format!("com.docker.network.bridge.{key}");
    for (driver, key, value, text) in [
        ("bridge", bridge("enable_icc"), "maybe", "is neither true nor false"),
        ("bridge", "com.docker.network.driver.mtu".into(), "abc", "is no MTU"),
        ("bridge", "com.docker.network.driver.mtu".into(), "67", "is no MTU"),
        ("bridge", bridge("name"), "a/b", "is no name of an interface"),
        ("bridge", bridge("gateway_mode_ipv4"), "x", "nat, nat-unprotected, routed, isolated"),
        ("bridge", bridge("gateway_mode_ipv4"), "isolated", "add --internal"),
        ("bridge", bridge("host_binding_ipv4"), "x", "is no address"),
        ("bridge", "com.docker.network.advertise_addr_ms".into(), "7", "from 100 to 2000"),
        ("macvlan", "parent".into(), "lo", "cannot be a parent"),
        ("macvlan", "parent".into(), "nosuch", "no subinterface as eth0.10"),
        ("macvlan", "parent".into(), "eth0.4095", "names no VLAN from 1 to 4094"),
        ("macvlan", "parent".into(), "eth1.10", "does not have"),
        ("macvlan", "macvlan_mode".into(), "bad", "bridge, private, vepa, passthru"),
        ("ipvlan", "ipvlan_mode".into(), "l9", "l2, l3, l3s"),
    ] {
        let (kind, told) = Host::default().refused(option(driver, &key, value));
        assert_eq!(kind, Kind::Invalid, "{told}");
        assert!(told.contains(text) && told.contains(&key), "{told}");
    }
    let (network, warnings) = Host::default().create(option("bridge", "foo", "bar")).unwrap();
    assert_eq!(warnings, ["option foo is not known to driver bridge and has no effect"]);
    assert_eq!(network.options["foo"], "bar");
}

#[test]
fn a_parent_is_shared_by_macvlan_networks_and_not_by_ipvlan_networks() {
    let mut host = Host::default();
    let on = |driver: &str, name: &str| CreateRequest {
        name: name.to_owned(),
        ..option(driver, "parent", "eth0")
    };
    host.create(on("macvlan", "m1")).unwrap();
    let (second, _) = host.create(on("macvlan", "m2")).unwrap();
    assert!(!second.internal && second.subnets[0].gateway.is_none(), "the router is outside");
    let (_, told) = host.refused(on("ipvlan", "i"));
    assert_eq!(told, "network m1 is already using parent interface eth0");
    let (alone, _) =
        host.create(CreateRequest { driver: "macvlan".into(), ..named("m3") }).unwrap();
    assert!(alone.internal, "nothing leads out without a parent");
    host.create(CreateRequest { name: "v".into(), ..option("ipvlan", "parent", "eth0.10") })
        .unwrap();
}

#[test]
fn two_networks_cannot_have_one_bridge() {
    let mut host = Host::default();
    let key = "com.docker.network.bridge.name";
    host.create(option("bridge", key, "shared")).unwrap();
    let second = CreateRequest { name: "second".into(), ..option("bridge", key, "shared") };
    let (kind, told) = host.refused(second);
    assert_eq!(kind, Kind::Forbidden);
    assert!(told.ends_with("networks have same bridge name shared"), "{told}");
}

#[test]
fn a_subnet_that_the_host_has_a_route_to_is_taken_and_the_user_is_told() {
    let mut host = Host { routes: vec!["10.1.0.0/16", "0.0.0.0/1"], ..Host::default() };
    let (_, warnings) = host.create(with("a", subnet("10.1.2.0/24", ""))).unwrap();
    assert_eq!(
        warnings,
        ["subnet 10.1.2.0/24 overlaps 10.1.0.0/16, which this host has a route to"]
    );
}

#[test]
fn no_network_has_addresses_of_a_cluster_that_the_host_is_in() {
    let cluster =
        |name: &str, net: &str| ClusterNetwork { name: name.to_owned(), net: net.parse().unwrap() };
    let clusters = vec![cluster("blue", "172.17.0.0/16"), cluster("green", "fd05::/48")];
    let mut host = Host { clusters, ..Host::default() };
    host.refuses(
        with("a", subnet("172.17.9.0/24", "")),
        Kind::Forbidden,
        "Pool overlaps with other one on this address space: 172.17.9.0/24 overlaps 172.17.0.0/16, which \
         is network blue of this host's clusters; give another --subnet",
    );
    let both = CreateRequest { enable_ipv6: Some(true), ..with("a", subnet("fd05::/56", "")) };
    host.refuses(both, Kind::Forbidden, "fd05::/56 overlaps fd05::/48, which is network green");
    let (network, _) = host.create(named("a")).unwrap();
    assert_eq!(network.subnets[0].net.to_string(), "172.18.0.0/24");
}

#[test]
fn a_network_outlasts_being_written_and_read() {
    let request = CreateRequest { enable_ipv6: Some(true), internal: true, ..named("a") };
    let (network, _) = Host::default().create(request).unwrap();
    let json = serde_json::to_vec(&network).unwrap();
    assert_eq!(serde_json::from_slice::<Network>(&json).unwrap(), network);
    let shown = serde_json::to_string(&Inspect::of(&network)).unwrap();
    let keys = ["Name", "Id", "Created", "Scope", "Driver", "EnableIPv4", "EnableIPv6", "IPAM"];
    let at: Vec<usize> =
        keys.iter().map(|key| shown.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(at.is_sorted(), "{shown}");
}

#[test]
fn docker_bodies_are_understood() {
    let body = r#"{"Name": "a", "CheckDuplicate": true, "Driver": "bridge", "EnableIPv6": false,
        "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.1.0.0/24"}]},
        "Internal": false, "Options": null, "Labels": {}}"#;
    let request: CreateRequest = serde_json::from_str(body).unwrap();
    Host::default().create(request).unwrap();
}
