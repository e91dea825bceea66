use super::*;

fn net(text: &str) -> IpNetwork {
    crate::parse_cidr(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn with(subnet: &str, start: &str, end: &str, gateway: &str) -> RangeSpec {
    let given = |text: &str| (!text.is_empty()).then(|| ip(text));
    RangeSpec {
        subnet: net(subnet),
        range_start: given(start),
        range_end: given(end),
        gateway: given(gateway),
    }
}

#[test]
fn defaults_are_those_of_the_reference() {
    for (subnet, range, gateway) in [
        ("192.0.2.0/24", "192.0.2.1-192.0.2.254", "192.0.2.1"),
        ("192.0.2.0/25", "192.0.2.1-192.0.2.126", "192.0.2.1"),
        ("192.0.2.4/30", "192.0.2.5-192.0.2.6", "192.0.2.5"),
        ("0.0.0.0/0", "0.0.0.1-255.255.255.254", "0.0.0.1"),
        ("2001:db8:1::/64", "2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff", "2001:db8:1::1"),
        ("fd00::4/126", "fd00::5-fd00::7", "fd00::5"),
    ] {
        let canonical = RangeSpec::of(net(subnet)).canonicalize().unwrap();
        assert_eq!(canonical.to_string(), range);
        assert_eq!(canonical.gateway(), ip(gateway));
    }
}

#[test]
fn given_bounds_are_kept_and_mapped_addresses_become_ipv4() {
    let range = with("192.0.2.0/24", "::ffff:192.0.2.40", "192.0.2.50", "192.0.2.254")
        .canonicalize()
        .unwrap();
    assert_eq!(range.to_string(), "192.0.2.40-192.0.2.50");
    assert_eq!(range.gateway(), ip("192.0.2.254"));
    assert!(range.contains(ip("192.0.2.40")) && range.contains(ip("::ffff:192.0.2.50")));
    assert!(!range.contains(ip("192.0.2.39")) && !range.contains(ip("192.0.2.51")));
    assert!(!range.contains(ip("::c000:228")));
    assert_eq!(range.with_prefix(ip("192.0.2.41")).to_string(), "192.0.2.41/24");
}

#[test]
fn the_network_and_the_broadcast_address_may_be_named_as_bounds() {
    let range = with("10.0.0.0/24", "10.0.0.0", "10.0.0.255", "").canonicalize().unwrap();
    assert_eq!(range.to_string(), "10.0.0.0-10.0.0.255");
}

#[test]
fn errors_name_the_key_and_the_value() {
    for (spec, text) in [
        (
            with("192.0.2.0/31", "", "", ""),
            "Network 192.0.2.0/31 too small to allocate from: the prefix length of 'subnet' may be at most 30",
        ),
        (
            with("fd00::/127", "", "", ""),
            "Network fd00::/127 too small to allocate from: the prefix length of 'subnet' may be at most 126",
        ),
        (
            with("192.0.2.1/24", "", "", ""),
            "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0 ('subnet' is 192.0.2.1/24)",
        ),
        (
            with("192.0.2.0/24", "192.0.3.0", "", ""),
            "RangeStart 192.0.3.0 not in network 192.0.2.0/24",
        ),
        (
            with("192.0.2.0/24", "", "192.0.4.0", ""),
            "RangeEnd 192.0.4.0 not in network 192.0.2.0/24",
        ),
        (with("192.0.2.0/24", "fd00::1", "", ""), "RangeStart fd00::1 not in network 192.0.2.0/24"),
        (
            with("192.0.2.0/24", "192.0.2.50", "192.0.2.40", ""),
            "RangeStart 192.0.2.50 lies behind RangeEnd 192.0.2.40 in network 192.0.2.0/24",
        ),
        (
            with("192.0.2.0/24", "", "", "fd00::1"),
            "gateway fd00::1 is not of the same address family as network 192.0.2.0/24",
        ),
    ] {
        assert_eq!(spec.canonicalize().unwrap_err().to_string(), text);
    }
    let mapped = RangeSpec::of(IpNetwork::new(ip("::ffff:10.0.0.0"), 120).unwrap());
    assert!(mapped.canonicalize().unwrap_err().to_string().starts_with("IPNet IP and Mask"));
}
