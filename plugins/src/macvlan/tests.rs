//! Keys and their refusals.

use cni::Code;
use netstate::{MacVlanMode, Ns};

use super::conf::Conf;
use crate::testing::{refused, request, request_with, survive};

#[test]
fn defaults_are_the_references() {
    let conf = Conf::of(&request("")).expect("valid");
    assert_eq!((conf.mode, conf.master_ns), (MacVlanMode::Bridge, Ns::Host));
    assert!(conf.master.is_none() && conf.mtu.is_none() && conf.bc_queue_len.is_none());
}

#[test]
fn every_mode_has_its_word() {
    let mode = |m: &str| Conf::of(&request(&format!(r#""mode":"{m}""#))).map(|c| c.mode);
    assert_eq!(mode("private"), Ok(MacVlanMode::Private));
    assert_eq!(mode("vepa"), Ok(MacVlanMode::Vepa));
    assert_eq!(mode("passthru"), Ok(MacVlanMode::Passthru));
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        Conf::of,
        &[
            (r#""mode":"loud""#, Code::InvalidConfig, r#"unknown macvlan mode: "loud""#),
            (r#""master":"a/b""#, Code::InvalidConfig, "master"),
            (r#""mtu":-1"#, Code::InvalidConfig, "-1"),
            (r#""mac":"nonsense""#, Code::InvalidConfig, "nonsense"),
            (r#""linkInContainer":"yes""#, Code::Decoding, "linkInContainer"),
        ],
    );
}

#[test]
fn a_mac_comes_from_runtime_config_before_cni_args_before_the_configuration() {
    let mac = |keys: &str, args: &str| {
        Conf::of(&request_with(keys, args)).expect("valid").mac.expect("mac").to_string()
    };
    let conf = r#""mac":"02:00:00:00:00:01""#;
    let both = format!(r#"{conf},"runtimeConfig":{{"mac":"02:00:00:00:00:03"}}"#);
    assert_eq!(mac(conf, ""), "02:00:00:00:00:01");
    assert_eq!(mac(conf, "MAC=02:00:00:00:00:02"), "02:00:00:00:00:02");
    assert_eq!(mac(&both, "MAC=02:00:00:00:00:02"), "02:00:00:00:00:03");
}

#[test]
fn the_keys_survive_any_input() {
    survive(|request| Conf::of(request).map(drop));
}
