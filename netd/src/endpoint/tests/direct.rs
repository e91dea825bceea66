//! Endpoints on a parent directly.

use netstate::{LinkKind, Ns};

use super::{endpoint, network};
use crate::endpoint::{Parts, default_route, ways_out};
use crate::network::{Driver, Network};

fn on_parent(driver: Driver, options: &[(&str, &str)]) -> Network {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut network = network("lan", &[("10.7.0.0/24", None)]);
    network.driver = driver;
    network.options.insert("parent".to_owned(), "eth0".to_owned());
    network.options.extend(options);
    network
}

#[test]
fn a_container_has_one_link_and_by_the_network_a_default_route() {
    for (network, via, mac) in [
        (on_parent(Driver::Macvlan, &[]), Some("10.7.0.1"), true),
        (on_parent(Driver::Macvlan, &[("macvlan_mode", "passthru")]), Some("10.7.0.1"), false),
        (on_parent(Driver::Ipvlan, &[]), Some("10.7.0.1"), false),
        (on_parent(Driver::Ipvlan, &[("ipvlan_mode", "l3")]), None, false),
    ] {
        let endpoint = endpoint(&network, "10.7.0.9/24");
        let parts = Parts::of(&endpoint, &network, true).unwrap();
        let inside = parts.links.0.ns(&Ns::Container).unwrap();
        let link = &inside.links[&endpoint.ifname];
        assert!(matches!(link.kind, LinkKind::MacVlan { .. } | LinkKind::IpVlan(_)));
        assert_eq!(link.mac.is_some(), mac, "{:?}", network.options);
        let route = default_route(&network, &endpoint, false).unwrap();
        assert_eq!(route.via.map(|ip| ip.to_string()).as_deref(), via);
        assert!(inside.routes.contains(&route), "what is elected later is what was made first");
        assert!(parts.links.0.ns(&Ns::Host).is_none() && parts.mappings.is_empty());
        let internal = Network { internal: true, ..network };
        assert_eq!(ways_out(&internal, &endpoint.addresses).count(), 0);
    }
}

#[test]
fn with_host_access_the_host_has_a_route_to_each_address() {
    let network = on_parent(Driver::Macvlan, &[("host_access", "true")]);
    let parts = Parts::of(&endpoint(&network, "10.7.0.9/24"), &network, true).unwrap();
    let host = parts.links.0.ns(&Ns::Host).unwrap();
    let routes: Vec<String> = host.routes.iter().map(|route| route.dst.to_string()).collect();
    assert_eq!(routes, ["10.7.0.9/32"]);
    assert!(host.links.is_empty(), "the link is the network's");
}
