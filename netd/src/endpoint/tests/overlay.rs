//! Endpoints on an overlay.

use cni::{AddResult, Dns, Interface, IpConfig, IpNet};
use netstate::{LinkKind, Ns};

use super::{endpoint, network};
use crate::endpoint::*;
use crate::network::{Driver, Network, Scope, Vni};

/// A network with a segment for each subnet.
fn overlay(subnets: &[&str]) -> Network {
    let subnets: Vec<_> = subnets.iter().map(|net| (*net, None)).collect();
    let mut network = network("ov", &subnets);
    (network.driver, network.scope) = (Driver::Overlay, Scope::Global);
    for (subnet, number) in network.subnets.iter_mut().zip(0x80_0000..) {
        subnet.vni = Vni::try_from(number).ok();
    }
    network
}

fn on(network: &Network, address: &str) -> Endpoint {
    let netns = Namespace { path: "/run/netd/netns/0123456789ab".into(), dev: 4, ino: 9 };
    Endpoint { overlay: Some(OnOverlay { netns, mtu: 1450 }), ..endpoint(network, address) }
}

#[test]
fn a_container_is_a_port_in_the_networks_namespace_and_the_host_has_nothing() {
    let network = overlay(&["10.0.0.0/24"]);
    let parts = Parts::of(&on(&network, "10.0.0.9/24"), &network, true).unwrap();
    assert!(parts.all().0.ns(&Ns::Host).is_none());
    let port = &parts.links.0.ns(&Ns::Overlay).unwrap().links[&LinkName::fixed("veth0")];
    assert_eq!((port.mtu, port.master.clone()), (Some(1450), Some(LinkName::fixed("br0"))));
    assert!(matches!(&port.kind, LinkKind::Veth { peer } if peer.ns == Ns::Container));
    let inside = parts.links.0.ns(&Ns::Container).unwrap();
    assert_eq!(inside.links[&LinkName::fixed("eth0")].mtu, Some(1450));
    assert!(inside.routes.is_empty(), "its way out is another interface");
    assert_eq!(parts.servers, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[test]
fn of_several_subnets_each_has_its_own_bridge_and_leads_to_the_others_by_its_gateway() {
    let network = overlay(&["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]);
    let parts = Parts::of(&on(&network, "10.0.1.9/24"), &network, true).unwrap();
    let port = &parts.links.0.ns(&Ns::Overlay).unwrap().links[&LinkName::fixed("veth0")];
    assert_eq!(port.master, Some(LinkName::fixed("br1")));
    let routes = &parts.links.0.ns(&Ns::Container).unwrap().routes;
    let text = |route: &netstate::Route| format!("{} by {}", route.dst, route.via.unwrap());
    let routes: Vec<String> = routes.iter().map(text).collect();
    assert_eq!(routes, ["10.0.0.0/24 by 10.0.1.1", "10.0.2.0/24 by 10.0.1.1"]);
    assert_eq!(
        parts.servers,
        ["10.0.1.1".parse::<std::net::IpAddr>().unwrap()],
        "a bridge answers on its own side"
    );
}

#[test]
fn addresses_are_taken_from_the_blocks_of_this_host_in_their_order_and_nowhere_else() {
    let network = overlay(&["10.0.0.0/24"]);
    let mut addresses = Addresses::of(&network);
    addresses.limit(&[]);
    assert!(addresses.has_room().is_err() && addresses.take(&[]).is_err());
    let block = |text: &str| text.parse::<IpNetwork>().unwrap();
    addresses.limit(&[block("10.0.0.32/31"), block("10.0.0.0/31"), block("10.0.0.16/32")]);
    let mut take = |wanted: &[&str]| {
        let wanted: Vec<IpNetwork> = wanted.iter().map(|ip| block(ip)).collect();
        addresses.take(&wanted).map(|nets| nets[0].to_string()).map_err(|error| error.to_string())
    };
    // 10.0.0.0 is the network's own, and 10.0.0.1 its gateway.
    for expected in ["10.0.0.32/24", "10.0.0.33/24", "10.0.0.16/24"] {
        assert_eq!(take(&[]).unwrap(), expected);
    }
    assert!(take(&[]).unwrap_err().contains("no available IPv4 addresses"));
    let others = take(&["10.0.0.99"]).unwrap_err();
    assert!(others.contains("10.0.0.99 of network ov ("), "{others}");
    assert!(others.contains("is not this host's to give out"), "{others}");
}

#[test]
fn the_way_out_comes_after_the_overlay_in_the_result_and_the_overlays_resolver_is_asked() {
    let result = |name: &str, ip: &str, nameservers: &[&str]| AddResult {
        interfaces: vec![Interface { name: name.to_owned(), ..Interface::default() }],
        ips: vec![IpConfig {
            interface: Some(0),
            ..IpConfig::new(IpNet { addr: ip.parse().unwrap(), prefix: 24 })
        }],
        dns: Dns {
            nameservers: nameservers.iter().map(|ip| (*ip).to_owned()).collect(),
            ..Dns::default()
        },
        ..AddResult::default()
    };
    let all = joined(result("eth0", "10.0.0.9", &["10.0.0.1"]), result("eth1", "172.18.0.2", &[]));
    let names: Vec<&str> = all.interfaces.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["eth0", "eth1"]);
    let at: Vec<_> = all.ips.iter().map(|ip| (ip.interface, ip.address.addr.to_string())).collect();
    assert_eq!(at, [(Some(0), "10.0.0.9".to_owned()), (Some(1), "172.18.0.2".to_owned())]);
    assert_eq!(all.dns.nameservers, ["10.0.0.1"]);
}
