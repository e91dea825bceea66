//! Where published ports lead.

use super::*;

fn port(protocol: &str, host_ip: &str, host_port: u16) -> Published {
    Published {
        protocol: protocol.to_owned(),
        host_ip: host_ip.parse().ok(),
        host_port,
        range: None,
        container_port: 80,
    }
}

/// Whom each port leads to, as `<host port> <families> -> <network>`.
fn leads(all: &[(&Endpoint, &Network)]) -> Vec<String> {
    let moved = placed(all);
    let now = |one: &Endpoint| moved.iter().find(|to| to.id == one.id).unwrap_or(one).clone();
    let each = |(one, network): &(&Endpoint, &Network)| {
        let name = network.name.clone();
        let text = move |Carried { port, families }: Carried| {
            let v4 = if families.v4 { "4" } else { "" };
            let v6 = if families.v6 { "6" } else { "" };
            format!("{} {v4}{v6} -> {name}", port.host_port)
        };
        now(one).leading().into_iter().map(text).collect::<Vec<_>>()
    };
    all.iter().flat_map(each).collect()
}

#[test]
fn b7_ports_lead_to_the_network_that_gives_the_default_route_of_each_family() {
    let (app, front) =
        (network("app", &[("172.30.0.0/24", None)]), network("front", &[("172.31.0.0/24", None)]));
    let mut one = endpoint(&app, "172.30.0.2/24");
    one.ports = vec![port("tcp", "", 1)];
    let mut other = endpoint(&front, "172.31.0.2/24");
    other.default_routes = Families::default();
    other.ports = vec![port("tcp", "", 2)];
    assert!(placed(&[(&one, &app)]).is_empty(), "one network alone has its own ports");
    assert_eq!(leads(&[(&one, &app), (&other, &front)]), ["1 46 -> app", "2 46 -> app"]);
    other.default_routes.v6 = true;
    let by_family = ["1 4 -> app", "2 4 -> app", "1 6 -> front", "2 6 -> front"];
    assert_eq!(leads(&[(&one, &app), (&other, &front)]), by_family);
    one.default_routes.v4 = false;
    other.default_routes = Families::default();
    let own = ["1 46 -> app", "2 46 -> front"];
    assert_eq!(leads(&[(&one, &app), (&other, &front)]), own, "somebody else's default route");
    let routed = with_option(app, "bridge.gateway_mode_ipv4", "routed");
    other.default_routes.v4 = true;
    let all = leads(&[(&one, &routed), (&other, &front)]);
    assert!(all.contains(&"1 4 -> app".to_owned()), "opened where it is: {all:?}");
    assert!(all.contains(&"1 46 -> front".to_owned()), "{all:?}");
}

#[test]
fn b7_a_port_that_the_container_has_already_waits_until_that_is_gone() {
    let network = network("app", &[("172.30.0.0/24", None)]);
    let mut first = endpoint(&network, "172.30.0.2/24");
    first.ports = vec![port("tcp", "", 1)];
    let mut second = Endpoint { id: Id::random(), ..first.clone() };
    second.ports.push(port("udp", "", 1));
    second.share_ports(&[std::sync::Arc::new(first.clone())]);
    assert_eq!(second.ports, [port("udp", "", 1)]);
    let nobody = Endpoint { ports: vec![], ..first.clone() };
    assert!(!second.inherit(&nobody));
    assert!(second.inherit(&first) && second.waiting.is_empty());
    assert_eq!(second.ports, [port("udp", "", 1), port("tcp", "", 1)]);
}

#[test]
fn each_address_of_the_host_leads_to_the_container_of_its_family_or_the_other() {
    let network = network("app", &[("172.30.0.0/24", None)]);
    let mut endpoint = endpoint(&network, "172.30.0.2/24");
    endpoint.ports = vec![
        port("tcp", "", 1),
        port("udp", "127.0.0.1", 2),
        port("tcp", "::1", 3),
        port("sctp", "", 4),
    ];
    let shown = |endpoint: &Endpoint, network: &Network, has_ipv6| -> Vec<String> {
        let all = forwards(&endpoint.ports, endpoint, network, has_ipv6).unwrap();
        all.iter().map(|forward| format!("{forward} -> {}", forward.to)).collect()
    };
    let of_v4 = ["0.0.0.0:1/tcp -> 172.30.0.2:80", "127.0.0.1:2/udp -> 172.30.0.2:80"];
    let of_v6 = ["[::]:1/tcp -> 172.30.0.2:80", "[::1]:3/tcp -> 172.30.0.2:80"];
    let both = [of_v4[0], of_v6[0], of_v4[1], of_v6[1]];
    assert_eq!(shown(&endpoint, &network, true), both);
    assert_eq!(shown(&endpoint, &network, false), of_v4);
    endpoint.addresses.push("fd00::2/64".parse().unwrap());
    assert_eq!(shown(&endpoint, &network, true)[1], "[::]:1/tcp -> [fd00::2]:80");
    let internal = Network { internal: true, ..network.clone() };
    assert!(shown(&endpoint, &internal, true).is_empty());
    let bound = with_option(network, "bridge.host_binding_ipv4", "192.0.2.1");
    assert_eq!(shown(&endpoint, &bound, true)[0], "192.0.2.1:1/tcp -> 172.30.0.2:80");
}

#[test]
fn b4_a_port_of_the_host_is_published_once_on_an_address_however_that_is_written() {
    let [any, lo, v4, v6] = ["", "127.0.0.1", "0.0.0.0", "::"].map(|ip| port("tcp", ip, 80));
    let is_fine = |all: &[&Published]| {
        let all: Vec<Published> = all.iter().map(|port| (*port).clone()).collect();
        Published::distinct(&all, covers).map_err(|refused| refused.to_string())
    };
    let refused = "ports: 127.0.0.1:80:80/tcp and 80:80/tcp are one port of the host: give each one \
                   of its own, or leave one out";
    assert_eq!(is_fine(&[&lo, &any]), Err(refused.to_owned()));
    for pair in [[&any, &v6], [&v4, &lo], [&lo, &v4], [&v6, &v6]] {
        assert!(is_fine(&pair).is_err(), "{pair:?}");
    }
    let [other, datagrams] = [port("tcp", "127.0.0.2", 80), port("udp", "", 80)];
    assert_eq!(is_fine(&[&v4, &v6]), Ok(()));
    assert_eq!(is_fine(&[&lo, &other, &v6, &datagrams]), Ok(()));
}

#[test]
fn a_port_is_left_to_podman_where_rules_lead_there_and_podman_has_a_socket() {
    let network = network("app", &[("172.30.0.0/24", None)]);
    let mut endpoint = endpoint(&network, "172.30.0.2/24");
    endpoint.ports = ["", "127.0.0.1", "::1", "2001:db8::1"].map(|ip| port("tcp", ip, 1)).to_vec();
    let held = |endpoint: &Endpoint| -> Vec<String> {
        let all = forwards(&endpoint.ports, endpoint, &network, true).unwrap();
        let held = all.iter().filter(|forward| !endpoint.leaves(forward));
        held.map(|forward| forward.listen.ip().to_string()).collect()
    };
    assert_eq!(held(&endpoint), ["0.0.0.0", "::", "127.0.0.1", "::1", "2001:db8::1"]);
    endpoint.ports_held = true;
    assert_eq!(held(&endpoint), ["::", "::1", "2001:db8::1"]);
    endpoint.addresses.push("fd00::2/64".parse().unwrap());
    assert_eq!(held(&endpoint), ["::", "::1"]);
}
