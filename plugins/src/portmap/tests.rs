//! Keys and their refusals.

use cni::Code;
use drivers::ports::{Snat, Transport};
use drivers::ruleset::Ip;

use super::conf::{Conf, Conflict, HostIp};
use crate::testing::{refused, request, survive};

fn mapping(text: &str) -> String {
    format!(r#""runtimeConfig":{{"portMappings":[{text}]}}"#)
}

#[test]
fn defaults_are_the_references() {
    let conf = Conf::of(&request("")).expect("valid");
    assert_eq!((conf.snat, conf.conflict), (Snat::Needed, Conflict::Warn));
    assert!(conf.mappings.is_empty());
    let off = Conf::of(&request(r#""snat":false,"masqAll":true"#)).expect("valid");
    assert_eq!(off.snat, Snat::Off);
    assert_eq!(Conf::of(&request(r#""masqAll":true"#)).expect("valid").snat, Snat::All);
}

#[test]
fn mappings_are_read_as_every_runtime_writes_them() {
    let cri = mapping(r#"{"HostPort":8081,"ContainerPort":80,"Protocol":"TCP","HostIP":""}"#);
    let cri = &Conf::of(&request(&cri)).expect("valid").mappings[0];
    assert_eq!((cri.transport, cri.host, cri.host_port), (Transport::Tcp, HostIp::Any, 8081));
    let host = |ip: &str| {
        let text =
            format!(r#"{{"hostPort":1,"containerPort":2,"protocol":"udp","hostIP":"{ip}"}}"#);
        Conf::of(&request(&mapping(&text))).expect("valid").mappings[0].host
    };
    assert_eq!(host("0.0.0.0"), HostIp::AnyOf(Ip::V4));
    assert_eq!(host("::"), HostIp::AnyOf(Ip::V6));
    assert_eq!(host("127.0.0.1"), HostIp::One("127.0.0.1".parse().expect("address")));
    assert_eq!(host("::ffff:127.0.0.1"), host("127.0.0.1"));
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    let zero = mapping(r#"{"hostPort":0,"containerPort":80,"protocol":"tcp"}"#);
    let large = mapping(r#"{"hostPort":70000,"containerPort":80,"protocol":"tcp"}"#);
    let inner = mapping(r#"{"hostPort":80,"containerPort":0,"protocol":"tcp"}"#);
    let protocol = mapping(r#"{"hostPort":80,"containerPort":80,"protocol":"icmp"}"#);
    let address = mapping(r#"{"hostPort":80,"containerPort":80,"hostIP":"localhost"}"#);
    refused(
        Conf::of,
        &[
            (&zero, Code::InvalidConfig, "Invalid host port number: 0"),
            (&large, Code::Decoding, "70000"),
            (&inner, Code::InvalidConfig, "Invalid container port number: 0"),
            (&protocol, Code::InvalidConfig, "icmp"),
            (&address, Code::InvalidConfig, "localhost"),
            (r#""backend":"pf""#, Code::InvalidConfig, r#"unrecognized backend "pf""#),
            (r#""markMasqBit":32"#, Code::InvalidConfig, "MasqMarkBit must be between 0 and 31"),
            (
                r#""markMasqBit":5,"externalSetMarkChain":"X""#,
                Code::InvalidConfig,
                "Cannot specify externalSetMarkChain and markMasqBit",
            ),
            (r#""hostPortConflict":"maybe""#, Code::InvalidConfig, "maybe"),
            (
                r#""conditionsV4":["-m","mark"]"#,
                Code::UnsupportedField,
                r#"conditionsV4: condition "-m""#,
            ),
            (r#""conditionsV6":["-s 10.0.0.1"]"#, Code::UnsupportedField, "conditionsV6"),
        ],
    );
}

#[test]
fn conditions_make_a_class_of_their_family() {
    let conf = Conf::of(&request(r#""conditionsV4":["!","-d","192.0.2.0/24"]"#)).expect("valid");
    assert_eq!(conf.classes[0].name().len(), 13);
    assert_eq!(conf.classes[1].name(), "");
}

#[test]
fn the_keys_survive_any_input() {
    survive(|request| Conf::of(request).map(drop));
}
