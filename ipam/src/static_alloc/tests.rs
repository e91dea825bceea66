use super::*;

fn entry(address: &str, gateway: Option<&str>) -> StaticAddress {
    StaticAddress {
        address: address.parse().unwrap(),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
    }
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn gateways_go_to_the_addresses_whose_subnet_holds_them() {
    let mut addresses = [
        entry("10.10.0.1/24", None),
        entry("3ffe::1/64", None),
        entry("11.0.0.2/8", Some("11.0.0.9")),
    ];
    let left = assign_gateways(
        &mut addresses,
        &ips(&["3ffe::fe", "10.10.0.254", "11.0.0.1", "192.0.2.1"]),
    );
    assert_eq!(addresses[0].gateway, Some("10.10.0.254".parse().unwrap()));
    assert_eq!(addresses[1].gateway, Some("3ffe::fe".parse().unwrap()));
    assert_eq!(addresses[2].gateway, Some("11.0.0.9".parse().unwrap()), "its own one stays");
    assert_eq!(left, ips(&["192.0.2.1"]));
}

#[test]
fn usable_addresses_pass_also_with_a_gateway_outside_of_the_subnet() {
    check(&[entry("10.0.0.5/32", Some("169.254.1.1")), entry("fd00::5/64", None)]).unwrap();
    check(&[]).unwrap();
}

#[test]
fn what_no_interface_can_have_is_refused_naming_the_value() {
    for (addresses, text) in [
        (
            vec![entry("0.0.0.0/0", None)],
            "address 0.0.0.0/0 is unspecified, not an address of an interface",
        ),
        (
            vec![entry("ff02::1/64", None)],
            "address ff02::1/64 is multicast, not an address of an interface",
        ),
        (
            vec![entry("10.0.0.5/24", Some("fd00::1"))],
            "gateway fd00::1 is not of the same address family as address 10.0.0.5/24",
        ),
        (vec![entry("10.0.0.5/24", Some("10.0.0.5"))], "address 10.0.0.5/24 is its own gateway"),
        (
            vec![entry("10.0.0.5/24", None), entry("10.0.0.5/16", None)],
            "address 10.0.0.5 is given twice",
        ),
    ] {
        assert_eq!(check(&addresses).unwrap_err().to_string(), text);
    }
}
