//! Names, sizes and states of devices and peers.

use netstate::{Mac, NetState};

use super::{Device, Peer, common_mtu, device, mtu, name, peer};
use crate::ruleset::Ip;

#[test]
fn a_device_is_named_by_its_network_identifier_as_far_as_names_go() {
    assert_eq!(name(1, Ip::V4).unwrap().as_str(), "flannel.1");
    assert_eq!(name(9_999_999, Ip::V4).unwrap().as_str(), "flannel.9999999");
    assert_eq!(name(9_999, Ip::V6).unwrap().as_str(), "flannel-v6.9999");
    assert!(name(10_000_000, Ip::V4).is_err());
    assert!(name(10_000, Ip::V6).is_err());
}

#[test]
fn containers_are_told_what_fits_through_both_devices() {
    assert_eq!((mtu(1500, Ip::V4), mtu(1500, Ip::V6)), (1450, 1430));
    assert_eq!(mtu(20, Ip::V6), 0);
    let [v4, v6] = devices();
    assert_eq!(common_mtu([&v4, &v6]), Some(1430));
    assert_eq!(common_mtu([&v4]), Some(1450));
    assert_eq!(common_mtu([]), None);
}

#[test]
fn host_bits_of_a_subnet_do_not_matter() {
    let [mut v4, v6] = devices();
    v4.subnet = "10.5.1.77/24".parse().unwrap();
    let addrs = device(&v4).addrs;
    assert_eq!(addrs.first().unwrap().net.to_string(), "10.5.1.0/32");
    assert_eq!(device(&v6).addrs.first().unwrap().net.to_string(), "fd05:0:0:1::/128");
    let route = peer(&v4, &far("10.5.9.1/24")).routes.pop_first().unwrap();
    assert_eq!((route.dst.to_string(), route.onlink), ("10.5.9.0/24".to_owned(), true));
}

#[test]
fn a_direct_peer_is_a_route_alone() {
    let [v4, _] = devices();
    let state = peer(&v4, &Peer { direct: true, ..far("10.5.9.0/24") });
    let routes = state.routes.clone();
    assert_eq!(state, NetState { routes, ..NetState::default() });
    let route = state.routes.first().unwrap();
    assert_eq!(route.via, Some([192, 0, 2, 9].into()));
    assert_eq!(route.dev.as_ref(), Some(&v4.parent));
}

#[test]
fn without_ipv6_nothing_is_said_of_router_advertisements() {
    let [mut v4, _] = devices();
    assert_eq!(device(&v4).sysctls.len(), 1);
    v4.has_ipv6 = false;
    assert!(device(&v4).sysctls.is_empty());
}

fn far(subnet: &str) -> Peer {
    let (public_ip, mac) = ([192, 0, 2, 9].into(), Mac([2, 0, 0, 0, 0, 9]));
    Peer { subnet: subnet.parse().unwrap(), public_ip, mac, direct: false }
}

fn devices() -> [Device; 2] {
    [(Ip::V4, "192.0.2.1", "10.5.1.0/24"), (Ip::V6, "2001:db8::1", "fd05:0:0:1::/64")].map(
        |(ip, local, subnet)| Device {
            tx_checksum: None,
            name: name(1, ip).unwrap(),
            vni: 1,
            port: None,
            mtu: mtu(1500, ip),
            learning: false,
            gbp: false,
            parent: netstate::LinkName::new("eth0").unwrap(),
            local: local.parse().unwrap(),
            mac: None,
            subnet: subnet.parse().unwrap(),
            has_ipv6: true,
        },
    )
}
