use super::*;

#[test]
fn the_host_part_is_kept() {
    let net: IpNet = "10.0.0.5/24".parse().unwrap();
    assert_eq!(net.to_string(), "10.0.0.5/24");
    assert!(net.is_ipv4());
    assert_eq!("fd00::5/64".parse::<IpNet>().unwrap().to_string(), "fd00::5/64");
}

#[test]
fn anything_but_a_plain_cidr_is_refused_with_the_text() {
    for text in [
        "",
        "/",
        "10.0.0.5",
        "10.0.0.5/",
        "10.0.0.5/33",
        "10.0.0.5/+8",
        "10.0.0.5/08",
        "10.0.0/8",
        "10.0.0.5/255.0.0.0",
        "fd00::/129",
        "fe80::1%eth0/64",
        "010.0.0.1/8",
        " 10.0.0.1/8",
        "10.0.0.1/8 ",
        "10.0.0.5/1000",
    ] {
        let error = text.parse::<IpNet>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")), "{error}");
    }
}

#[test]
fn a_prefix_longer_than_the_address_is_refused() {
    assert!(IpNet::new("10.0.0.1".parse().unwrap(), 33).is_err());
    let host = IpNet::host("fd00::1".parse().unwrap());
    assert_eq!(host.prefix, 128);
}

#[test]
fn a_cidr_survives_any_input() {
    corpus::survive("address", |input| {
        if let Ok(net) = String::from_utf8_lossy(input).parse::<IpNet>() {
            assert_eq!(net.to_string().parse::<IpNet>(), Ok(net));
        }
    });
}
