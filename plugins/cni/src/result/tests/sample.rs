//! One result that says everything, and how each version writes it.

use super::*;

/// Everything a result can say.
pub(super) fn full() -> AddResult {
    let net = |text: &str| text.parse().unwrap();
    let ip = |text: &str| Some(text.parse().unwrap());
    AddResult {
        interfaces: vec![
            Interface {
                name: "cni0".into(),
                mac: "02:00:00:00:00:01".into(),
                ..Default::default()
            },
            Interface {
                name: "eth0".into(),
                mac: "02:00:00:00:00:02".into(),
                mtu: Some(1400),
                sandbox: "/run/netns/a".into(),
                socket_path: "/run/s".into(),
                pci_id: "0000:00:1f.6".into(),
                extra: Extra::new(),
            },
        ],
        ips: vec![
            IpConfig {
                interface: Some(1),
                gateway: ip("10.0.0.1"),
                ..IpConfig::new(net("10.0.0.5/24"))
            },
            IpConfig { interface: Some(1), ..IpConfig::new(net("10.0.0.6/24")) },
            IpConfig {
                interface: Some(1),
                gateway: ip("fd00::1"),
                ..IpConfig::new(net("fd00::5/64"))
            },
        ],
        routes: vec![
            Route {
                mtu: Some(1400),
                advmss: Some(1360),
                priority: Some(100),
                table: Some(0),
                scope: Some(253),
                ..Route::new(net("0.0.0.0/0"), ip("10.0.0.1"))
            },
            Route::new(net("fd01::/64"), None),
        ],
        dns: Dns {
            nameservers: vec!["1.1.1.1".into()],
            domain: "a.b".into(),
            search: vec!["b".into()],
            options: vec!["ndots:1".into()],
            extra: Extra::new(),
        },
        extra: Extra::new(),
    }
}

/// JSON with one blank instead of each indented line end, to keep the goldens readable.
pub(super) fn flat(text: &str) -> String {
    assert!(!text.ends_with('\n'));
    text.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
}

const V0_2_0: &str = r#"{ "cniVersion": "0.2.0",
 "ip4": { "ip": "10.0.0.5/24", "gateway": "10.0.0.1", "routes": [ { "dst": "0.0.0.0/0", "gw": "10.0.0.1" } ] },
 "ip6": { "ip": "fd00::5/64", "gateway": "fd00::1", "routes": [ { "dst": "fd01::/64" } ] },
 "dns": { "nameservers": [ "1.1.1.1" ], "domain": "a.b", "search": [ "b" ], "options": [ "ndots:1" ] } }"#;

const V0_4_0: &str = r#"{ "cniVersion": "0.4.0",
 "interfaces": [ { "name": "cni0", "mac": "02:00:00:00:00:01" },
 { "name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/a" } ],
 "ips": [ { "version": "4", "interface": 1, "address": "10.0.0.5/24", "gateway": "10.0.0.1" },
 { "version": "4", "interface": 1, "address": "10.0.0.6/24" },
 { "version": "6", "interface": 1, "address": "fd00::5/64", "gateway": "fd00::1" } ],
 "routes": [ { "dst": "0.0.0.0/0", "gw": "10.0.0.1", "mtu": 1400, "advmss": 1360, "priority": 100, "table": 0, "scope": 253 },
 { "dst": "fd01::/64" } ],
 "dns": { "nameservers": [ "1.1.1.1" ], "domain": "a.b", "search": [ "b" ], "options": [ "ndots:1" ] } }"#;

const V1_1_0: &str = r#"{ "cniVersion": "1.1.0",
 "dns": { "domain": "a.b", "nameservers": [ "1.1.1.1" ], "options": [ "ndots:1" ], "search": [ "b" ] },
 "interfaces": [ { "mac": "02:00:00:00:00:01", "name": "cni0" },
 { "mac": "02:00:00:00:00:02", "mtu": 1400, "name": "eth0", "pciID": "0000:00:1f.6", "sandbox": "/run/netns/a", "socketPath": "/run/s" } ],
 "ips": [ { "address": "10.0.0.5/24", "gateway": "10.0.0.1", "interface": 1 },
 { "address": "10.0.0.6/24", "interface": 1 },
 { "address": "fd00::5/64", "gateway": "fd00::1", "interface": 1 } ],
 "routes": [ { "advmss": 1360, "dst": "0.0.0.0/0", "gw": "10.0.0.1", "mtu": 1400, "priority": 100, "scope": 253, "table": 0 },
 { "dst": "fd01::/64" } ] }"#;

pub(super) fn golden(version: Version) -> String {
    let shape = match version {
        Version::V0_1_0 | Version::V0_2_0 => V0_2_0.replace("0.2.0", version.as_str()),
        Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => {
            V0_4_0.replace("0.4.0", version.as_str())
        }
        Version::V1_0_0 | Version::V1_1_0 => V1_1_0.replace("1.1.0", version.as_str()),
    };
    shape.replace('\n', "")
}

/// What is left of [`full`] after going through a version.
pub(super) fn remaining(version: Version) -> AddResult {
    let mut result = full();
    if version < Version::V1_0_0 {
        let eth0 = &mut result.interfaces[1];
        (eth0.mtu, eth0.socket_path, eth0.pci_id) = (None, String::new(), String::new());
    }
    if version < Version::V0_3_0 {
        result.interfaces.clear();
        result.ips.remove(1);
        result.ips.iter_mut().for_each(|ip| ip.interface = None);
        result.routes[0] = Route::new(result.routes[0].dst, result.routes[0].gw);
    }
    result
}
