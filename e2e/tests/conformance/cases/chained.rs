//! `portmap` and `firewall`: their answers. Who reaches whom is in `reach`.

use serde_json::{Value, json};

use super::{Case, dual, on_bridge as bridge};

/// Where chains exist.
const CHAINED: [&str; 4] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0"];

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = ports();
    cases.extend(wrong_ports());
    cases.extend(firewalls());
    cases
}

fn base() -> Value {
    bridge(json!({"isDefaultGateway": true, "ipMasq": true}), dual())
}

fn portmap(mut keys: Value) -> Value {
    if let Some(map) = keys.as_object_mut() {
        map.insert("type".to_owned(), "portmap".into());
        map.insert("capabilities".to_owned(), json!({"portMappings": true}));
    }
    json!([base(), keys])
}

fn port(host: i64, container: i64) -> Value {
    json!({"portMappings": [{"hostPort": host, "containerPort": container, "protocol": "tcp"}]})
}

fn ports() -> Vec<Case> {
    let two = json!({"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8081, "containerPort": 81, "protocol": "udp", "hostIP": "127.0.0.1"}]});
    let ips = json!({"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0"},
        {"hostPort": 8082, "containerPort": 80, "protocol": "tcp", "hostIP": "::"},
        {"hostPort": 8083, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1"}]});
    vec![
        Case::new("portmap", portmap(json!({}))).capability_args(two).versions(&CHAINED),
        Case::new("portmap without ports", portmap(json!({}))).versions(&CHAINED),
        Case::new("portmap hostIP", portmap(json!({}))).capability_args(ips),
        Case::new("portmap no snat", portmap(json!({"snat": false})))
            .capability_args(port(8080, 80)),
        Case::new("portmap markMasqBit", portmap(json!({"markMasqBit": 5})))
            .capability_args(port(8080, 80)),
        Case::new(
            "portmap conditions",
            portmap(json!({"conditionsV4": ["-s", "192.0.2.0/24"],
            "conditionsV6": ["!", "-s", "2001:db8::/32"]})),
        )
        .capability_args(port(8080, 80)),
    ]
}

fn wrong_ports() -> Vec<Case> {
    vec![
        Case::new(
            "portmap alone",
            json!({"type": "portmap", "capabilities": {"portMappings": true}}),
        )
        .capability_args(port(8080, 80))
        .fails("must be called as chained plugin"),
        Case::new("invalid portmap port 0", portmap(json!({})))
            .capability_args(port(0, 80))
            .fails("Invalid host port number: 0"),
        Case::new("invalid portmap container port 0", portmap(json!({})))
            .capability_args(port(8080, 0))
            .fails("Invalid container port number: 0"),
        Case::new("invalid portmap mark", portmap(json!({"markMasqBit": 32})))
            .fails("MasqMarkBit must be between 0 and 31"),
        Case::new(
            "invalid portmap mark and chain",
            portmap(json!({"markMasqBit": 3, "externalSetMarkChain": "X"})),
        )
        .fails("Cannot specify externalSetMarkChain and markMasqBit"),
    ]
}

fn firewalls() -> Vec<Case> {
    let firewall = |mut keys: Value| {
        if let Some(map) = keys.as_object_mut() {
            map.insert("type".to_owned(), "firewall".into());
        }
        json!([base(), keys])
    };
    vec![
        Case::new("firewall", firewall(json!({}))).versions(&["0.4.0", "1.0.0"]),
        Case::new("firewall iptables", firewall(json!({"backend": "iptables",
            "iptablesAdminChainName": "MINE"}))),
        Case::new("firewall same-bridge", firewall(json!({"ingressPolicy": "same-bridge"}))),
        Case::new("firewall open", firewall(json!({"ingressPolicy": "open"}))),
        Case::new("invalid firewall policy", firewall(json!({"ingressPolicy": "x"})))
            .fails("unknown ingress policy: \"x\""),
        Case::new("firewall too old", firewall(json!({})))
            .fails("incompatible CNI versions config is \"0.3.1\", plugin supports [\"0.4.0\" \"1.0.0\"")
            .versions(&["0.3.1"]),
        Case::new("firewall alone", json!({"type": "firewall"}))
            .fails("missing prevResult from earlier plugin"),
    ]
}
