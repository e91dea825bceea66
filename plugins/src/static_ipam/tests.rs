//! Sources of addresses, and refusals.

use cni::Code;
use cni::skel::Plugin;

use super::Static;
use super::conf::Conf;
use crate::testing::{refused, request, request_with, survive};

const BOTH: &str = r#""ipam":{"addresses":[{"address":"10.1.0.5/24","gateway":"10.1.0.1"},
    {"address":"fd00::5/64"}],"routes":[{"dst":"0.0.0.0/0"}],"dns":{"nameservers":["10.1.0.1"]}}"#;

fn addresses(request: &cni::Request) -> Vec<String> {
    let result = Static.add(request).expect("ADD");
    result.ips.iter().map(|ip| ip.address.to_string()).collect()
}

#[test]
fn the_configuration_is_answered() {
    let result = Static.add(&request(BOTH)).expect("ADD");
    assert_eq!(result.ips.len(), 2);
    assert_eq!(result.ips[0].gateway, Some("10.1.0.1".parse().expect("address")));
    assert_eq!(result.dns.nameservers, ["10.1.0.1"]);
}

#[test]
fn a_higher_source_replaces_a_lower_one() {
    let args = r#""args":{"cni":{"ips":["10.1.0.7/24"]}}"#;
    let runtime = r#""runtimeConfig":{"ips":["10.1.0.8/24"]}"#;
    assert_eq!(addresses(&request(&format!("{BOTH},{args}"))), ["10.1.0.7/24"]);
    assert_eq!(addresses(&request(&format!("{BOTH},{args},{runtime}"))), ["10.1.0.8/24"]);
}

#[test]
fn cni_args_add_addresses_and_gateways() {
    let asked = request_with(r#""ipam":{}"#, "IP=10.1.0.5/24,10.2.0.5/24;GATEWAY=10.2.0.1");
    let result = Static.add(&asked).expect("ADD");
    let gateways: Vec<_> = result.ips.iter().map(|ip| ip.gateway).collect();
    assert_eq!(gateways, [None, Some("10.2.0.1".parse().expect("address"))]);
    let error = Static.add(&request_with(r#""ipam":{}"#, "FOO=1")).expect_err("unknown");
    assert_eq!(error.code, Code::InvalidEnvironment);
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        Conf::of,
        &[
            ("", Code::InvalidConfig, "IPAM config missing 'ipam' key"),
            (
                r#""ipam":{"addresses":[{"address":"10.1.0.5"}]}"#,
                Code::InvalidConfig,
                "the 'address' field is expected to be in CIDR notation, got: '10.1.0.5'",
            ),
            (
                r#""ipam":{},"runtimeConfig":{"ips":["10.1.0.5"]}"#,
                Code::InvalidConfig,
                "an entry in the 'ips' field is NOT in CIDR notation, got: '10.1.0.5'",
            ),
            (
                r#""cniVersion":"0.2.0","ipam":{"addresses":[{"address":"10.1.0.5/24"},{"address":"10.2.0.5/24"}]}"#,
                Code::InvalidConfig,
                "CNI version 0.2.0 does not support more than 1 address per family",
            ),
        ],
    );
}

#[test]
fn check_finds_a_missing_address_and_another_gateway() {
    let mut asked = request(BOTH);
    asked.prev_result = Some(Static.add(&asked).expect("ADD"));
    Static.check(&asked).expect("CHECK");
    let mut other = asked.clone();
    other.prev_result.as_mut().expect("result").ips[0].gateway = None;
    assert!(Static.check(&other).is_err());
    asked.prev_result.as_mut().expect("result").ips.pop();
    assert!(Static.check(&asked).is_err());
}

/// `isGateway` of bridge fills a gateway in, and hands the result to CHECK.
#[test]
fn check_leaves_a_gateway_that_another_plugin_filled_in_alone() {
    let mut asked = request(r#""ipam":{"addresses":[{"address":"10.1.0.5/24"}]}"#);
    asked.prev_result = Some(Static.add(&asked).expect("ADD"));
    asked.prev_result.as_mut().expect("result").ips[0].gateway =
        Some("10.1.0.1".parse().expect("address"));
    Static.check(&asked).expect("CHECK");
}

#[test]
fn the_keys_survive_any_input() {
    survive(|request| Conf::of(request).map(drop));
}
