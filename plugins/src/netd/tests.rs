//! Keys, their refusals, and what netd is asked for.

use cni::Code;
use netd_api::attach::{self, Attach, Port};

use super::conf::wanted;
use super::refused as answer;
use crate::testing::{refused, request, request_with, survive};

fn asked(keys: &str, args: &str) -> Attach {
    let request = request_with(keys, args);
    wanted(&request).expect("valid")
}

#[test]
fn nothing_need_be_said() {
    let wanted = Attach {
        network: "net".to_owned(),
        container: "c1".to_owned(),
        ifname: Some("eth0".to_owned()),
        ..Attach::default()
    };
    assert_eq!(asked("", ""), wanted);
    assert_eq!(asked(r#""network":"web""#, "").network, "web");
}

#[test]
fn a_container_is_called_as_its_runtime_calls_it_and_by_its_aliases() {
    let podmans = r#""runtimeConfig":{"aliases":{"net":["api","web"],"other":["x"]}}"#;
    let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=web";
    assert_eq!(asked(podmans, args).names, ["web", "api"]);
    assert_eq!(asked(r#""runtimeConfig":{"aliases":["db"]}"#, "").names, ["db"]);
}

#[test]
fn addresses_come_from_runtime_config_then_from_args_then_from_the_environment() {
    let runtime = r#""runtimeConfig":{"ips":["10.1.0.7"],"mac":"02:00:00:00:00:01"}"#;
    let args =
        r#""args":{"cni":{"ips":["10.1.0.8/24"],"mac":"02:00:00:00:00:02","labels":{"a":"b"}}}"#;
    let env = "IP=10.1.0.9,fd00::9;MAC=02:00:00:00:00:03";
    for (keys, ips, mac) in [
        (format!("{runtime},{args}"), &["10.1.0.7"][..], "02:00:00:00:00:01"),
        (args.to_owned(), &["10.1.0.8/24"], "02:00:00:00:00:02"),
        (String::new(), &["10.1.0.9", "fd00::9"], "02:00:00:00:00:03"),
    ] {
        let asked = asked(&keys, env);
        assert_eq!(asked.ips, ips, "{keys}");
        assert_eq!(asked.mac.as_deref(), Some(mac), "{keys}");
    }
}

#[test]
fn ports_are_passed_on() {
    let keys = r#""runtimeConfig":{"portMappings":[{"HostPort":8080,"ContainerPort":80,
        "Protocol":"TCP","HostIP":"127.0.0.1"}]}"#;
    let want = Port {
        host_ip: "127.0.0.1".to_owned(),
        host_port: 8080,
        container_port: 80,
        protocol: "tcp".to_owned(),
        ..Port::default()
    };
    assert_eq!(asked(keys, "").ports, [want]);
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        wanted,
        &[
            (r#""network":7"#, Code::Decoding, "network: expected a string, got 7"),
            (r#""network":"../web""#, Code::InvalidConfig, "\"../web\" is no name of a network"),
            (r#""runtimeConfig":{"aliases":7}"#, Code::Decoding, "runtimeConfig.aliases"),
            (r#""runtimeConfig":{"ips":["x"]}"#, Code::InvalidConfig, "runtimeConfig.ips: \"x\""),
            (r#""args":{"cni":{"ips":["10.1.0.7/40"]}}"#, Code::InvalidConfig, "args.cni.ips"),
            (r#""runtimeConfig":{"mac":"x"}"#, Code::InvalidConfig, "runtimeConfig.mac"),
            (
                r#""runtimeConfig":{"portMappings":[{"hostPort":70000}]}"#,
                Code::Decoding,
                "hostPort",
            ),
        ],
    );
    let unknown = wanted(&request_with("", "A=1")).expect_err("unknown");
    assert_eq!(
        (unknown.code, unknown.msg.as_str()),
        (Code::InvalidEnvironment, "ARGS: unknown args [\"A=1\"]")
    );
}

#[test]
fn netds_refusals_keep_their_codes_and_its_absence_has_a_remedy() {
    let text = "network net not found".to_owned();
    let error = attach::Error::Refused { text: text.clone(), code: Code::InvalidConfig };
    let told = answer(&error, Code::TryAgainLater);
    assert_eq!((told.code, told.msg), (Code::InvalidConfig, text));
    let absent = || attach::Error::Absent {
        socket: attach::SOCKET.into(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    for code in [Code::TryAgainLater, Code::NotAvailable] {
        let told = answer(&absent(), code);
        assert_eq!(told.code, code);
        assert!(told.msg.contains("netd run --standalone"), "{told}");
        assert!(told.msg.contains("connect to /run/netd/attach.sock"), "{told}");
    }
    let long = answer(&attach::Error::RequestTooLong(1 << 21), Code::TryAgainLater);
    assert_eq!(long.code, Code::InvalidConfig);
}

#[test]
fn the_configuration_of_netd_survives_any_input() {
    survive(|request| wanted(request).map(|_| ()));
    assert!(wanted(&request("")).is_ok());
}
