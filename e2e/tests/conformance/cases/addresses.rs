//! `host-local` and `static`, called alone and on a bridge.

use serde_json::{Value, json};

use super::{ALL, Case, on_bridge as bridge};

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let parts = [ranges(), requested(), reserved(), wrong_ranges(), fixed(), fixed_wrong()];
    parts.into_iter().flatten().collect()
}

fn host_local(ipam: Value) -> Value {
    alone("host-local", ipam)
}

fn alone(kind: &str, mut ipam: Value) -> Value {
    if let Some(map) = ipam.as_object_mut() {
        map.insert("type".to_owned(), kind.into());
    }
    json!({"type": kind, "capabilities": {"ips": true, "ipRanges": true}, "ipam": ipam})
}

fn subnet() -> Value {
    json!({"subnet": "10.1.0.0/24"})
}

fn ranges() -> Vec<Case> {
    let two = json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20",
        "rangeEnd": "10.1.0.30", "gateway": "10.1.0.254"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd00:9::/32", "gw": "fd00:1::9"}]});
    vec![
        Case::new("host-local", host_local(two)).versions(&ALL),
        Case::new("host-local old form", host_local(json!({"subnet": "10.1.0.0/24",
            "rangeStart": "10.1.0.7", "rangeEnd": "10.1.0.9", "gateway": "10.1.0.7"}))).versions(&ALL),
        Case::new("host-local both forms", host_local(json!({"subnet": "10.1.0.0/24",
            "ranges": [[{"subnet": "10.2.0.0/24"}]]}))),
        Case::new("host-local one set of two ranges", host_local(json!({"ranges": [[
            {"subnet": "10.1.0.0/30"}, {"subnet": "10.1.1.0/24"}]]}))),
        Case::new("host-local v6", host_local(json!({"subnet": "fd00:1::/64"}))),
        Case::new("host-local gateway elsewhere",
            host_local(json!({"subnet": "10.1.0.0/24", "gateway": "10.9.0.1"}))),
        Case::new("host-local ipRanges", host_local(subnet()))
            .capability_args(json!({"ipRanges": [[{"subnet": "10.7.0.0/24", "rangeStart": "10.7.0.50"}]]})),
        Case::new("host-local dataDir", host_local(json!({"subnet": "10.1.0.0/24", "dataDir": "/var/lib/cni/other"}))),
        Case::new("host-local resolvConf", host_local(json!({"subnet": "10.1.0.0/24", "resolvConf": "/etc/cni/rc"})))
            .setup("printf 'nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch a\nsearch b\ndomain x\ndomain y\nfoo bar\n' >/etc/cni/rc")
            .versions(&ALL),
        Case::new("invalid host-local no resolvConf",
            host_local(json!({"subnet": "10.1.0.0/24", "resolvConf": "/nowhere"})))
            .fails("/nowhere"),
    ]
}

fn requested() -> Vec<Case> {
    let dual = json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]});
    let with_args = |mut conf: Value| {
        if let Some(map) = conf.as_object_mut() {
            map.insert("args".to_owned(), json!({"cni": {"ips": ["10.1.0.26"]}}));
        }
        conf
    };
    vec![
        Case::new("host-local ips", host_local(dual.clone()))
            .capability_args(json!({"ips": ["10.1.0.25", "fd00:1::25/64"]})),
        Case::new("host-local ips of one set", host_local(dual))
            .capability_args(json!({"ips": ["fd00:1::25"]})),
        Case::new("host-local args.cni", with_args(host_local(subnet()))),
        Case::new("host-local CNI_ARGS", host_local(subnet()))
            .args("IgnoreUnknown=1;IP=10.1.0.27;X=y"),
        Case::new("host-local CNI_ARGS with prefix", host_local(subnet())).args("IP=10.1.0.27/16"),
        Case::new("host-local ip outside", host_local(subnet()))
            .capability_args(json!({"ips": ["10.8.0.1"]}))
            .fails("failed to allocate all requested IPs: "),
        Case::new("host-local ip is gateway", host_local(subnet()))
            .capability_args(json!({"ips": ["10.1.0.1"]}))
            .fails("requested ip 10.1.0.1 is subnet's gateway"),
        Case::new("invalid host-local no ip", host_local(subnet())).args("IP=x").fails("x"),
    ]
}

fn reserved() -> Vec<Case> {
    let last = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"});
    let others = "mkdir -p /var/lib/cni/networks/net; printf 'c9\\r\\neth0' >/var/lib/cni/networks/net/10.1.0.9";
    vec![
        Case::new("host-local ip taken", host_local(subnet()))
            .setup(others)
            .capability_args(json!({"ips": ["10.1.0.9"]}))
            .fails("requested IP address 10.1.0.9 is not available in range set 10.1.0.1-10.1.0.254"),
        Case::new("host-local twice", host_local(subnet()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 'c1\\r\\neth0' >/var/lib/cni/networks/net/10.1.0.9")
            .fails("10.1.0.9 has been allocated to c1, duplicate allocation is not allowed"),
        Case::new("host-local full", host_local(last)).setup(others)
            .fails("no IP addresses available in range set: 10.1.0.9-10.1.0.9"),
        Case::new("host-local last reserved", host_local(subnet()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 10.1.0.254 >/var/lib/cni/networks/net/last_reserved_ip.0"),
        Case::new("host-local last reserved is nonsense", host_local(subnet()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf x >/var/lib/cni/networks/net/last_reserved_ip.0"),
        Case::new("host-local another interface", host_local(subnet()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 'c1\\r\\neth1' >/var/lib/cni/networks/net/10.1.0.2"),
        Case::new("host-local of old", host_local(subnet()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf c1 >/var/lib/cni/networks/net/10.1.0.2")
            .fails("10.1.0.2 has been allocated to c1, duplicate allocation is not allowed"),
    ]
}

fn wrong_ranges() -> Vec<Case> {
    vec![
        Case::new("invalid host-local no ranges", host_local(json!({}))).fails("no IP ranges specified"),
        Case::new("invalid host-local empty set", host_local(json!({"ranges": [[]]}))).fails("empty range set"),
        Case::new("invalid host-local no ipam", json!({"type": "host-local"}))
            .fails("IPAM config missing 'ipam' key"),
        Case::new("invalid host-local host bits", host_local(json!({"subnet": "10.1.0.5/24"}))).fails(
            "Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0"),
        Case::new("invalid host-local too small", host_local(json!({"subnet": "10.1.0.0/31"})))
            .fails("Network 10.1.0.0/31 too small to allocate from"),
        Case::new("invalid host-local start outside",
            host_local(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"})))
            .fails("RangeStart 10.2.0.1 not in network 10.1.0.0/24"),
        Case::new("invalid host-local end outside",
            host_local(json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"})))
            .fails("RangeEnd 10.2.0.1 not in network 10.1.0.0/24"),
        Case::new("invalid host-local mixed", host_local(json!({"ranges": [[
            {"subnet": "10.1.0.0/24"}, {"subnet": "fd00:1::/64"}]]}))).fails("mixed address families"),
        Case::new("invalid host-local overlap", host_local(json!({"ranges": [
            [{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]}))).fails("range set 0 overlaps with 1"),
        Case::new("invalid host-local overlap in set", host_local(json!({"ranges": [[
            {"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/16"}]]}))).fails("overlap"),
        Case::new("invalid host-local two of a family, too old", host_local(json!({"ranges": [
            [{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]})))
            .fails("does not support more than 1 address per family")
            .versions(&["0.1.0", "0.2.0"]),
    ]
}

fn fixed() -> Vec<Case> {
    let static_ = |ipam: Value| alone("static", ipam);
    let one = json!({"addresses": [{"address": "10.1.0.5/24"}]});
    let mut with_args = static_(one.clone());
    if let Some(map) = with_args.as_object_mut() {
        map.insert("args".to_owned(), json!({"cni": {"ips": ["10.4.0.5/24"]}}));
    }
    vec![
        Case::new("static", static_(json!({
            "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::5/64"}],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}],
            "dns": {"nameservers": ["192.0.2.53"], "domain": "x.test", "search": ["x.test"],
                "options": ["ndots:2"]}}))).versions(&ALL),
        Case::new("static two of a family", static_(json!({"addresses": [
            {"address": "10.1.0.5/24"}, {"address": "10.2.0.5/24"}]}))),
        Case::new("static two default routes", static_(json!({"addresses": [{"address": "10.1.0.5/24"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "0.0.0.0/0", "gw": "10.1.0.2"}]}))),
        Case::new("static no address", static_(json!({}))),
        Case::new("static CNI_ARGS", static_(json!({}))).args("IP=10.1.0.6/24,10.2.0.6/24;GATEWAY=10.2.0.1"),
        Case::new("static CNI_ARGS and addresses", static_(one.clone())).args("IP=10.2.0.6/24"),
        Case::new("static args.cni", with_args.clone()),
        Case::new("static runtimeConfig", static_(one)).capability_args(json!({"ips": ["10.3.0.5/24"]})),
        Case::new("static runtimeConfig and args.cni", with_args)
            .capability_args(json!({"ips": ["10.3.0.5/24"]})),
        Case::new("static on bridge", bridge(json!({"isDefaultGateway": true}), json!({"type": "static",
            "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
            "dns": {"nameservers": ["192.0.2.53"]}}))),
        Case::new("static without gateway on bridge", bridge(json!({"isGateway": true}), json!({
            "type": "static", "addresses": [{"address": "10.1.0.5/24"}, {"address": "fd00:1::5/64"}]}))),
        Case::new("static CNI_ARGS on bridge", bridge(json!({"isGateway": true}), json!({"type": "static"})))
            .args("IP=10.1.0.6/24;MAC=c2:11:22:33:44:55;IgnoreUnknown=1"),
    ]
}

fn fixed_wrong() -> Vec<Case> {
    let static_ = |ipam: Value| alone("static", ipam);
    vec![
        Case::new(
            "static two of a family, too old",
            static_(json!({"addresses": [
            {"address": "10.1.0.5/24"}, {"address": "10.2.0.5/24"}]})),
        )
        .fails("does not support more than 1 address per family")
        .versions(&["0.1.0", "0.2.0"]),
        Case::new("static no ipam", json!({"type": "static"}))
            .fails("IPAM config missing 'ipam' key"),
        Case::new("static no CIDR", static_(json!({"addresses": [{"address": "10.1.0.5"}]})))
            .fails("the 'address' field is expected to be in CIDR notation, got: '10.1.0.5'"),
        Case::new("static ips no CIDR", static_(json!({})))
            .capability_args(json!({"ips": ["10.1.0.5"]}))
            .fails("an entry in the 'ips' field is NOT in CIDR notation, got: '10.1.0.5'"),
        Case::new("static IP no CIDR", static_(json!({})))
            .args("IP=10.1.0.5")
            .fails("the 'ip' field is expected to be in CIDR notation, got: '10.1.0.5'"),
        Case::new("static GATEWAY", static_(json!({}))).args("IP=10.1.0.5/24;GATEWAY=x").fails("x"),
    ]
}
