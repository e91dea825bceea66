use std::collections::BTreeSet;

use cni::json;
use netstate::NetState;

use super::*;
use crate::config::network::NetworkConfig;

fn conf(text: &str) -> BackendConf {
    let options = json::parse(text.as_bytes()).unwrap();
    let kind = options.field("Type").and_then(json::Value::as_str).unwrap_or_default().to_owned();
    BackendConf { kind, options }
}

pub(super) fn backend(text: &str) -> Result<Backend, InvalidBackend> {
    Backend::parse(&conf(text))
}

pub(super) fn underlay(dual: bool) -> Underlay {
    Underlay {
        link: LinkName::new("eth0").unwrap(),
        mtu: 1500,
        v4: "10.0.0.1".parse().unwrap(),
        v6: dual.then(|| "fd00::1".parse().unwrap()),
        public_v4: "10.0.0.1".parse().unwrap(),
        public_v6: dual.then(|| "fd00::1".parse().unwrap()),
    }
}

fn macs() -> Macs {
    let mac = |text: &str| text.parse::<Mac>().unwrap();
    [
        (LinkName::new("flannel.1").unwrap(), mac("c6:d2:32:6f:8f:44")),
        (LinkName::new("flannel-v6.1").unwrap(), mac("c6:d2:32:6f:8f:46")),
    ]
    .into()
}

pub(super) fn overlay(text: &str, dual: bool) -> Overlay {
    let subnet = if dual { "10.5.1.0-24&fd05:0:0:1::-64" } else { "10.5.1.0-24" };
    backend(text).unwrap().overlay(underlay(dual), subnet.parse().unwrap(), &macs(), dual).unwrap()
}

pub(super) fn peer(subnet: &str, value: &str) -> Peer {
    let value = LeaseValue::decode(value.as_bytes()).unwrap();
    Peer { subnet: subnet.parse().unwrap(), value, revision: 1, session: None }
}

fn flannel_peer() -> Peer {
    peer(
        "10.5.9.0-24",
        r#"{"PublicIP":"10.0.0.9","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:0f"}}"#,
    )
}

fn routes(state: &NetState) -> Vec<(String, Option<String>, bool)> {
    let of = |r: &netstate::Route| (r.dst.to_string(), r.via.map(|ip| ip.to_string()), r.onlink);
    state.routes.iter().map(of).collect()
}

#[test]
fn a_public_address_is_published_and_the_interfaces_is_the_source_of_packets() {
    let mut behind_nat = underlay(false);
    behind_nat.public_v4 = "203.0.113.7".parse().unwrap();
    let backend = backend(r#"{"Type":"vxlan"}"#).unwrap();
    let value = backend.publish(&behind_nat, &macs()).unwrap();
    assert_eq!(value.public_ip.to_string(), "203.0.113.7");
    let overlay = backend.overlay(behind_nat, "10.5.1.0-24".parse().unwrap(), &macs(), false);
    let Devices::Vxlan(devices) = overlay.unwrap().devices else { panic!("vxlan") };
    assert_eq!(devices[0].local.to_string(), "10.0.0.1");
}

#[test]
fn keys_are_read_in_any_case_with_flannels_defaults() {
    assert_eq!(backend(r#"{"Type":"vxlan"}"#), backend(r#"{"Type":"vxlan","vni":1,"PORT":0}"#));
    let device = |text: &str| {
        let Devices::Vxlan(all) = overlay(text, false).devices else { panic!("{text}") };
        all[0].clone()
    };
    let plain = device(r#"{"Type":"vxlan"}"#);
    assert_eq!((plain.vni, plain.port, plain.mtu), (1, None, 1450));
    assert!(!plain.learning && !plain.gbp);
    let other =
        device(r#"{"Type":"vxlan","VNI":7,"Port":4789,"MTU":1400,"GBP":true,"Learning":true}"#);
    assert_eq!((other.name.as_str(), other.port, other.mtu), ("flannel.7", Some(4789), 1350));
    assert!(other.learning && other.gbp);
    assert_eq!(backend(r#"{"Type":"host-gw"}"#), Ok(Backend::HostGw));
}

#[test]
fn wrong_keys_are_named_with_the_remedy() {
    for (text, says) in [
        (
            r#"{"Type":"ipsec"}"#,
            "\"ipsec\" is none that netd has: use vxlan, host-gw, ipip, wireguard, udp, extension",
        ),
        (r#"{"Type":""}"#, "wireguard, udp, extension or alloc"),
        (r#"{"Type":"vxlan","VNI":0}"#, "use 1 to 16777215"),
        (r#"{"Type":"vxlan","VNI":16777216}"#, "use 1 to 16777215"),
        (r#"{"Type":"vxlan","Port":70000}"#, "Backend.Port"),
        (r#"{"Type":"vxlan","DirectRouting":"yes"}"#, "Backend.DirectRouting"),
        (r#"{"Type":"udp","Port":0}"#, "cannot be 0"),
        (r#"{"Type":"ipip","DirectRouting":1}"#, "as in {\"Type\": \"ipip\""),
    ] {
        let error = backend(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let long = backend(r#"{"Type":"vxlan","VNI":10000}"#).unwrap();
    assert_eq!(long.devices(false).unwrap().len(), 1);
    assert!(long.devices(true).unwrap_err().to_string().contains("up to 9999 with IPv6"));
}

#[test]
fn devices_that_cannot_be_made_are_a_wrong_configuration() {
    let of = |backend: &str, dual: bool| {
        let v6 = if dual { r#""EnableIPv6":true,"IPv6Network":"fd00:5::/48","# } else { "" };
        let text = format!(r#"{{"Network":"10.5.0.0/16",{v6}"Backend":{backend}}}"#);
        let config = NetworkConfig::parse(text.as_bytes()).unwrap();
        Backend::of(&config).map(drop).map_err(|error| error.to_string())
    };
    for (backend, dual, says) in [
        (r#"{"Type":"vxlan","VNI":10000000}"#, false, "use up to 9999999"),
        (r#"{"Type":"vxlan","VNI":16777215}"#, false, "Backend.VNI 16777215"),
        (r#"{"Type":"vxlan","VNI":10000}"#, true, "up to 9999 with IPv6"),
        (
            r#"{"Type":"vxlan","MTU":67}"#,
            false,
            "Backend.MTU 67 is out of range: use 118 to 65535;",
        ),
        (r#"{"Type":"vxlan","MTU":117}"#, false, "50 less"),
        (r#"{"Type":"vxlan","MTU":65536}"#, false, "Backend.MTU 65536"),
        (r#"{"Type":"vxlan","MTU":1349}"#, true, "use 1350 to 65535 with IPv6"),
        (r#"{"Type":"wireguard","MTU":147}"#, false, "use 148 to 65535"),
        (r#"{"Type":"wireguard","MTU":1359}"#, true, "use 1360 to 65535 with IPv6"),
    ] {
        let error = of(backend, dual).unwrap_err();
        assert!(error.contains(says), "{backend}: {error}");
    }
    for (backend, dual) in [
        (r#"{"Type":"vxlan","VNI":9999999,"MTU":118}"#, false),
        (r#"{"Type":"vxlan","VNI":9999,"MTU":1350}"#, true),
        (r#"{"Type":"wireguard","MTU":65535}"#, true),
        (r#"{"Type":"vxlan","MTU":0}"#, true),
        (r#"{"Type":"host-gw","MTU":1,"VNI":10000000}"#, true),
    ] {
        assert_eq!(of(backend, dual), Ok(()), "{backend}");
    }
}

#[test]
fn what_is_published_is_what_flannel_writes_byte_for_byte() {
    let bytes = |text: &str, dual| {
        let value = backend(text).unwrap().publish(&underlay(dual), &macs()).unwrap();
        String::from_utf8(value.encode()).unwrap()
    };
    assert_eq!(
        bytes(r#"{"Type":"vxlan"}"#, false),
        r#"{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#
    );
    assert_eq!(
        bytes(r#"{"Type":"vxlan"}"#, true),
        r#"{"PublicIP":"10.0.0.1","PublicIPv6":"fd00::1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"},"BackendV6Data":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:46"}}"#
    );
    assert_eq!(
        bytes(r#"{"Type":"host-gw"}"#, false),
        r#"{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"host-gw"}"#
    );
    assert_eq!(
        bytes(r#"{"Type":"ipip"}"#, false),
        r#"{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"ipip"}"#
    );
    assert_eq!(bytes(r#"{"Type":"udp"}"#, false), r#"{"PublicIP":"10.0.0.1","PublicIPv6":null}"#);
    assert_eq!(bytes(r#"{"Type":"alloc"}"#, false), r#"{"PublicIP":"10.0.0.1","PublicIPv6":null}"#);
}

#[test]
fn host_gw_is_refused_behind_address_translation() {
    let nat = Underlay { public_v4: "203.0.113.1".parse().unwrap(), ..underlay(false) };
    let error = Backend::HostGw.publish(&nat, &macs()).unwrap_err().to_string();
    assert!(error.contains("or use vxlan"), "{error}");
}

#[test]
fn containers_get_the_smallest_mtu_of_all_families() {
    assert_eq!(overlay(r#"{"Type":"vxlan"}"#, false).mtu(), 1450);
    assert_eq!(overlay(r#"{"Type":"vxlan"}"#, true).mtu(), 1430);
    assert_eq!(overlay(r#"{"Type":"host-gw"}"#, true).mtu(), 1500);
    assert_eq!(overlay(r#"{"Type":"ipip"}"#, true).mtu(), 1480);
    assert_eq!(overlay(r#"{"Type":"udp"}"#, true).mtu(), 1472);
}

#[test]
fn a_peer_of_flannels_is_a_neighbour_a_forwarding_entry_and_an_onlink_route() {
    let overlay = overlay(r#"{"Type":"vxlan"}"#, false);
    let state = overlay.peer(&flannel_peer(), &mut |_| panic!("not asked")).unwrap();
    assert_eq!(routes(&state), [("10.5.9.0/24".into(), Some("10.5.9.0".into()), true)]);
    assert_eq!((state.neighs.len(), state.fdb.len(), state.links.len()), (1, 1, 0));
    let mac: BTreeSet<_> = state.fdb.iter().map(|e| e.mac.to_string()).collect();
    assert!(mac.contains("aa:bb:cc:dd:ee:0f"));
}

#[test]
fn a_peer_on_the_same_link_gets_a_plain_route_where_direct_routing_is_on() {
    let overlay = overlay(r#"{"Type":"vxlan","DirectRouting":true}"#, false);
    let near = overlay.peer(&flannel_peer(), &mut |ip| ip.to_string() == "10.0.0.9").unwrap();
    assert_eq!(routes(&near), [("10.5.9.0/24".into(), Some("10.0.0.9".into()), false)]);
    assert!(near.fdb.is_empty() && near.neighs.is_empty());
    let far = overlay.peer(&flannel_peer(), &mut |_| false).unwrap();
    assert_eq!(far.fdb.len(), 1);
}

#[test]
fn a_peer_of_ipip_is_an_onlink_route_through_the_tunnel_or_a_plain_one() {
    let value = r#"{"PublicIP":"10.0.0.9","PublicIPv6":"fd00::9","BackendType":"ipip"}"#;
    let peer = peer("10.5.9.0-24&fd05:0:0:9::-64", value);
    let there = |text: &str| {
        let state = overlay(text, true).peer(&peer, &mut |_| true).unwrap();
        state.routes.iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let routes = there(r#"{"type":"ipip","other":1}"#);
    assert_eq!(routes.len(), 1, "IPv4 only: {routes:?}");
    assert_eq!((routes[0].onlink, routes[0].dev.as_ref()), (true, Some(&drivers::ipip::name())));
    let direct = there(r#"{"Type":"ipip","directrouting":true}"#);
    assert_eq!((direct[0].onlink, direct[0].dev.as_ref().unwrap().as_str()), (false, "eth0"));
}

#[test]
fn a_peer_of_another_backend_or_without_data_is_refused_with_the_reason() {
    let overlay = overlay(r#"{"Type":"vxlan"}"#, false);
    for (value, says) in [
        (r#"{"PublicIP":"10.0.0.9","BackendType":"host-gw"}"#, "its backend is \"host-gw\""),
        (r#"{"PublicIP":"10.0.0.9","BackendType":"vxlan"}"#, "has no BackendData"),
        (r#"{"PublicIP":"10.0.0.9","BackendType":"vxlan","BackendData":{"VNI":1}}"#, "BackendData"),
        (
            r#"{"PublicIP":"10.0.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"x"}}"#,
            "\"x\" is not valid",
        ),
        (
            r#"{"PublicIP":"10.0.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"ff:ff:ff:ff:ff:ff"}}"#,
            "is no host's",
        ),
    ] {
        let error = overlay.peer(&peer("10.5.9.0-24", value), &mut |_| false).unwrap_err();
        assert!(error.to_string().contains(says), "{value}: {error}");
    }
}
