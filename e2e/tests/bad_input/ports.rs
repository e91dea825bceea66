//! Keys of portmap and firewall.

use anyhow::{Result, ensure};
use e2e::{Chain, Lab};
use serde_json::{Value, json};

use crate::site::{Row, Site, bridge, conf, row};

#[test]
fn published_ports_that_are_wrong_or_taken() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let mut chain = Chain::new(json!({"cniVersion": "1.1.0", "name": "net",
            "plugins": [bridge(json!({}))]}));
        let prev = chain.add(&site.cni)?;
        site.run(&mappings(&prev))?;
        site.run(&keys(&prev))?;
        site.run(&taken(&prev))?;
        // The same port without the key: a word on stderr, and it works.
        let reply = site.cni.call("ADD", "portmap", &port(&prev, 9090.into(), 80.into()))?;
        reply.result()?;
        ensure!(reply.0.stderr.contains("9090"), "no warning: {reply:?}");
        Ok(())
    })
}

fn portmap(prev: &Value, keys: Value, mapping: Value) -> Value {
    conf(
        json!({"type": "portmap", "prevResult": prev,
            "runtimeConfig": {"portMappings": [mapping]}}),
        keys,
    )
}

fn port(prev: &Value, host: Value, container: Value) -> Value {
    portmap(
        prev,
        json!({}),
        json!({"hostPort": host, "containerPort": container, "protocol": "tcp"}),
    )
}

fn mappings(prev: &Value) -> Vec<Row> {
    vec![
        row(
            "port 0",
            "portmap",
            &port(prev, 0.into(), 80.into()),
            7,
            &["Invalid host port number: 0"],
        ),
        row(
            "container port 0",
            "portmap",
            &port(prev, 7000.into(), 0.into()),
            7,
            &["Invalid container port number: 0"],
        ),
        row(
            "port 70000",
            "portmap",
            &port(prev, 70_000.into(), 80.into()),
            6,
            &["hostPort", "70000"],
        ),
        row(
            "one port for two",
            "portmap",
            &conf(
                port(prev, 7000.into(), 80.into()),
                json!({"runtimeConfig": {"portMappings": [
                    {"hostPort": 7000, "containerPort": 80},
                    {"hostPort": 7000, "containerPort": 81}]}}),
            ),
            7,
            &["portMappings", "7000/tcp", "80 and 81"],
        ),
        row("port as text", "portmap", &port(prev, "80".into(), 80.into()), 6, &["hostPort", "80"]),
        row(
            "protocol",
            "portmap",
            &portmap(
                prev,
                json!({}),
                json!({"hostPort": 7000, "containerPort": 80, "protocol": "icmp"}),
            ),
            7,
            &["protocol", "icmp"],
        ),
        row(
            "hostIP",
            "portmap",
            &portmap(
                prev,
                json!({}),
                json!({"hostPort": 7000, "containerPort": 80, "hostIP": "300.1.1.1"}),
            ),
            7,
            &["hostIP", "300.1.1.1"],
        ),
    ]
}

fn keys(prev: &Value) -> Vec<Row> {
    let good = json!({"hostPort": 7000, "containerPort": 80});
    vec![
        row(
            "condition",
            "portmap",
            &portmap(prev, json!({"conditionsV4": ["-m", "owner"]}), good.clone()),
            2,
            &["conditionsV4", "-m"],
        ),
        row(
            "conflict",
            "portmap",
            &portmap(prev, json!({"hostPortConflict": "maybe"}), good.clone()),
            7,
            &["hostPortConflict", "maybe"],
        ),
        row(
            "mark",
            "portmap",
            &portmap(prev, json!({"markMasqBit": 32}), good.clone()),
            7,
            &["MasqMarkBit must be between 0 and 31", "32"],
        ),
        row(
            "no prevResult",
            "portmap",
            &conf(json!({"type": "portmap", "runtimeConfig": {"portMappings": [good]}}), json!({})),
            7,
            &["must be called as chained plugin"],
        ),
        row(
            "policy",
            "firewall",
            &conf(
                json!({"type": "firewall", "prevResult": prev,
                "ingressPolicy": "x"}),
                json!({}),
            ),
            7,
            &["ingress", "\"x\""],
        ),
    ]
}

fn taken(prev: &Value) -> Vec<Row> {
    vec![
        row(
            "port of another container",
            "portmap",
            &port(prev, 8080.into(), 80.into()),
            7,
            &["8080", "holder"],
        ),
        row(
            "port of a process",
            "portmap",
            &portmap(
                prev,
                json!({"hostPortConflict": "error"}),
                json!({"hostPort": 9090, "containerPort": 80}),
            ),
            7,
            &["9090"],
        ),
    ]
}
