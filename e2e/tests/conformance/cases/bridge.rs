//! `bridge` and `loopback`.

use serde_json::{Value, json};

use super::{ALL, Case, dual, on_bridge as bridge, v4};

const RESOLV_CONF: &str = r"printf '# no\n; no\nnameserver 192.0.2.1\ndomain x.test\nsearch a b\noptions ndots:2 c\n' >/etc/cni/rc";
const OTHER_BRIDGE: &str = "ip link add cni0 type bridge; ip addr add 10.9.0.1/24 dev cni0";

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let parts =
        [links(), gateways(), addresses_there(), routes(), dns(), macs(), wrong(), loopback()];
    parts.into_iter().flatten().collect()
}

fn links() -> Vec<Case> {
    vec![
        Case::new("bridge", bridge(json!({}), v4())).versions(&ALL),
        Case::new("bridge name", bridge(json!({"bridge": "br-x.1"}), v4())),
        Case::new("bridge mtu", bridge(json!({"isGateway": true, "mtu": 1400}), v4())),
        Case::new("bridge hairpin", bridge(json!({"hairpinMode": true}), v4())),
        Case::new("bridge promisc", bridge(json!({"promiscMode": true}), v4())),
        Case::new("bridge without ipam", bridge(json!({}), Value::Null))
            .versions(&["0.3.0", "0.3.1", "0.4.0", "1.0.0"]),
        Case::new("bridge macspoofchk", bridge(json!({"macspoofchk": true}), v4())),
        Case::new(
            "bridge enabledad",
            bridge(json!({"enabledad": true, "isGateway": true}), dual()),
        ),
        Case::new("bridge there and down", bridge(json!({}), v4()))
            .setup("ip link add cni0 type bridge"),
        Case::new("bridge there and promisc", bridge(json!({"promiscMode": true}), v4()))
            .setup("ip link add cni0 up type bridge"),
        Case::new("bridge there with mtu", bridge(json!({"mtu": 1400}), v4()))
            .setup("ip link add cni0 mtu 1450 up type bridge"),
    ]
}

fn gateways() -> Vec<Case> {
    let gateway = json!({"isGateway": true});
    let with_gateway = json!({"type": "host-local", "ranges": [
        [{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}],
        [{"subnet": "fd00:1::/64", "gateway": "fd00:1::fe"}]]});
    vec![
        Case::new("bridge isGateway", bridge(gateway.clone(), dual())),
        Case::new(
            "bridge isGateway v6",
            bridge(
                gateway.clone(),
                json!({"type": "host-local",
            "subnet": "fd00:1::/64"}),
            ),
        ),
        Case::new(
            "bridge isDefaultGateway",
            bridge(json!({"isDefaultGateway": true, "ipMasq": true}), dual()),
        )
        .versions(&ALL),
        Case::new(
            "bridge gateway of ipam",
            bridge(json!({"isDefaultGateway": true}), with_gateway.clone()),
        ),
        Case::new("bridge gateway of ipam unused", bridge(json!({}), with_gateway)),
    ]
}

fn addresses_there() -> Vec<Case> {
    let gateway = json!({"isGateway": true});
    vec![
        Case::new(
            "bridge two v6",
            bridge(
                gateway.clone(),
                json!({"type": "host-local",
            "subnet": "fd00:1::/64"}),
            ),
        )
        .setup("ip link add cni0 up type bridge; ip addr add fd00:9::1/64 dev cni0 nodad"),
        Case::new("late bridge address taken", bridge(gateway.clone(), v4()))
            .setup(OTHER_BRIDGE)
            .fails("\"cni0\" already has an IP address different from 10.1.0.1/24"),
        Case::new(
            "late bridge overlapping v6",
            bridge(
                gateway,
                json!({"type": "host-local",
            "subnet": "fd00:1::/64"}),
            ),
        )
        .setup("ip link add cni0 up type bridge; ip addr add fd00:1::9/64 dev cni0 nodad")
        .fails("\"cni0\" already has an IP address different from fd00:1::1/64"),
        Case::new(
            "bridge forceAddress",
            bridge(json!({"isGateway": true, "forceAddress": true}), v4()),
        )
        .setup(OTHER_BRIDGE),
        Case::new(
            "bridge forceAddress v6",
            bridge(
                json!({"isGateway": true, "forceAddress": true}),
                json!({"type": "host-local", "subnet": "fd00:1::/64"}),
            ),
        )
        .setup("ip link add cni0 up type bridge; ip addr add fd00:1::9/64 dev cni0 nodad"),
    ]
}

fn routes() -> Vec<Case> {
    let with = |routes: Value| {
        json!({"type": "host-local", "ranges": [
        [{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]], "routes": routes})
    };
    vec![
        Case::new(
            "bridge routes",
            bridge(
                json!({"isGateway": true}),
                with(json!([
            {"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}])),
            ),
        ),
        Case::new(
            "bridge routes v6",
            bridge(
                json!({"isGateway": true}),
                with(json!([
            {"dst": "::/0"}, {"dst": "2001:db8::/32", "gw": "fd00:1::9"}])),
            ),
        ),
        Case::new(
            "bridge routes without gateway",
            bridge(
                json!({}),
                with(json!([
            {"dst": "192.0.2.0/24"}])),
            ),
        ),
        Case::new(
            "bridge default and route",
            bridge(
                json!({"isDefaultGateway": true}),
                with(json!([
            {"dst": "0.0.0.0/0", "gw": "10.1.0.77"}])),
            ),
        ),
    ]
}

fn dns() -> Vec<Case> {
    let ipam = json!({"type": "host-local", "subnet": "10.1.0.0/24", "resolvConf": "/etc/cni/rc"});
    vec![
        Case::new(
            "bridge dns",
            bridge(json!({"dns": {"nameservers": ["192.0.2.53"]}}), ipam.clone()),
        )
        .setup(RESOLV_CONF),
        Case::new(
            "bridge dns all",
            bridge(
                json!({"dns": {"nameservers": ["192.0.2.53"],
            "domain": "x.test", "search": ["a", "b"], "options": ["ndots:3"]}}),
                v4(),
            ),
        )
        .versions(&ALL),
        Case::new("bridge resolvConf", bridge(json!({}), ipam.clone())).setup(RESOLV_CONF),
        Case::new("bridge dns empty", bridge(json!({"dns": {"nameservers": []}}), ipam))
            .setup(RESOLV_CONF),
    ]
}

fn macs() -> Vec<Case> {
    let args = json!({"cni": {"mac": "c2:11:22:33:44:55", "ips": ["10.1.0.51"]}});
    vec![
        Case::new("bridge CNI_ARGS", bridge(json!({}), v4()))
            .args("IgnoreUnknown=1;MAC=c2:11:22:33:44:55;IP=10.1.0.50;K8S_POD_NAME=x"),
        Case::new("bridge args.cni", bridge(json!({"args": args}), v4()))
            .args("IgnoreUnknown=1;MAC=c2:11:22:33:44:66"),
        Case::new(
            "bridge runtimeConfig",
            bridge(
                json!({"capabilities": {"mac": true, "ips": true},
                   "args": {"cni": {"mac": "c2:11:22:33:44:55"}}}),
                v4(),
            ),
        )
        .capability_args(json!({"mac": "c2:11:22:33:44:66", "ips": ["10.1.0.52/24"]})),
        Case::new(
            "bridge keys in other cases",
            json!({"type": "bridge",
            "ISGATEWAY": true, "Mtu": 1400, "IPAM": v4()}),
        ),
        Case::new(
            "bridge null",
            json!({"type": "bridge", "mtu": null, "isGateway": null, "dns": null,
            "args": null, "unknown": {"x": [1]}, "ipam": v4()}),
        ),
    ]
}

fn wrong() -> Vec<Case> {
    vec![
        Case::new(
            "bridge hairpin and promisc",
            bridge(json!({"hairpinMode": true, "promiscMode": true}), v4()),
        )
        .fails("cannot set hairpin mode and promiscuous mode at the same time"),
        Case::new("invalid bridge vlan", bridge(json!({"vlan": 4095}), v4()))
            .fails("invalid VLAN ID 4095 (must be between 0 and 4094)"),
        Case::new("invalid bridge vlan below 0", bridge(json!({"vlan": -1}), v4()))
            .fails("invalid VLAN ID -1 (must be between 0 and 4094)"),
        Case::new("bridge is no bridge", bridge(json!({}), v4()))
            .setup("ip link add cni0 type veth peer name m2")
            .fails("\"cni0\" already exists but is not a bridge"),
        Case::new("late bridge static no address", bridge(json!({}), json!({"type": "static"})))
            .fails("IPAM plugin returned missing IP config"),
        Case::new("late ipam not there", bridge(json!({}), json!({"type": "nowhere"})))
            .fails("failed to find plugin \"nowhere\" in path [/opt/cni/bin]"),
        Case::new("invalid CNI_ARGS unknown", bridge(json!({}), v4()))
            .args("FOO=1")
            .fails("unknown args [\"FOO=1\"]"),
        Case::new("invalid CNI_ARGS pair", bridge(json!({}), v4()))
            .args("FOO")
            .fails("invalid pair \"FOO\""),
    ]
}

fn loopback() -> Vec<Case> {
    vec![
        Case::new("loopback", json!({"type": "loopback"})).versions(&ALL),
        Case::new("loopback after bridge", json!([bridge(json!({}), v4()), {"type": "loopback"}])),
    ]
}
