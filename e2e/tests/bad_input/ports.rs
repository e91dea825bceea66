//! Keys of portmap and firewall.

use anyhow::{Result, ensure};
use e2e::{Chain, Lab};
use serde_json::{Value, json};

use crate::site::{Site, bridge, conf, row};

#[test]
fn published_ports_that_are_wrong_or_taken() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let mut chain = Chain::new(json!({"cniVersion": "1.1.0", "name": "net",
            "plugins": [bridge(json!({}))]}));
        let prev = chain.add(&site.cni)?;
        let portmap = |keys: Value, mapping: Value| {
            conf(
                json!({"type": "portmap", "prevResult": prev,
                "runtimeConfig": {"portMappings": [mapping]}}),
                keys,
            )
        };
        let port = |host: Value, container: Value| {
            portmap(
                json!({}),
                json!({"hostPort": host, "containerPort": container, "protocol": "tcp"}),
            )
        };
        let good = json!({"hostPort": 7000, "containerPort": 80});
        site.run(&[
            row(
                "port 0",
                "portmap",
                &port(0.into(), 80.into()),
                7,
                &["Invalid host port number: 0"],
            ),
            row(
                "container port 0",
                "portmap",
                &port(7000.into(), 0.into()),
                7,
                &["Invalid container port number: 0"],
            ),
            row(
                "port 70000",
                "portmap",
                &port(70_000.into(), 80.into()),
                6,
                &["hostPort", "70000"],
            ),
            row("port as text", "portmap", &port("80".into(), 80.into()), 6, &["hostPort", "80"]),
            row(
                "protocol",
                "portmap",
                &portmap(
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
                    json!({}),
                    json!({"hostPort": 7000, "containerPort": 80, "hostIP": "300.1.1.1"}),
                ),
                7,
                &["hostIP", "300.1.1.1"],
            ),
            row(
                "condition",
                "portmap",
                &portmap(json!({"conditionsV4": ["-m", "owner"]}), good.clone()),
                2,
                &["conditionsV4", "-m"],
            ),
            row(
                "conflict",
                "portmap",
                &portmap(json!({"hostPortConflict": "maybe"}), good.clone()),
                7,
                &["hostPortConflict", "maybe"],
            ),
            row(
                "mark",
                "portmap",
                &portmap(json!({"markMasqBit": 32}), good.clone()),
                7,
                &["MasqMarkBit must be between 0 and 31", "32"],
            ),
            row(
                "no prevResult",
                "portmap",
                &conf(
                    json!({"type": "portmap", "runtimeConfig": {"portMappings": [good]}}),
                    json!({}),
                ),
                7,
                &["must be called as chained plugin"],
            ),
            row(
                "port of another container",
                "portmap",
                &port(8080.into(), 80.into()),
                7,
                &["8080", "holder"],
            ),
            row(
                "port of a process",
                "portmap",
                &portmap(
                    json!({"hostPortConflict": "error"}),
                    json!({"hostPort": 9090, "containerPort": 80}),
                ),
                7,
                &["9090"],
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
        ])?;
        // The same port without the key: a word on stderr, and it works.
        let reply = site.cni.call("ADD", "portmap", &port(9090.into(), 80.into()))?;
        reply.result()?;
        ensure!(reply.0.stderr.contains("9090"), "no warning: {reply:?}");
        Ok(())
    })
}
