//! Keys of bridge, macvlan, host-local and static.

use anyhow::Result;
use e2e::Lab;
use serde_json::{Value, json};

use crate::site::{Row, Site, bridge, conf, macvlan, row};

fn host_local(mut keys: Value) -> Value {
    if let Some(map) = keys.as_object_mut() {
        map.insert("type".to_owned(), "host-local".into());
    }
    ipam(keys)
}

fn ipam(ipam: Value) -> Value {
    bridge(json!({"ipam": ipam}))
}

#[test]
fn configurations_that_are_wrong() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.run(&keys_of_bridge())?;
        site.run(&keys_of_ipam())?;
        site.run(&keys_of_macvlan())
    })
}

fn keys_of_bridge() -> Vec<Row> {
    vec![
        row("no name", "bridge", &bridge(json!({"name": ""})), 7, &["missing network name"]),
        row("bad name", "bridge", &bridge(json!({"name": "a/b"})), 7, &["network name", "a/b"]),
        row("wrong type of mtu", "bridge", &bridge(json!({"mtu": "1500"})), 6, &["mtu", "1500"]),
        row(
            "wrong type of isGateway",
            "bridge",
            &bridge(json!({"isGateway": 1})),
            6,
            &["isGateway", "1"],
        ),
        row("wrong type of ipam", "bridge", &bridge(json!({"ipam": "x"})), 6, &["ipam", "x"]),
        row("negative mtu", "bridge", &bridge(json!({"mtu": -1})), 7, &["mtu", "-1"]),
        row(
            "bridge name of 16 bytes",
            "bridge",
            &bridge(json!({"bridge": "abcdefghijklmnop"})),
            7,
            &["bridge", "abcdefghijklmnop"],
        ),
        row("vlan 4095", "bridge", &bridge(json!({"vlan": 4095})), 7, &["VLAN", "4095"]),
        row(
            "unknown ipMasqBackend",
            "bridge",
            &bridge(json!({"ipMasqBackend": "x"})),
            7,
            &["ipMasqBackend", "x"],
        ),
        row(
            "runtimeConfig that is a list",
            "bridge",
            &bridge(json!({"runtimeConfig": []})),
            6,
            &["runtimeConfig", "[]"],
        ),
        row("args that are a text", "bridge", &bridge(json!({"args": "x"})), 6, &["args", "x"]),
        row(
            "bad mac",
            "bridge",
            &bridge(json!({"runtimeConfig": {"mac": "zz"}})),
            7,
            &["mac", "zz"],
        ),
    ]
}

fn keys_of_ipam() -> Vec<Row> {
    vec![
        row(
            "no ipam plugin",
            "bridge",
            &ipam(json!({"type": "nowhere"})),
            999,
            &["failed to find plugin", "nowhere", "/opt/cni/bin"],
        ),
        row("ipam type that is a path", "bridge", &ipam(json!({"type": "../x"})), 7, &["../x"]),
        row(
            "bridge as its own ipam plugin",
            "bridge",
            &ipam(json!({"type": "bridge"})),
            7,
            &["ipam.type", "\"bridge\"", "host-local"],
        ),
        row(
            "IPv6 on an MTU too small for it",
            "bridge",
            &conf(
                bridge(json!({"bridge": "small0", "mtu": 1279})),
                json!({"ipam": {"type": "static", "addresses": [{"address": "fd01::5/64"}]}}),
            ),
            7,
            &["mtu", "1279", "fd01::5/64", "1280"],
        ),
        row(
            "bad CIDR",
            "bridge",
            &host_local(json!({"subnet": "10.1.0.0/33"})),
            7,
            &["subnet", "10.1.0.0/33"],
        ),
        row(
            "host bits",
            "bridge",
            &host_local(json!({"subnet": "10.1.0.5/24"})),
            7,
            &["host bits set", "10.1.0.0"],
        ),
        row(
            "rangeStart elsewhere",
            "bridge",
            &host_local(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.9.0.1"})),
            7,
            &["RangeStart", "10.9.0.1"],
        ),
        row("no ranges", "bridge", &host_local(json!({})), 7, &["no IP ranges specified"]),
        row(
            "range full",
            "bridge",
            &host_local(json!({"subnet": "10.1.0.0/24",
                "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"})),
            11,
            &["no IP addresses available in range set", "10.1.0.2"],
        ),
        row(
            "address taken",
            "bridge",
            &conf(bridge(json!({})), json!({"runtimeConfig": {"ips": ["10.1.0.2"]}})),
            7,
            &["10.1.0.2", "not available", "holder"],
        ),
        row(
            "no static address",
            "bridge",
            &ipam(json!({"type": "static"})),
            7,
            &["missing IP config", "ipam.type", "\"static\""],
        ),
        row(
            "static without prefix",
            "bridge",
            &ipam(json!({"type": "static", "addresses": [{"address": "10.1.0.5"}]})),
            7,
            &["CIDR notation", "10.1.0.5"],
        ),
        row(
            "another address on the bridge",
            "bridge",
            &host_local(json!({"subnet": "10.9.0.0/24"})),
            7,
            &["cni0", "10.9.0.1/24"],
        ),
    ]
}

fn keys_of_macvlan() -> Vec<Row> {
    vec![
        row(
            "MTU above the master's",
            "macvlan",
            &macvlan(json!({"mtu": 9000})),
            7,
            &["invalid MTU 9000", "1500"],
        ),
        row("unknown mode", "macvlan", &macvlan(json!({"mode": "x"})), 7, &["macvlan mode", "x"]),
        row(
            "no such master",
            "macvlan",
            &macvlan(json!({"master": "nope0"})),
            7,
            &["master", "nope0"],
        ),
    ]
}
