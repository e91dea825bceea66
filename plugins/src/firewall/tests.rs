//! Keys and their refusals.

use cni::Code;
use drivers::firewall::IngressPolicy;

use super::conf::{Backend, Conf};
use crate::testing::{refused, request, survive};

#[test]
fn defaults_are_the_references() {
    let conf = Conf::of(&request(r#""backend":"""#)).expect("valid");
    assert_eq!((conf.backend, conf.policy), (Backend::Auto, IngressPolicy::Open));
    assert_eq!((conf.admin_chain.as_str(), conf.zone.as_str()), ("CNI-ADMIN", "trusted"));
}

#[test]
fn an_unknown_backend_is_chosen_for() {
    let conf = Conf::of(&request(r#""backend":"ufw""#)).expect("valid");
    assert_eq!(conf.backend, Backend::Auto);
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        Conf::of,
        &[
            (r#""ingressPolicy":"none""#, Code::InvalidConfig, r#"unknown ingress policy: "none""#),
            (r#""iptablesAdminChainName":"a b""#, Code::InvalidConfig, "iptablesAdminChainName"),
            (
                r#""iptablesAdminChainName":"a-name-that-is-longer-than-28b""#,
                Code::InvalidConfig,
                "at most 28",
            ),
            (r#""firewalldZone":1"#, Code::Decoding, "firewalldZone"),
        ],
    );
}

#[test]
fn the_keys_survive_any_input() {
    survive(|request| Conf::of(request).map(drop));
}
