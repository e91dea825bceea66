//! `macvlan`.

use serde_json::{Value, json};

use super::{ALL, Case, dual, v4};

/// A configuration with these keys, on `m0` unless they say otherwise.
fn macvlan(mut more: Value, ipam: Value) -> Value {
    if let Some(map) = more.as_object_mut() {
        map.insert("type".to_owned(), "macvlan".into());
        map.entry("master").or_insert("m0".into());
        if !ipam.is_null() {
            map.insert("ipam".to_owned(), ipam);
        }
    }
    more
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = modes();
    cases.extend(macs());
    cases.extend(ipam());
    cases.extend(wrong());
    cases
}

fn modes() -> Vec<Case> {
    vec![
        Case::new("macvlan", macvlan(json!({}), v4())).versions(&ALL),
        Case::new("macvlan bridge", macvlan(json!({"mode": "bridge"}), v4())),
        Case::new("macvlan private", macvlan(json!({"mode": "private"}), v4())),
        Case::new("macvlan vepa", macvlan(json!({"mode": "vepa"}), dual())),
        Case::new("macvlan passthru", macvlan(json!({"mode": "passthru"}), v4())),
        Case::new("macvlan mtu", macvlan(json!({"mtu": 1300}), v4())),
        Case::new("macvlan mtu of master", macvlan(json!({"mtu": 1500}), v4())),
        Case::new("macvlan default master", json!({"type": "macvlan", "ipam": v4()}))
            .setup("ip addr add 192.0.2.1/24 dev m0; ip route add default via 192.0.2.9"),
    ]
}

fn macs() -> Vec<Case> {
    vec![
        Case::new("macvlan mac", macvlan(json!({"mac": "c2:11:22:33:44:55"}), v4())).versions(&ALL),
        Case::new("macvlan CNI_ARGS", macvlan(json!({"mac": "c2:11:22:33:44:66"}), v4()))
            .args("IgnoreUnknown=true;MAC=c2:11:22:33:44:55"),
        Case::new("macvlan runtimeConfig", macvlan(json!({"capabilities": {"mac": true}}), v4()))
            .args("IgnoreUnknown=true;MAC=c2:11:22:33:44:55")
            .capability_args(json!({"mac": "c2:11:22:33:44:66"})),
    ]
}

fn ipam() -> Vec<Case> {
    let routes = json!({"type": "host-local", "ranges": [
        [{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}]});
    let addresses = json!({"type": "static", "addresses": [
        {"address": "10.1.0.5/24"}, {"address": "10.1.0.6/24"}, {"address": "10.3.0.5/16"}]});
    vec![
        Case::new("macvlan without ipam", macvlan(json!({}), Value::Null))
            .versions(&["0.3.0", "0.3.1", "0.4.0", "1.0.0"]),
        Case::new("macvlan routes", macvlan(json!({}), routes)),
        Case::new("macvlan several addresses", macvlan(json!({}), addresses)),
        Case::new("macvlan dns", macvlan(json!({"dns": {"nameservers": ["192.0.2.53"]}}), v4())),
        Case::new(
            "macvlan dns of ipam",
            macvlan(
                json!({}),
                json!({"type": "static",
            "addresses": [{"address": "10.1.0.5/24"}], "dns": {"nameservers": ["192.0.2.53"]}}),
            ),
        ),
    ]
}

fn wrong() -> Vec<Case> {
    vec![
        Case::new("invalid macvlan mode", macvlan(json!({"mode": "x"}), v4()))
            .fails("unknown macvlan mode: \"x\""),
        Case::new("invalid macvlan mtu", macvlan(json!({"mtu": 9000}), v4()))
            .fails("invalid MTU 9000, must be [0, master MTU(1500)]"),
        Case::new("invalid macvlan no master", json!({"type": "macvlan", "ipam": v4()}))
            .fails("no default route interface found"),
        Case::new("late macvlan no address", macvlan(json!({}), json!({"type": "static"})))
            .fails("IPAM plugin returned missing IP config"),
    ]
}
