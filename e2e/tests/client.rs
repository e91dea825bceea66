//! The lab's own CNI client: it calls plugins as the specification tells runtimes to.

use anyhow::{Context as _, Result};
use e2e::{Chain, Cni, Container, Lab, Place as _, PluginSet, record};
use serde_json::{Value, json};

fn chain() -> Chain {
    Chain::new(json!({"cniVersion": "1.0.0", "name": "net", "plugins": [
        {"type": "loopback"},
        {"type": "record", "capabilities": {"portMappings": true, "mac": false}},
    ]}))
}

/// A container on a host with the selected plugins and `record`.
fn container(lab: &Lab) -> Result<Container> {
    let host = lab.host("host")?;
    PluginSet::selected()?.install(&host)?;
    record::install(&host)?;
    host.add_container("c1")
}

#[test]
fn a_chain_passes_results_on_and_only_declared_capabilities() -> Result<()> {
    Lab::run(|lab| {
        let container = container(lab)?;
        let cni = Cni::new(&container).ifname("lo").args("IgnoreUnknown=1;K=v");
        let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
        let arguments = json!({"portMappings": ports, "mac": "02:00:00:00:00:01", "ips": []});
        let mut chain = chain().with_args(arguments);
        let result = chain.add(&cni)?;
        let state = container.run(&["ip", "link", "show", "lo"])?.stdout;
        assert!(state.contains("LOOPBACK,UP"), "{state}");
        chain.check(&cni)?;
        chain.del(&cni)?;

        let calls = record::calls(container.host())?;
        let verbs: Vec<&str> = calls.iter().map(|call| call.verb.as_str()).collect();
        assert_eq!(verbs, ["ADD", "CHECK", "DEL"]);
        for call in &calls {
            assert_eq!(call.container_id, "c1");
            assert_eq!(call.netns, "/run/netns/c1");
            assert_eq!((call.ifname.as_str(), call.args.as_str()), ("lo", "IgnoreUnknown=1;K=v"));
            assert_eq!(call.conf.get("prevResult"), Some(&result), "{}", call.verb);
            assert_eq!(call.conf.get("runtimeConfig"), Some(&json!({"portMappings": ports})));
            assert_eq!(call.conf.get("name").and_then(Value::as_str), Some("net"));
            assert_eq!(call.conf.get("capabilities"), None);
        }
        Ok(())
    })
}

#[test]
fn a_refused_call_gives_code_and_text() -> Result<()> {
    Lab::run(|lab| {
        let cni = Cni::new(&container(lab)?);
        let conf = json!({"cniVersion": "9.9.9", "name": "net", "type": "loopback"});
        let reply = cni.call("ADD", "loopback", &conf)?;
        let (code, text) = reply.error()?;
        assert_eq!(code, 1, "incompatible version: {text}");
        let error = reply.result().err().context("an error")?.to_string();
        assert!(error.contains("exit status 1"), "{error}");
        Ok(())
    })
}
