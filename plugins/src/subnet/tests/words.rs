//! The delegate's configuration, as flannel's own tests have it.

use cni::json;
use cni::{Code, Request, Verb};
use netd_api::SubnetEnv;

use super::bench::{Bench, V4};
use crate::subnet::delegate;

const DUAL: &str = "FLANNEL_NETWORK=10.1.0.0/16,192.168.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\n\
    FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00:0:0:11::1/64\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";

fn told(delegate: &str, keys: &str, env: &str) -> String {
    let bench = Bench::new();
    let subnet = SubnetEnv::parse(env).expect("subnet.env");
    let request = bench.request(Verb::Add, keys);
    let conf = delegate::conf(&bench.settings(delegate), &request, Some(&subnet));
    String::from_utf8(conf.expect("valid").bytes).expect("text")
}

#[test]
fn a_bridge_is_told_flannels_defaults() {
    assert_eq!(
        told("{}", r#""cniVersion":"1.0.0""#, V4),
        r#"{"cniVersion":"1.0.0","ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.1.17.0/24"}]],"routes":[{"dst":"10.1.0.0/16"}],"type":"host-local"},"isGateway":true,"mtu":1472,"name":"net","type":"bridge"}"#
    );
}

#[test]
fn every_subnet_is_a_range_and_every_network_a_route() {
    assert_eq!(
        told("{}", r#""cniVersion":"0.3.1""#, DUAL),
        r#"{"cniVersion":"0.3.1","ipMasq":true,"ipam":{"ranges":[[{"subnet":"10.1.17.0/24"}],[{"subnet":"fc00:0:0:11::/64"}]],"routes":[{"dst":"10.1.0.0/16"},{"dst":"192.168.0.0/16"},{"dst":"fc00::/48"}],"type":"host-local"},"isGateway":true,"mtu":1450,"name":"net","type":"bridge"}"#
    );
    let v6: String =
        DUAL.lines().filter(|l| !l.contains("=10.")).map(|l| format!("{l}\n")).collect();
    assert_eq!(
        told(r#"{"type":"ptp"}"#, r#""cniVersion":"0.3.1""#, &v6),
        r#"{"cniVersion":"0.3.1","ipMasq":true,"ipam":{"ranges":[[{"subnet":"fc00:0:0:11::/64"}]],"routes":[{"dst":"fc00::/48"}],"type":"host-local"},"mtu":1450,"name":"net","type":"ptp"}"#
    );
}

#[test]
fn what_the_user_says_stays() {
    let delegate =
        r#"{"bridge":"br7","MTU":1300,"ipMasq":false,"isGateway":false,"hairpinMode":true}"#;
    let keys = r#""cniVersion":"1.0.0","runtimeConfig":{"mac":"02:00:00:00:00:01"},
        "ipam":{"dataDir":"/x","type":"other","ranges":[],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.17.9"}]}"#;
    assert_eq!(
        told(delegate, keys, &V4.replace("IPMASQ=true", "IPMASQ=false")),
        r#"{"MTU":1300,"bridge":"br7","cniVersion":"1.0.0","hairpinMode":true,"ipMasq":false,"ipam":{"dataDir":"/x","ranges":[[{"subnet":"10.1.17.0/24"}]],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.17.9"},{"dst":"10.1.0.0/16"}],"type":"other"},"isGateway":false,"name":"net","runtimeConfig":{"mac":"02:00:00:00:00:01"},"type":"bridge"}"#
    );
}

#[test]
fn nothing_else_of_the_request_reaches_the_delegate() {
    let keys = r#""cniVersion":"1.0.0","args":{"cni":{}},"capabilities":{"mac":true},
        "dns":{"domain":"x"},"prevResult":{"cniVersion":"1.0.0"}"#;
    let told = told("{}", keys, V4);
    for key in ["args", "capabilities", "dns", "prevResult"] {
        assert!(!told.contains(key), "{told}");
    }
}

#[test]
fn an_overlay_may_replace_the_bridges_address() {
    let bench = Bench::new();
    let mut settings = bench.settings("{}");
    settings.force_address = true;
    let told = |settings: &_| {
        let conf = delegate::conf(settings, &bench.request(Verb::Add, ""), None).expect("valid");
        conf.raw.field("forceAddress").and_then(json::Value::as_bool)
    };
    assert_eq!(told(&settings), Some(true));
    settings.delegate.set("forceAddress", false);
    assert_eq!(told(&settings), Some(false));
    settings.delegate.set("type", "macvlan");
    settings.delegate.remove("forceAddress");
    assert_eq!(told(&settings), None);
}

#[test]
fn keys_that_are_the_subnets_to_say_are_refused() {
    let bench = Bench::new();
    let add = |delegate: &str, request: &Request| {
        crate::subnet::add(&bench.settings(delegate), request).expect_err(delegate)
    };
    let request = bench.request(Verb::Add, "");
    for (delegate, want) in [
        (r#"{"type":7}"#, "'delegate' dictionary, if present, must have (string) 'type' field"),
        (
            r#"{"name":"x"}"#,
            "'delegate' dictionary must not have 'name' field, it'll be set by flannel",
        ),
        (
            r#"{"ipam":{}}"#,
            "'delegate' dictionary must not have 'ipam' field, it'll be set by flannel",
        ),
        (r#"{"type":"overlay"}"#, "delegate.type: \"overlay\" has a delegate itself"),
    ] {
        let error = add(delegate, &request);
        assert_eq!(error.code, Code::InvalidConfig, "{error}");
        assert!(error.msg.starts_with(want), "{error}");
    }
    let routes = bench.request(Verb::Add, r#""ipam":{"routes":"x"}"#);
    assert_eq!(add("{}", &routes).msg, "ipam.routes: expected a list, got \"x\"");
    let absent = add(r#"{"type":"absent"}"#, &request);
    assert!(absent.msg.starts_with("failed to find plugin \"absent\""), "{absent}");
    assert!(bench.calls().is_empty() && bench.kept().is_empty());
}
