use super::super::tests::{overlay, peer};
use super::*;

const VXLAN: &str = r#"{"Type":"vxlan"}"#;

/// A lease of a host with these addresses.
fn at(v4: &str, v6: &str) -> String {
    format!(
        r#"{{"PublicIP":"{v4}","PublicIPv6":"{v6}","BackendType":"vxlan","BackendData":{{"VtepMAC":"aa:bb:cc:dd:ee:0f"}},"BackendV6Data":{{"VtepMAC":"aa:bb:cc:dd:ee:0e"}}}}"#
    )
}

fn refused(overlay: &Overlay, subnet: &str, value: &str) -> Option<UnusablePeer> {
    overlay.peer(&peer(subnet, value), &mut |_| false).err()
}

#[test]
fn a_peer_whose_route_would_lead_away_what_is_here_is_refused() {
    let overlay = overlay(VXLAN, true);
    let value = r#"{"PublicIP":"10.0.0.9","PublicIPv6":"fd00::9","BackendType":"vxlan","BackendData":{"VtepMAC":"aa:bb:cc:dd:ee:0f"},"BackendV6Data":{"VtepMAC":"aa:bb:cc:dd:ee:0e"}}"#;
    let rows = [
        ("10.5.1.128-25", "10.5.1.0/24"),
        ("10.5.0.0-16", "10.5.1.0/24"),
        ("0.0.0.0-1", "10.5.1.0/24"),
        ("10.0.0.0-30", "10.0.0.1/32"),
        ("10.0.0.8-30", "10.0.0.9/32"),
        ("10.5.9.0-24&fd05:0:0:1:8000::-65", "fd05:0:0:1::/64"),
        ("10.5.9.0-24&fd00::-64", "fd00::1/128"),
    ];
    for (subnet, net) in rows {
        let refused = overlay.peer(&peer(subnet, value), &mut |_| false);
        assert_eq!(refused, Err(UnusablePeer::InTheWay(net.parse().unwrap())), "{subnet}");
    }
    assert!(overlay.peer(&peer("10.5.9.0-24&fd05:0:0:9::-64", value), &mut |_| false).is_ok());
    // A neighbouring network of another configuration is a peer, as with flannel.
    assert!(overlay.peer(&peer("10.6.9.0-24", value), &mut |_| false).is_ok());
}

/// The store is away once its address is led away, and does not tell that the lease is gone.
#[test]
fn a_peer_whose_route_would_lead_the_store_or_a_gateway_away_is_refused() {
    let guarded = ["10.99.0.254", "10.98.0.1", "fd99::fe"].map(|ip| ip.parse().unwrap());
    let free = overlay(VXLAN, true);
    let guarding = overlay(VXLAN, true).guarding(guarded.into());
    let value = at("10.0.0.9", "fd00::9");
    for (subnet, net) in [
        ("10.99.0.252-30", "10.99.0.254/32"),
        ("10.99.0.254-31", "10.99.0.254/32"),
        ("10.98.0.0-24", "10.98.0.1/32"),
        ("10.5.9.0-24&fd99::-64", "fd99::fe/128"),
    ] {
        let why = Some(UnusablePeer::InTheWay(net.parse().unwrap()));
        assert_eq!(refused(&guarding, subnet, &value), why, "{subnet}");
        assert_eq!(refused(&free, subnet, &value), None, "{subnet}");
    }
    assert_eq!(refused(&guarding, "10.99.0.248-30", &value), None);
}

#[test]
fn a_peer_at_an_address_that_no_host_has_is_refused_and_named() {
    let overlay = overlay(VXLAN, true);
    for ip in ["127.0.0.1", "127.8.0.1", "0.0.0.0", "224.0.0.1", "239.1.2.3", "255.255.255.255"] {
        let why = refused(&overlay, "10.5.9.0-24", &at(ip, "fd00::9")).unwrap();
        assert_eq!(why.to_string(), format!("PublicIP {ip} of its lease is no host's address"));
        assert_eq!(why.kind(), "lease-invalid");
    }
    for ip in ["::1", "::", "ff02::1"] {
        let why = refused(&overlay, "10.5.9.0-24", &at("10.0.0.9", ip)).unwrap();
        assert!(why.to_string().starts_with(&format!("PublicIPv6 {ip} ")), "{why}");
    }
    // A cluster of one link may have no other addresses.
    assert_eq!(refused(&overlay, "10.5.9.0-24", &at("169.254.0.9", "fe80::9")), None);
}

#[test]
fn a_peer_with_a_subnet_that_no_containers_have_is_refused_and_named() {
    let overlay = overlay(VXLAN, true);
    let value = at("10.0.0.9", "fd00::9");
    for (subnet, net) in [
        ("169.254.0.0-16", "169.254.0.0/16"),
        ("169.254.169.254-31", "169.254.0.0/16"),
        ("168.0.0.0-7", "169.254.0.0/16"),
        ("127.0.0.0-24", "127.0.0.0/8"),
        ("224.0.0.0-24", "224.0.0.0/4"),
        ("128.0.0.0-1", "169.254.0.0/16"),
        ("255.255.255.254-31", "255.255.255.255/32"),
        ("10.5.9.0-24&fe80::-64", "fe80::/10"),
        ("10.5.9.0-24&ff02::-64", "ff00::/8"),
    ] {
        let why = refused(&overlay, subnet, &value);
        assert_eq!(why, Some(UnusablePeer::Special(net.parse().unwrap())), "{subnet}");
    }
}
