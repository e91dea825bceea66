use proptest::prelude::*;

use super::*;

fn parse(json: &str) -> Result<NetworkConfig, InvalidConfig> {
    NetworkConfig::parse(json.as_bytes())
}

/// The effective values of some keys, as text.
#[track_caller]
fn effective(json: &str, keys: &[&str]) -> Vec<String> {
    let config = parse(json).unwrap().effective();
    let value = |key: &&str| {
        let found = config.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        found.map_or("-".to_owned(), |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    keys.iter().map(value).collect()
}

#[track_caller]
fn refuses(json: &str, parts: &[&str]) {
    let error = parse(json).unwrap_err().to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{json}: {error}");
    assert!(!error.contains('\n'), "{error}");
}

const V4: [&str; 4] = ["Network", "SubnetLen", "SubnetMin", "SubnetMax"];
const V6: [&str; 4] = ["IPv6Network", "IPv6SubnetLen", "IPv6SubnetMin", "IPv6SubnetMax"];

#[test]
fn defaults_are_derived_as_flannel_derives_them() {
    // flannel `pkg/subnet/config_test.go`, `TestConfigDefaults`.
    assert_eq!(
        effective(r#"{ "network": "10.3.0.0/16" }"#, &V4),
        ["10.3.0.0/16", "24", "10.3.1.0", "10.3.255.0"]
    );
    let json = r#"{"Network":"10.3.0.0/16","ipv6Network":"fc00::/48","enableIPv6":true}"#;
    assert_eq!(effective(json, &V6), ["fc00::/48", "64", "fc00:0:0:1::", "fc00:0:0:ffff::"]);
    for (network, length, min, max) in [
        ("10.0.0.0/8", "24", "10.0.1.0", "10.255.255.0"),
        ("10.3.0.0/22", "24", "10.3.1.0", "10.3.3.0"),
        ("10.3.0.0/23", "25", "10.3.0.128", "10.3.1.128"),
        ("10.3.0.0/28", "30", "10.3.0.4", "10.3.0.12"),
        ("128.0.0.0/2", "24", "128.0.1.0", "191.255.255.0"),
        ("255.255.0.0/16", "24", "255.255.1.0", "255.255.255.0"),
    ] {
        let json = format!(r#"{{"Network":"{network}"}}"#);
        assert_eq!(effective(&json, &V4), [network, length, min, max]);
    }
    for (network, length, min, max) in [
        ("fd00::/62", "64", "fd00:0:0:1::", "fd00:0:0:3::"),
        ("fd00::/63", "65", "fd00::8000:0:0:0", "fd00:0:0:1:8000::"),
        ("fd00::/124", "126", "fd00::4", "fd00::c"),
        ("8000::/2", "64", "8000:0:0:1::", "bfff:ffff:ffff:ffff::"),
    ] {
        let json =
            format!(r#"{{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"{network}"}}"#);
        assert_eq!(effective(&json, &V6), [network, length, min, max]);
    }
}

#[test]
fn what_is_given_is_taken() {
    // `TestConfigOverrides`.
    let json = r#"{ "Network": "10.3.0.0/16", "SubnetMin": "10.3.5.0", "SubnetMax": "10.3.8.0",
        "SubnetLen": 28, "Backend": { "Type": "VXLAN", "VNI": 7 } }"#;
    assert_eq!(effective(json, &V4), ["10.3.0.0/16", "28", "10.3.5.0", "10.3.8.0"]);
    let backend = parse(json).unwrap().backend;
    assert_eq!(backend.kind, "vxlan");
    assert_eq!(backend.options.field("vni").unwrap().as_u64(), Some(7));
    let json = r#"{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48",
        "IPv6SubnetMin":"fc00:0:0:2::","IPv6SubnetMax":"fc00:0:0:4::","IPv6SubnetLen":80}"#;
    assert_eq!(effective(json, &V6), ["fc00::/48", "80", "fc00:0:0:2::", "fc00:0:0:4::"]);
}

#[test]
fn keys_are_read_as_go_reads_them() {
    let network = |json: &str| effective(json, &["Network"]).remove(0);
    assert_eq!(network(r#"{"NETWORK":"10.3.0.0/16"}"#), "10.3.0.0/16");
    assert_eq!(network(r#"{"Network":"10.3.0.0/16","network":"10.4.0.0/16"}"#), "10.4.0.0/16");
    assert_eq!(network(r#"{"Network":"10.3.0.0/16","network":null}"#), "10.3.0.0/16");
    assert_eq!(network(r#"{"Network":"10.3.7.7/16","Other":[1],"SubnetLen":null}"#), "10.3.0.0/16");
    assert_eq!(network(r#"{"Network":"10.3.0.0/16","SubnetLen":0}"#), "10.3.0.0/16");
    // Not looked at while IPv6 is off.
    assert_eq!(network(r#"{"Network":"10.3.0.0/16","IPv6Network":"junk"}"#), "10.3.0.0/16");
}

#[test]
fn without_a_backend_it_is_udp_as_flannels_code_has_it() {
    let kind = |json: &str| parse(json).unwrap().backend.kind;
    assert_eq!(kind(r#"{"Network":"10.3.0.0/16"}"#), "udp");
    assert_eq!(kind(r#"{"Network":"10.3.0.0/16","Backend":null}"#), "udp");
    assert_eq!(kind(r#"{"Network":"10.3.0.0/16","Backend":{}}"#), "");
    assert_eq!(kind(r#"{"Network":"10.3.0.0/16","backend":{"type":"Host-GW"}}"#), "host-gw");
}

#[test]
fn what_is_wrong_is_said_with_key_value_and_remedy() {
    refuses("", &["the network configuration is wrong", "write it as in"]);
    refuses("[]", &["expected an object", "write it as in"]);
    refuses("{}", &["Network is missing", "10.5.0.0/16"]);
    refuses(r#"{"Network":7}"#, &["Network", "7", "write it as in"]);
    refuses(r#"{"Network":""}"#, &["Network", "write it as in"]);
    refuses(r#"{"Network":"10.5.0.0"}"#, &["Network", "10.5.0.0", "write it as in"]);
    refuses(r#"{"Network":"fd00::/48"}"#, &["Network", "fd00::/48", "IPv4"]);
    refuses(r#"{"Network":"10.5.0.0/33"}"#, &["10.5.0.0/33", "IPv4"]);
    refuses(r#"{"Network":"0.0.0.0/0"}"#, &["0.0.0.0/0", "write it as in"]);
    refuses(r#"{"Network":"10.5.0.0/29"}"#, &["10.5.0.0/29", "too small", "/28"]);
    let with = |rest: &str| format!(r#"{{"Network":"10.5.0.0/16",{rest}}}"#);
    refuses(&with(r#""SubnetLen":31"#), &["SubnetLen 31", "less than /31"]);
    refuses(&with(r#""SubnetLen":300"#), &["SubnetLen 300", "less than /31"]);
    refuses(&with(r#""SubnetLen":-1"#), &["SubnetLen", "-1"]);
    refuses(&with(r#""SubnetLen":"24""#), &["SubnetLen", "\"24\""]);
    refuses(&with(r#""SubnetLen":17"#), &["SubnetLen 17", "four", "at least 18"]);
    refuses(&with(r#""SubnetMin":"10.6.0.0""#), &["SubnetMin", "10.6.0.0", "not in Network"]);
    refuses(&with(r#""SubnetMin":"10.5.1.7""#), &["SubnetMin", "10.5.1.7", "write 10.5.1.0"]);
    refuses(&with(r#""SubnetMax":"fd00::""#), &["SubnetMax", "fd00::", "family"]);
    refuses(
        &with(r#""SubnetMin":"10.5.9.0","SubnetMax":"10.5.8.0""#),
        &["SubnetMin 10.5.9.0", "above SubnetMax 10.5.8.0", "exchange"],
    );
    refuses(&with(r#""EnableIPv4":false"#), &["EnableIPv4 false", "leave EnableIPv4 out"]);
    refuses(&with(r#""EnableIPv6":true"#), &["IPv6Network is missing", "fd00:5::/48"]);
    refuses(&with(r#""EnableIPv6":"yes""#), &["EnableIPv6", "\"yes\""]);
    let v6 = r#""EnableIPv6":true,"IPv6Network":"fd00::/48""#;
    refuses(&with(&format!(r#"{v6},"IPv6SubnetLen":127"#)), &["IPv6SubnetLen 127", "/127"]);
    refuses(&with(&format!(r#"{v6},"IPv6SubnetLen":49"#)), &["IPv6SubnetLen 49", "at least 50"]);
    refuses(&with(r#""Backend":"vxlan""#), &["Backend \"vxlan\"", "write it as in"]);
    refuses(&with(r#""Backend":{"Type":7}"#), &["Backend.Type", "7"]);
}

#[test]
fn subnets_that_linux_does_not_route_are_refused() {
    for network in ["127.0.0.0/8", "127.5.0.0/16", "224.0.0.0/4", "239.1.0.0/16", "128.0.0.0/1"] {
        let json = format!(r#"{{"Network":"{network}"}}"#);
        refuses(&json, &[&format!("Network {network}: it has subnets in "), "10.5.0.0/16"]);
    }
    for network in ["ff02::/16", "fe80::/48", "8000::/1", "::ffff:0:0/96"] {
        let json =
            format!(r#"{{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"{network}"}}"#);
        refuses(&json, &["IPv6Network ", "it has subnets in ", "fd00:5::/48"]);
    }
    let left_out = r#"{"Network":"128.0.0.0/1","SubnetMax":"191.0.0.0"}"#;
    assert_eq!(effective(left_out, &["SubnetMax"]), ["191.0.0.0"]);
    assert_eq!(effective(r#"{"Network":"240.0.0.0/8"}"#, &["SubnetLen"]), ["24"]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = NetworkConfig::parse(&bytes);
    }

    #[test]
    fn a_range_that_is_accepted_is_inside_the_network_and_not_empty(
        base: u32,
        prefix in 1_u8..=32,
        length in proptest::option::of(0_u32..40),
        ends: (Option<u32>, Option<u32>),
    ) {
        let address = |end: Option<u32>| end.map(|n| std::net::Ipv4Addr::from(n).to_string());
        let json = serde_json::json!({
            "Network": format!("{}/{prefix}", std::net::Ipv4Addr::from(base)),
            "SubnetLen": length,
            "SubnetMin": address(ends.0),
            "SubnetMax": address(ends.1),
        });
        if let Ok(config) = parse(&json.to_string()) {
            let count = config.subnets.count();
            prop_assert!(count >= 1);
            for index in [0, count / 2, count - 1] {
                let subnet = config.subnets.nth(index).unwrap();
                prop_assert!(config.subnets.contains(subnet));
                let whole = ipnetwork::IpNetwork::V4(config.network);
                prop_assert!(whole.contains(subnet.network()), "{subnet} in {whole}");
                prop_assert_eq!(config.subnets.indices(subnet), Some((index, index)));
            }
            prop_assert_eq!(config.subnets.nth(count), None);
        }
    }
}
