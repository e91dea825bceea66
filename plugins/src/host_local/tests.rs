//! Keys, refusals, and a life of an address.

use std::fs;

use cni::Code;
use cni::skel::Plugin;

use super::HostLocal;
use super::conf::Conf;
use crate::testing::{refused, request, request_with, survive};

fn keys(dir: &std::path::Path, ranges: &str) -> String {
    format!(r#""ipam":{{"type":"host-local","dataDir":{:?},{ranges}}}"#, dir.to_string_lossy())
}

#[test]
fn wrong_keys_are_refused_by_name_and_value() {
    refused(
        Conf::for_add,
        &[
            ("", Code::InvalidConfig, "IPAM config missing 'ipam' key"),
            (r#""ipam":{}"#, Code::InvalidConfig, "no IP ranges specified"),
            (r#""ipam":{"subnet":7}"#, Code::Decoding, "ipam.subnet"),
            (r#""ipam":{"subnet":"10.1.0.0/33"}"#, Code::InvalidConfig, "ipam.subnet"),
            (
                r#""ipam":{"ranges":[[{"subnet":"x"}]]}"#,
                Code::InvalidConfig,
                "ipam.ranges[0][0].subnet",
            ),
            (
                r#""ipam":{"subnet":"10.1.0.0/24","gateway":"x"}"#,
                Code::InvalidConfig,
                r#"ipam.gateway: "x""#,
            ),
            (
                r#""ipam":{"ranges":[[{"subnet":"10.1.0.0/24","rangeStart":"10.2.0.1"}]]}"#,
                Code::InvalidConfig,
                "10.2.0.1",
            ),
            (
                r#""ipam":{"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"10.1.0.0/25"}]]}"#,
                Code::InvalidConfig,
                "overlaps",
            ),
            (
                r#""cniVersion":"0.2.0","ipam":{"ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"10.2.0.0/24"}]]}"#,
                Code::InvalidConfig,
                "CNI version 0.2.0 does not support more than 1 address per family",
            ),
            (
                r#""ipam":{"subnet":"10.1.0.0/24"},"runtimeConfig":{"ips":["nonsense"]}"#,
                Code::InvalidConfig,
                "runtimeConfig.ips",
            ),
            (
                r#""ipam":{"subnet":"10.1.0.0/24","resolvConf":"/absent/resolv.conf"}"#,
                Code::InvalidConfig,
                "ipam.resolvConf",
            ),
        ],
    );
}

#[test]
fn ranges_of_the_runtime_come_first() {
    let request = request(
        r#""ipam":{"subnet":"10.1.0.0/24","ranges":[[{"subnet":"10.2.0.0/24"}]]},
           "runtimeConfig":{"ipRanges":[[{"subnet":"10.3.0.0/24"}]]}"#,
    );
    let conf = Conf::for_add(&request).expect("valid");
    let starts: Vec<String> =
        conf.sets.iter().map(|s| s.ranges()[0].subnet().to_string()).collect();
    assert_eq!(starts, ["10.3.0.0/24", "10.1.0.0/24", "10.2.0.0/24"]);
}

#[test]
fn an_address_is_given_checked_and_released() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let keys = keys(dir.path(), r#""subnet":"10.1.0.0/24","routes":[{"dst":"0.0.0.0/0"}]"#);
    let mut asked = request(&keys);
    let result = HostLocal.add(&asked).expect("ADD");
    assert_eq!(result.ips[0].address.to_string(), "10.1.0.2/24");
    assert_eq!(result.ips[0].gateway, Some("10.1.0.1".parse().expect("address")));
    assert_eq!(result.routes.len(), 1);
    let again = HostLocal.add(&asked).expect_err("second ADD");
    assert_eq!(again.code, Code::InvalidEnvironment);
    asked.prev_result = Some(result);
    HostLocal.check(&asked).expect("CHECK");
    HostLocal.del(&asked).expect("DEL");
    HostLocal.del(&asked).expect("DEL twice");
    assert!(HostLocal.check(&asked).is_err());
    assert!(!dir.path().join("net/10.1.0.2").exists());
}

#[test]
fn a_requested_address_comes_from_each_place() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let keys = keys(dir.path(), r#""subnet":"10.1.0.0/24""#);
    let by_args = request_with(&keys, "IgnoreUnknown=1;K8S_POD_NAME=p;IP=10.1.0.50");
    let result = HostLocal.add(&by_args).expect("ADD");
    assert_eq!(result.ips[0].address.to_string(), "10.1.0.50/24");
    HostLocal.del(&by_args).expect("DEL");
    let by_runtime = request(&format!(r#"{keys},"runtimeConfig":{{"ips":["10.1.0.51/24"]}}"#));
    assert_eq!(HostLocal.add(&by_runtime).expect("ADD").ips[0].address.to_string(), "10.1.0.51/24");
    HostLocal.del(&by_runtime).expect("DEL");
    let by_conf = request(&format!(r#"{keys},"args":{{"cni":{{"ips":["10.1.0.52"]}}}}"#));
    assert_eq!(HostLocal.add(&by_conf).expect("ADD").ips[0].address.to_string(), "10.1.0.52/24");
}

#[test]
fn a_range_that_became_wrong_does_not_keep_an_address() {
    let dir = tempfile::tempdir().expect("temporary directory");
    HostLocal.add(&request(&keys(dir.path(), r#""subnet":"10.1.0.0/24""#))).expect("ADD");
    HostLocal.del(&request(&keys(dir.path(), r#""subnet":"nonsense""#))).expect("DEL");
    assert!(!dir.path().join("net/10.1.0.2").exists());
}

#[test]
fn status_says_when_no_address_is_left() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let keys = keys(dir.path(), r#""subnet":"10.1.0.0/30""#);
    HostLocal.status(&request(&keys)).expect("one is free");
    HostLocal.add(&request(&keys)).expect("ADD");
    let full = HostLocal.status(&request(&keys)).expect_err("full");
    assert_eq!(full.code, Code::NotAvailable);
    let mut other = request(&keys);
    other.container_id = "c2".to_owned();
    assert_eq!(HostLocal.add(&other).expect_err("full").code, Code::TryAgainLater);
}

#[test]
fn garbage_is_what_is_not_listed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let base = keys(dir.path(), r#""subnet":"10.1.0.0/24""#);
    for id in ["c1", "c2", "c3"] {
        let mut request = request(&base);
        request.container_id = id.to_owned();
        HostLocal.add(&request).expect("ADD");
    }
    let list = r#""cni.dev/valid-attachments":[{"containerID":"c2","ifname":"eth0"}]"#;
    HostLocal.gc(&request(&format!("{base},{list}"))).expect("GC");
    let left = |ip: &str| fs::exists(dir.path().join("net").join(ip)).expect("stat");
    assert_eq!([left("10.1.0.2"), left("10.1.0.3"), left("10.1.0.4")], [false, true, false]);
}

#[test]
fn the_keys_survive_any_input() {
    survive(|request| {
        drop(Conf::for_del(request));
        Conf::for_add(request).map(drop)
    });
}
