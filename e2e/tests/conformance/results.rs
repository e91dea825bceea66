//! Results of 1.1.0, which the reference of Debian 12 does not know: by the specification they have
//! the form of 1.0.0, which is compared with the reference's, and interfaces may tell their MTU.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{CNI_BIN, Chain, Cni, Host, Lab, Place as _, PluginSet};
use serde_json::{Value, json};

use crate::observe;

/// A configuration, and the MTU that each interface of its result tells.
struct Case {
    plugins: Value,
    ports: Value,
    mtus: &'static [Option<u64>],
}

/// Plugins whose results are compared elsewhere: the plugin, and why.
const ELSEWHERE: [(&str, &str); 2] = [
    ("overlay", "needs netd; the delegate's result is flannel's"),
    ("netd", "needs netd: e2e/tests/networks"),
];

fn cases() -> Vec<Case> {
    let case = |plugins: Value, mtus| Case { plugins, ports: json!([]), mtus };
    let pool = json!({"type": "host-local", "ranges": [
        [{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "192.0.2.0/24", "gw": "10.1.0.9"}]});
    let fixed = json!({"type": "static", "addresses": [{"address": "10.1.0.5/24"}],
        "dns": {"nameservers": ["192.0.2.53"]}});
    let bridge = |ipam: &Value| json!({"type": "bridge", "isDefaultGateway": true, "ipam": ipam});
    let chain = json!([
        bridge(&pool),
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "firewall", "ingressPolicy": "same-bridge"},
    ]);
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    vec![
        case(json!([bridge(&pool)]), &[Some(1500); 3]),
        case(json!([{"type": "bridge", "mtu": 1400, "ipam": fixed}]), &[Some(1400); 3]),
        case(json!([{"type": "bridge"}]), &[Some(1500); 3]),
        Case { plugins: chain, ports, mtus: &[Some(1500); 3] },
        case(
            json!([{"type": "macvlan", "master": "m0", "mtu": 1300, "ipam": pool}]),
            &[Some(1300)],
        ),
        case(json!([{"type": "macvlan", "master": "m0"}]), &[Some(1500)]),
        case(json!([{"type": "host-local", "ipam": pool}]), &[]),
        case(json!([{"type": "static", "ipam": fixed}]), &[]),
        case(json!([{"type": "flannel"}]), &[Some(1450); 3]),
        case(json!([{"type": "loopback"}]), &[None]),
        case(json!([bridge(&pool), {"type": "loopback"}]), &[Some(1500); 3]),
        case(json!([{"type": "none"}]), &[None]),
        case(json!([{"type": "host"}]), &[None, None, None]),
    ]
}

#[test]
fn results_of_1_1_0_are_those_of_1_0_0_and_the_mtu() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        host.sh("ip link add m0 up type veth peer name m1; ip link set m1 up; ip link set lo up
            ip addr add 192.0.2.10/24 dev m0; ip addr add 198.51.100.10/24 dev m1")?;
        host.write_file(
            "/run/flannel/subnet.env",
            "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1450\n\
             FLANNEL_IPMASQ=false\n",
        )?;
        for case in cases() {
            let result = |version| {
                run(&host, &case, version).with_context(|| format!("{} {version}", case.plugins))
            };
            let (old, new) = (result("1.0.0")?, result("1.1.0")?);
            ensure!(old == new, "{}: 1.0.0 {old}, 1.1.0 {new}", case.plugins);
        }
        let installed: BTreeSet<String> = host.list(CNI_BIN)?.into_iter().collect();
        let plugins: BTreeSet<String> = cases()
            .iter()
            .flat_map(|case| types(&case.plugins))
            .chain(ELSEWHERE.map(|(name, _)| name.to_owned()))
            .collect();
        assert_eq!(plugins, installed, "every plugin is in a case");
        Ok(())
    })
}

/// The result of a case, less the version, random MACs, and the MTUs, which must be right.
fn run(host: &Host, case: &Case, version: &str) -> Result<Value> {
    let container = host.add_container("c1")?;
    let list = json!({"cniVersion": version, "name": "net", "plugins": case.plugins});
    let mut chain = Chain::new(list).with_args(json!({"portMappings": case.ports}));
    let mut cni = Cni::new(&container).args("IgnoreUnknown=1;MAC=c2:11:22:33:44:55");
    if types(&case.plugins).contains(&"host".to_owned()) {
        cni.netns.clear();
    }
    let mut result = chain.add(&cni)?;
    chain.check(&cni)?;
    chain.del(&cni)?;
    container.remove()?;
    host.sh(observe::FORGET)?;
    let told = result.as_object_mut().and_then(|map| map.remove("cniVersion"));
    ensure!(told == Some(version.into()), "cniVersion {told:?}");
    let interfaces = result.get_mut("interfaces").and_then(Value::as_array_mut);
    let mut mtus = Vec::new();
    for interface in interfaces.into_iter().flatten().filter_map(Value::as_object_mut) {
        mtus.push(interface.remove("mtu").and_then(|mtu| mtu.as_u64()));
        if interface.get("name").is_some_and(|name| name != "m0" && name != "m1")
            && interface.get("sandbox").is_none()
        {
            interface.remove("mac"); // random
        }
    }
    let none = vec![None; case.mtus.len()];
    let expected = if version == "1.1.0" { case.mtus } else { &none };
    ensure!(mtus == expected, "MTUs {mtus:?} of {result}");
    Ok(result)
}

/// The plugins of a list, and their IPAM plugins.
fn types(plugins: &Value) -> Vec<String> {
    let all = plugins.as_array().into_iter().flatten();
    all.flat_map(|conf| [conf.get("type"), conf.pointer("/ipam/type")])
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
