use std::collections::BTreeMap;

use netstate::{LinkKind, WgPeer};

use super::super::tests::{backend, peer, underlay};
use super::super::{Backend, Overlay};
use super::*;

/// Of RFC 7748, section 6.1: Alice's keys.
const PRIVATE: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
const PUBLIC: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
/// Bob's.
const OTHER: &str = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=";

fn wireguard(keys: &str) -> Backend {
    let text = format!(r#"{{"Type":"wireguard"{keys}}}"#);
    let Backend::WireGuard(conf) = backend(&text).unwrap() else { panic!("{text}") };
    Backend::WireGuard(conf.with_key(PRIVATE.parse().unwrap()))
}

fn overlay(keys: &str, dual: bool) -> Overlay {
    let subnet = if dual { "10.5.1.0-24&fd05:0:0:1::-64" } else { "10.5.1.0-24" };
    let (underlay, macs) = (underlay(dual), BTreeMap::new());
    wireguard(keys).overlay(underlay, subnet.parse().unwrap(), &macs, dual).unwrap()
}

fn published(keys: &str, dual: bool) -> String {
    let value = wireguard(keys).publish(&underlay(dual), &BTreeMap::new()).unwrap();
    String::from_utf8(value.encode()).unwrap()
}

fn other(v4: &str, v6: &str) -> Peer {
    let value = format!(
        r#"{{"PublicIP":"{v4}","PublicIPv6":"{v6}","BackendType":"wireguard","BackendData":{{"PublicKey":"{OTHER}","Port":51820}},"BackendV6Data":{{"PublicKey":"{OTHER}","Port":51821}}}}"#
    );
    peer("10.5.9.0-24&fd05:0:0:9::-64", &value)
}

fn peers(overlay: &Overlay, peer: &Peer) -> Vec<WgPeer> {
    let state = overlay.peer(peer, &mut |_| panic!("not asked")).unwrap();
    state.wg_peers.into_values().collect()
}

fn endpoints(overlay: &Overlay, peer: &Peer) -> Vec<String> {
    let of = |peer: WgPeer| format!("{} {}", peer.link, peer.endpoint.unwrap());
    peers(overlay, peer).into_iter().map(of).collect()
}

#[test]
fn what_is_published_is_what_flannel_writes_byte_for_byte() {
    assert_eq!(
        published("", false),
        format!(
            r#"{{"PublicIP":"10.0.0.1","PublicIPv6":null,"BackendType":"wireguard","BackendData":{{"PublicKey":"{PUBLIC}","Port":51820}}}}"#
        )
    );
    assert!(
        published("", true)
            .ends_with(&format!(r#""BackendV6Data":{{"PublicKey":"{PUBLIC}","Port":51821}}}}"#))
    );
}

#[test]
fn with_one_device_the_port_it_listens_on_is_published_for_both_families() {
    for mode in ["auto", "ipv4", "ipv6"] {
        let text = published(&format!(r#","Mode":"{mode}","ListenPort":5000"#), true);
        assert_eq!(text.matches(r#""Port":5000"#).count(), 2, "{text}");
    }
}

#[test]
fn each_family_has_its_device_or_one_is_for_both() {
    let shown = |keys: &str, dual| -> Vec<String> {
        let own = overlay(keys, dual).own();
        let port = |link: &netstate::Link| {
            let LinkKind::WireGuard(own) = &link.kind else { panic!("{link:?}") };
            own.port.unwrap()
        };
        let addrs = |name: &LinkName| own.addrs.iter().filter(|a| a.link == *name).count();
        let links = own.links.values();
        links
            .map(|l| format!("{} {} {} {}", l.name, port(l), l.mtu.unwrap(), addrs(&l.name)))
            .collect()
    };
    assert_eq!(shown("", false), ["flannel-wg 51820 1420 1"]);
    let both = ["flannel-wg 51820 1420 1", "flannel-wg-v6 51821 1420 1"];
    assert_eq!(shown("", true), both);
    assert_eq!(shown(r#","mode":"auto","MTU":1400"#, true), ["flannel-wg 51820 1320 2"]);
    assert_eq!(overlay("", true).mtu(), 1420);
}

#[test]
fn a_peer_is_reached_by_the_address_that_the_mode_says() {
    let far = other("192.0.2.9", "2001:db8::9");
    let reached = |keys: &str, peer: &Peer| endpoints(&overlay(keys, true), peer);
    let separate = ["flannel-wg 192.0.2.9:51820", "flannel-wg-v6 [2001:db8::9]:51821"];
    assert_eq!(reached("", &far), separate);
    assert_eq!(reached(r#","Mode":"ipv4""#, &far), ["flannel-wg 192.0.2.9:51820"]);
    // flannel publishes a port for IPv6 that nobody listens on with one device.
    assert_eq!(reached(r#","Mode":"ipv6""#, &far), ["flannel-wg [2001:db8::9]:51820"]);
    assert_eq!(reached(r#","Mode":"auto""#, &far), ["flannel-wg 192.0.2.9:51820"]);
}

#[test]
fn mode_auto_prefers_public_ipv4_then_ipv6_that_is_global_on_both_sides() {
    let (v4, private) = ([192, 0, 2, 9].into(), [10, 0, 0, 9].into());
    let global: Option<Ipv6Addr> = Some("2001:db8::9".parse().unwrap());
    let local: Option<Ipv6Addr> = Some("fd00::9".parse().unwrap());
    for (own, v4, v6, takes_v6) in [
        (global, v4, global, false),
        (global, private, global, true),
        (local, private, global, false),
        (global, private, local, false),
        (global, private, None, false),
        (None, private, global, false),
    ] {
        assert_eq!(choose(own, v4, v6).is_ipv6(), takes_v6, "{own:?} {v4} {v6:?}");
    }
}

#[test]
fn a_peer_gets_the_secret_of_all_and_may_send_from_its_subnets() {
    let keys = format!(r#","Mode":"auto","PSK":"{PUBLIC}","PersistentKeepaliveInterval":25"#);
    let all = peers(&overlay(&keys, true), &other("10.0.0.9", "fd00::9"));
    let [peer] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((peer.keepalive, peer.allowed.len()), (25, 2));
    assert_eq!(peer.preshared, Some(PUBLIC.parse().unwrap()));
    assert!(!format!("{peer:?}").contains(PUBLIC), "secrets are not printed");
}

#[test]
fn a_peer_without_a_port_listens_on_this_host_s() {
    let value = format!(
        r#"{{"PublicIP":"10.0.0.9","BackendType":"wireguard","BackendData":{{"PublicKey":"{OTHER}"}}}}"#
    );
    let overlay = overlay(r#","ListenPort":4000"#, false);
    assert_eq!(endpoints(&overlay, &peer("10.5.9.0-24", &value)), ["flannel-wg 10.0.0.9:4000"]);
    let value = value.replace(OTHER, "x");
    let refused = overlay.peer(&peer("10.5.9.0-24", &value), &mut |_| false).unwrap_err();
    assert!(refused.to_string().contains("in BackendData of its lease"), "{refused}");
}

#[test]
fn wrong_keys_are_named_with_the_remedy() {
    for (keys, says) in [
        (r#""Mode":"both""#, "use separate, auto, ipv4 or ipv6"),
        (r#""ListenPort":0"#, "cannot be 0"),
        (r#""ListenPort":70000"#, "Backend.ListenPort"),
        (r#""PSK":"secret""#, "not the base64 of 32 bytes"),
    ] {
        let error = backend(&format!(r#"{{"Type":"wireguard",{keys}}}"#)).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{keys}: {error}");
    }
    let refused = |keys: &str, dual| {
        let refused = wireguard(keys).publish(&underlay(dual), &BTreeMap::new());
        refused.unwrap_err().to_string()
    };
    assert!(refused(r#","ListenPortV6":51820"#, true).contains("cannot share a port"));
    assert!(refused(r#","Mode":"ipv6""#, false).contains("needs IPv6 between hosts"));
    assert!(
        wireguard(r#","ListenPortV6":51820"#).publish(&underlay(false), &BTreeMap::new()).is_ok()
    );
}
