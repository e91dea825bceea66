mod address;
mod direct;
mod overlay;
mod ports;

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use netd_api::attach::{Attach, Port};
use netstate::{LinkName, Ns};

use super::*;
use crate::network::{Driver, Moment, Network, Scope, Subnet};

fn network(name: &str, subnets: &[(&str, Option<&str>)]) -> Network {
    let subnet = |(net, range): &(&str, Option<&str>)| {
        let net: IpNetwork = net.parse().unwrap();
        let first = drivers::bridge::default_gateway(net);
        let gateway = range.is_none().then_some(first);
        let ip_range = range.map(|range| range.parse().unwrap());
        Subnet { net, ip_range, gateway, aux: BTreeMap::new(), vni: None }
    };
    Network {
        id: Id::random(),
        name: name.to_owned(),
        created: Moment::now(),
        scope: Scope::Local,
        driver: Driver::Bridge,
        ipv4: true,
        ipv6: false,
        subnets: subnets.iter().map(subnet).collect(),
        internal: false,
        attachable: false,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        ipam_options: BTreeMap::new(),
        adopted: false,
    }
}

fn with_option(mut network: Network, key: &str, value: &str) -> Network {
    network.options.insert(format!("com.docker.network.{key}"), value.to_owned());
    network
}

fn nets(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn endpoint(network: &Network, address: &str) -> Endpoint {
    Endpoint {
        id: Id::random(),
        network: network.id.clone(),
        network_name: network.name.clone(),
        container: "c".to_owned(),
        ifname: LinkName::fixed("eth0"),
        netns: Namespace { path: "/run/netns/c".into(), dev: 4, ino: 7 },
        netns_cookie: None,
        host_link: LinkName::fixed("veth0"),
        mac: "02:00:00:00:00:01".parse().unwrap(),
        addresses: nets(&[address]),
        names: vec![],
        overlay: None,
        is_gateway: false,
        waiting: vec![],
        carried: None,
        ports: vec![],
        ports_held: false,
        gw_priority: 0,
        sysctls: BTreeMap::new(),
        default_routes: Families { v4: true, v6: false },
        displaced: vec![],
        made: true,
        boot_id: "boot".to_owned(),
    }
}

#[test]
fn an_interface_gets_the_lowest_number_that_is_free() {
    let there = ["eth0", "eth2", "lo"].map(LinkName::fixed);
    let is_taken = |name: &LinkName| there.contains(name);
    assert_eq!(next_free(None, is_taken).unwrap().as_str(), "eth1");
    assert_eq!(next_free(Some("net"), is_taken).unwrap().as_str(), "net0");
    let first = |name: &LinkName| name.as_str() != "eth3";
    assert_eq!(next_free(None, first).unwrap().as_str(), "eth3");
}

#[test]
fn b7_the_default_route_is_of_the_highest_priority_then_of_more_families_then_of_the_first_name() {
    let one = |priority, families, network: &str| Contender {
        priority,
        families,
        network: network.to_owned(),
        of: network.to_owned(),
    };
    for (all, want) in [
        (vec![one(0, 1, "b"), one(1, 1, "z"), one(-1, 2, "a")], "z"),
        (vec![one(0, 1, "a"), one(0, 2, "b")], "b"),
        (vec![one(0, 1, "b"), one(0, 1, "a")], "a"),
    ] {
        assert_eq!(first(all).unwrap().of, want);
    }
    assert_eq!(first(Vec::<Contender<()>>::new()), None);
}

/// Names of sets with how many elements each has.
fn sets(parts: &Parts) -> Vec<String> {
    let host = parts.elements.0.ns(&Ns::Host);
    let sets = host.into_iter().flat_map(|host| &host.elements);
    sets.map(|(set, of)| format!("{} {}", set.name, of.len())).collect()
}

#[test]
fn what_a_network_does_to_its_containers_is_what_its_options_say() {
    let plain = || network("app", &[("172.30.0.0/24", None)]);
    let internal = Network { internal: true, ..plain() };
    for (network, want, routes) in [
        (plain(), vec!["allowed4 1", "closed4 1", "guarded4 1", "masq4 1"], 1),
        (
            with_option(plain(), "bridge.enable_ip_masquerade", "false"),
            vec!["allowed4 1", "closed4 1", "guarded4 1"],
            1,
        ),
        (
            with_option(plain(), "bridge.enable_icc", "false"),
            vec!["closed4 1", "guarded4 1", "masq4 1"],
            1,
        ),
        (
            with_option(plain(), "host_ipv4", "192.0.2.9"),
            vec!["allowed4 1", "closed4 1", "guarded4 1", "masq4 1", "snat4 1"],
            1,
        ),
        (
            with_option(plain(), "bridge.trusted_host_interfaces", "eth8:eth9"),
            vec!["allowed4 3", "closed4 1", "guarded4 1", "masq4 1"],
            1,
        ),
        (with_option(plain(), "bridge.gateway_mode_ipv4", "nat-unprotected"), vec!["masq4 1"], 1),
        (
            with_option(plain(), "bridge.gateway_mode_ipv4", "routed"),
            vec!["allowed4 1", "closed4 1", "guarded4 1", "pinged4 1"],
            1,
        ),
        (internal, vec!["allowed4 1", "guarded4 1"], 0),
    ] {
        let parts = Parts::of(&endpoint(&network, "172.30.0.2/24"), &network, true).unwrap();
        assert_eq!(sets(&parts), want, "{:?}", network.options);
        let inside = parts.links.0.ns(&Ns::Container).unwrap();
        assert_eq!(inside.routes.len(), routes, "{:?}", network.options);
    }
    let quiet = with_option(plain(), "bridge.enable_icc", "false");
    let parts = Parts::of(&endpoint(&quiet, "172.30.0.2/24"), &quiet, true).unwrap();
    let port = &parts.links.0.ns(&Ns::Host).unwrap().links[&LinkName::fixed("veth0")].port;
    assert_eq!(port.as_ref().unwrap().isolated, Some(true));
}

#[test]
fn ports_are_published_where_they_are_asked_for() {
    let network = network("app", &[("172.30.0.0/24", None)]);
    let mut endpoint = endpoint(&network, "172.30.0.2/24");
    let port = |host_ip: &str, host_port| Published {
        protocol: "tcp".to_owned(),
        host_ip: host_ip.parse().ok(),
        host_port,
        range: None,
        container_port: 80,
    };
    endpoint.ports =
        vec![port("", 1), port("0.0.0.0", 2), port("192.0.2.1", 3), port("::", 4), port("::1", 5)];
    let parts = Parts::of(&endpoint, &network, true).unwrap();
    let shown: Vec<_> = parts.mappings.iter().map(|m| (m.host_ip, m.host_port)).collect();
    assert_eq!(shown, [(None, 1), (None, 2), (Some("192.0.2.1".parse().unwrap()), 3)]);
    let bound = with_option(network, "bridge.host_binding_ipv4", "127.0.0.1");
    let parts = Parts::of(&endpoint, &bound, true).unwrap();
    assert_eq!(parts.mappings[0].host_ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(parts.mappings[1].host_ip, None);
    let internal = Network { internal: true, ..bound };
    assert!(Parts::of(&endpoint, &internal, true).unwrap().mappings.is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_by_its_key() {
    let fine = Attach { container: "c".to_owned(), ..Attach::default() };
    assert!(Wanted::read(&fine, &Dynamic::default()).is_ok());
    let port = |change: fn(&mut Port)| {
        let mut port = Port { host_port: 1, container_port: 1, ..Port::default() };
        change(&mut port);
        vec![port]
    };
    for (change, key) in [
        (Attach { container: "../x".to_owned(), ..fine.clone() }, "container: "),
        (Attach { container: String::new(), ..fine.clone() }, "container: "),
        (Attach { ifname: Some("a/b".to_owned()), ..fine.clone() }, "ifname: "),
        (Attach { ifname: Some("lo".to_owned()), ..fine.clone() }, "ifname: lo is every"),
        (Attach { ips: vec!["x".to_owned()], ..fine.clone() }, "ips: \"x\" is no address"),
        (
            Attach { ips: vec!["10.0.0.1".to_owned(), "10.0.0.2/8".to_owned()], ..fine.clone() },
            "ips: 10.0.0.1 and 10.0.0.2 are of one family",
        ),
        (Attach { mac: Some("ff:ff:ff:ff:ff:ff".to_owned()), ..fine.clone() }, "mac: "),
        (
            Attach { ports: port(|p| p.host_port_end = Some(0)), ..fine.clone() },
            "ports[0].hostPortEnd: 1-0 is no range",
        ),
        (
            Attach { ports: port(|p| p.container_port = 0), ..fine.clone() },
            "ports[0].containerPort",
        ),
        (
            Attach { ports: port(|p| p.protocol = "icmp".into()), ..fine.clone() },
            "ports[0].protocol",
        ),
        (Attach { ports: port(|p| p.host_ip = "x".into()), ..fine.clone() }, "ports[0].hostIP"),
        (
            Attach { aliases: vec!["a\u{1b}[31m".into()], ..fine.clone() },
            "aliases: \"a\\u{1b}[31m\" is no name that can be found",
        ),
        (Attach { aliases: vec!["x".repeat(64)], ..fine.clone() }, "aliases: \"xxx"),
        (Attach { aliases: vec!["a..b".into()], ..fine.clone() }, "aliases: \"a..b\""),
        (
            Attach {
                ports: [port(|_| {}), port(|p| p.container_port = 2)].concat(),
                ..fine.clone()
            },
            "ports: 1:1/tcp and 1:2/tcp are one port of the host",
        ),
        (
            Attach {
                sysctls: [("net.ipv4.conf.eth0.forwarding".into(), "1".into())].into(),
                ..fine
            },
            "sysctls: unrecognised network interface sysctl 'net.ipv4.conf.eth0.forwarding=1'; \
             represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V'",
        ),
    ] {
        let refused = Wanted::read(&change, &Dynamic::default()).unwrap_err();
        assert!(refused.to_string().starts_with(key), "{refused}");
        assert_eq!(refused.code(), cni::Code::InvalidConfig);
    }
}

#[test]
fn an_endpoint_is_read_as_it_was_written() {
    let network = network("app", &[("172.30.0.0/24", None)]);
    let mut endpoint = endpoint(&network, "172.30.0.2/24");
    endpoint.ports.push(Published {
        protocol: "udp".to_owned(),
        host_ip: Some("192.0.2.1".parse().unwrap()),
        host_port: 53,
        range: None,
        container_port: 5353,
    });
    let route = default_route(&network, &endpoint, false).unwrap();
    endpoint.displaced.extend(Displaced::of(&route));
    let json = serde_json::to_vec(&endpoint).unwrap();
    assert_eq!(serde_json::from_slice::<Endpoint>(&json).unwrap(), endpoint);
    assert_eq!(endpoint.displaced[0].route(), Some(route));
}

#[test]
fn an_endpoint_survives_any_input() {
    corpus::survive("endpoint", |bytes| {
        if let Ok(endpoint) = serde_json::from_slice::<Endpoint>(bytes) {
            let json = serde_json::to_vec(&endpoint).unwrap();
            assert_eq!(serde_json::from_slice::<Endpoint>(&json).unwrap(), endpoint);
        }
    });
}

#[test]
fn a_port_that_may_be_any_is_tried_within_its_range_and_each_once() {
    let dynamic = Dynamic::of("32768\t60999\n", "32770,32800-60999\n");
    let read = |host_port, host_port_end| {
        let port = Port { host_port, host_port_end, container_port: 80, ..Port::default() };
        let request = Attach { container: "c".to_owned(), ports: vec![port], ..Attach::default() };
        Wanted::read(&request, &dynamic).unwrap().ports.remove(0)
    };
    assert_eq!(read(8080, None).choice(&dynamic).map(Iterator::count), None);
    let few: Vec<u16> = read(8000, Some(8002)).choice(&dynamic).unwrap().collect();
    assert_eq!(few, [8000, 8001, 8002], "the lowest that is free, as in Docker");
    let last: Vec<u16> = read(65_535, Some(65_535)).choice(&dynamic).unwrap().collect();
    assert_eq!(last, [65_535]);
    let mut any: Vec<u16> = read(0, None).choice(&dynamic).unwrap().collect();
    any.sort_unstable();
    let but_reserved: Vec<u16> = (32_768..32_800).filter(|port| *port != 32_770).collect();
    assert_eq!(any, but_reserved);
    for nonsense in ["", "x\ty", "2\t1", "0\t0", "7"] {
        assert_eq!(Dynamic::of(nonsense, "").range(), (49_153, 65_535), "{nonsense:?}");
    }
}
