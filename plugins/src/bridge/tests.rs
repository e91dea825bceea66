//! Keys and their refusals.

use cni::Code;
use netstate::VlanRange;

use super::conf::{Conf, Mtu};
use super::state::interface;
use crate::testing::{refused, request, request_with, survive};

#[test]
fn defaults_are_the_references() {
    let conf = Conf::of(&request("")).expect("valid");
    assert_eq!(conf.bridge.as_str(), "cni0");
    assert_eq!(conf.mtu, Mtu::Default);
    assert!(!conf.is_gateway && !conf.masquerade && !conf.hairpin && !conf.vlan_filtering);
}

#[test]
fn keys_match_in_any_case() {
    let conf = Conf::of(&request(r#""BRIDGE":"br7","ISGATEWAY":true,"IpMasq":true,"mtu":1400"#));
    let conf = conf.expect("valid");
    assert_eq!((conf.bridge.as_str(), conf.mtu), ("br7", Mtu::Bytes(1400)));
    assert!(conf.is_gateway && conf.masquerade);
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        Conf::of,
        &[
            (r#""bridge":"sixteen-byte-nam""#, Code::InvalidConfig, "sixteen-byte-nam"),
            (r#""bridge":7"#, Code::Decoding, "bridge"),
            (r#""mtu":"big""#, Code::Decoding, "mtu"),
            (r#""mtu":70000"#, Code::InvalidConfig, "70000"),
            (
                r#""vlan":4095"#,
                Code::InvalidConfig,
                "invalid VLAN ID 4095 (must be between 0 and 4094)",
            ),
            (r#""vlan":-1"#, Code::InvalidConfig, "invalid VLAN ID -1"),
            (
                r#""hairpinMode":true,"promiscMode":true"#,
                Code::InvalidConfig,
                "cannot set hairpin mode and promiscuous mode at the same time",
            ),
            (
                r#""disableContainerInterface":true,"ipam":{"type":"host-local"}"#,
                Code::InvalidConfig,
                "cannot use IPAM when DisableContainerInterface flag is set",
            ),
            (r#""ipMasqBackend":"pf""#, Code::InvalidConfig, r#"unknown ipmasq backend "pf""#),
            (
                r#""vlanTrunk":[{"minID":0,"maxID":9}]"#,
                Code::InvalidConfig,
                "incorrect trunk minID parameter",
            ),
            (
                r#""vlanTrunk":[{"minID":1,"maxID":4095}]"#,
                Code::InvalidConfig,
                "incorrect trunk maxID parameter",
            ),
            (r#""vlanTrunk":[{"id":4095}]"#, Code::InvalidConfig, "incorrect trunk id parameter"),
            (
                r#""vlanTrunk":[{"minID":9,"maxID":8}]"#,
                Code::InvalidConfig,
                "minID is greater than maxID",
            ),
            (r#""vlanTrunk":[{"minID":9}]"#, Code::InvalidConfig, "maxID is missing"),
            (r#""vlanTrunk":[{"maxID":9}]"#, Code::InvalidConfig, "minID is missing"),
            (
                r#""runtimeConfig":{"mac":"01:00:00:00:00:01"}"#,
                Code::InvalidConfig,
                "not a unicast address",
            ),
            (r#""args":{"cni":{"mac":"zz"}}"#, Code::InvalidConfig, "args.cni.mac"),
        ],
    );
}

#[test]
fn a_trunk_is_sorted_merged_and_has_a_native_vlan() {
    let conf = r#""vlanTrunk":[{"minID":10,"maxID":12},{"id":13},{"id":5,"minID":11,"maxID":11}]"#;
    let vlans = Conf::of(&request(conf)).expect("valid").vlans.expect("vlans");
    let range = |first, last| VlanRange { first, last, pvid: false, untagged: false };
    let native = VlanRange { pvid: true, untagged: true, ..range(1, 1) };
    assert_eq!(vlans.ranges, [range(5, 5), range(10, 13), native]);
    assert!(!vlans.keep_default);
}

#[test]
fn a_vlan_replaces_the_default_one_and_has_a_gateway_link() {
    let conf = Conf::of(&request(r#""vlan":7"#)).expect("valid");
    let vlans = conf.vlans.expect("vlans");
    assert!(!vlans.keep_default && vlans.ranges[0].pvid);
    assert_eq!(conf.gateway_vlan.expect("gateway").name.as_str(), "cni0.7");
}

#[test]
fn a_mac_comes_from_runtime_config_before_args_before_cni_args() {
    let mac = |keys: &str, args: &str| {
        Conf::of(&request_with(keys, args)).expect("valid").mac.expect("mac").to_string()
    };
    let args = r#""args":{"cni":{"mac":"02:00:00:00:00:02"}}"#;
    let both = format!(r#"{args},"runtimeConfig":{{"mac":"02:00:00:00:00:03"}}"#);
    assert_eq!(mac("", "IgnoreUnknown=1;MAC=02:00:00:00:00:01"), "02:00:00:00:00:01");
    assert_eq!(mac(args, "MAC=02:00:00:00:00:01"), "02:00:00:00:00:02");
    assert_eq!(mac(&both, ""), "02:00:00:00:00:03");
}

#[test]
fn a_default_gateway_adds_one_default_route_for_each_family() {
    let request = request(r#""isDefaultGateway":true"#);
    let conf = Conf::of(&request).expect("valid");
    let mut given = cni::AddResult::default();
    for net in ["10.1.0.5/24", "10.2.0.5/24", "fd00::5/64"] {
        given.ips.push(cni::IpConfig::new(net.parse().expect("address")));
    }
    let inside = interface(&conf, &given, None).expect("valid");
    let routes: Vec<_> =
        inside.routes.iter().map(|r| (r.dst.to_string(), r.gw.map(|g| g.to_string()))).collect();
    let some = |s: &str| Some(s.to_owned());
    assert_eq!(
        routes,
        [("0.0.0.0/0".to_owned(), some("10.1.0.1")), ("::/0".to_owned(), some("fd00::1"))]
    );
}

#[test]
fn ipv6_needs_an_mtu_of_1280_and_ipv4_does_not() {
    let conf = Conf::of(&request("")).expect("valid");
    let with = |net: &str, mtu| {
        let ip = cni::IpConfig::new(net.parse().expect("address"));
        let given = cni::AddResult { ips: vec![ip], ..cni::AddResult::default() };
        interface(&conf, &given, Some(mtu))
    };
    let small = with("10.1.0.5/24", 1279).expect("IPv4 fits");
    assert!(!small.link_local, "the kernel has no IPv6 on such a link");
    assert!(with("fd00::5/64", 1280).is_ok());
    let error = with("fd00::5/64", 1279).expect_err("IPv6 does not fit");
    assert_eq!(error.code, Code::InvalidConfig);
    assert!(error.msg.contains("mtu: 1279") && error.msg.contains("fd00::5"), "{error}");
}

#[test]
fn the_keys_survive_any_input() {
    survive(|request| Conf::of(request).map(drop));
}
