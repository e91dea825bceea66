//! What a runtime asks of an attachment.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{CNI_BIN, Chain, Cni, Lab, Place as _, Proto, probe};
use serde_json::{Value, json};

use super::{call_all, host, network, nothing_is_left};

#[test]
fn del_comes_twice_with_an_empty_or_vanished_netns() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        for (number, vanished) in [(1, false), (2, true)] {
            let container = host.add_container(&format!("c{number}"))?;
            let mut chain = network("net", 1, 8080);
            let mut cni = Cni::new(&container);
            chain.add(&cni)?;
            if vanished {
                container.remove()?;
            } else {
                cni.netns.clear();
            }
            for time in ["first", "second"] {
                call_all(&chain, &cni, "DEL", &Value::Null)
                    .with_context(|| format!("{time} DEL, netns {:?}", cni.netns))?;
                nothing_is_left(&host, &["lo", "net"])?;
            }
        }
        Ok(())
    })
}

/// As libcni asks, before each of its calls.
#[test]
fn version_is_called_with_dummy_values() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let before = host.interfaces()?;
        for plugin in host.list(CNI_BIN)? {
            let program = format!("{CNI_BIN}/{plugin}");
            let mut command = host.command(&[&program]).env("CNI_COMMAND", "VERSION");
            for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"] {
                command = command.env(name, "dummy");
            }
            let answer = command.stdin(r#"{"cniVersion":"1.1.0"}"#).run()?.json()?;
            let versions = answer.get("supportedVersions").and_then(Value::as_array);
            let versions = versions.with_context(|| format!("{plugin}: {answer}"))?;
            ensure!(versions.contains(&json!("1.0.0")), "{plugin}: {answer}");
        }
        ensure!(host.interfaces()? == before && host.list("/run/netd")?.is_empty());
        Ok(())
    })
}

/// containerd writes its structures as they are in Go: capitalised, with the zero values in them.
#[test]
fn zero_means_unset_in_capitalised_runtime_config() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let container = host.add_container("c1")?;
        let mut chain = network("net", 1, 0).with_args(json!({ "portMappings": [
            { "HostPort": 8081, "ContainerPort": 80, "Protocol": "", "HostIP": "" },
        ]}));
        if let Some(bridge) = chain.conflist.pointer_mut("/plugins/0")
            && let Some(bridge) = bridge.as_object_mut()
        {
            let zeros = json!({ "Mac": "", "IPs": [], "IPRanges": [], "Aliases": null,
                "DNS": { "Servers": [], "Searches": [], "Options": [] },
                "Bandwidth": { "IngressRate": 0, "IngressBurst": 0, "EgressRate": 0,
                               "EgressBurst": 0 } });
            bridge.insert("runtimeConfig".to_owned(), zeros);
        }
        let result = chain.add(&Cni::new(&container))?;
        chain.check(&Cni::new(&container))?;
        ensure!(result.pointer("/ips/0/address") == Some(&json!("10.1.0.2/24")), "{result}");
        let _server = probe::serve(&container, 80, &[])?;
        let seen = probe::ask(&host, Proto::Tcp, ("127.0.0.1".parse()?, 8081))?;
        ensure!(seen.destination.port() == 80, "no protocol is tcp: {seen:?}");
        Ok(())
    })
}

#[test]
fn static_ip_and_mac_come_in_cni_args_only() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let container = host.add_container("c1")?;
        let args = "IgnoreUnknown=1;IP=10.1.0.50;MAC=02:aa:bb:cc:dd:ee;K8S_POD_NAME=web";
        let cni = Cni::new(&container).args(args);
        let mut chain = network("net", 1, 0);
        chain.add(&cni)?;
        chain.check(&cni)?;
        let link = container.run(&["ip", "-o", "link", "show", "eth0"])?.stdout;
        ensure!(link.contains("02:aa:bb:cc:dd:ee"), "{link}");
        let addresses = container.addresses("eth0")?;
        ensure!(addresses.contains(&"10.1.0.50/24".to_owned()), "{addresses:?}");
        chain.del(&cni)?;
        nothing_is_left(&host, &["lo", "net"])
    })
}

#[test]
fn one_del_does_not_touch_another_networks_or_interfaces_ports() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let container = host.add_container("c1")?;
        // Two interfaces in one network, and one in another.
        let wanted =
            [("red", 1, "eth0", 8001), ("red", 1, "eth1", 8002), ("blue", 2, "eth2", 8003)];
        let mut all: Vec<(Chain, Cni, u16)> = Vec::new();
        for (name, number, ifname, port) in wanted {
            let cni = Cni::new(&container).ifname(ifname);
            let mut chain = network(name, number, port);
            chain.add(&cni).with_context(|| ifname.to_owned())?;
            all.push((chain, cni, port));
        }
        let _server = probe::serve(&container, 80, &[])?;
        let reached = |port: u16| -> Result<bool> {
            let to = ("127.0.0.1".parse()?, port);
            Ok(probe::refusal(&host, Proto::Tcp, to)?.is_ok())
        };
        let mut rest = all.as_slice();
        while let Some(((chain, cni, port), others)) = rest.split_first() {
            ensure!(reached(*port)?, "{port} before DEL of {}", cni.ifname);
            call_all(chain, cni, "DEL", &Value::Null)?;
            ensure!(!reached(*port)?, "{port} after DEL of {}", cni.ifname);
            for (chain, cni, port) in others {
                chain.check(cni).with_context(|| cni.ifname.clone())?;
                ensure!(reached(*port)?, "{port} of {} went as well", cni.ifname);
            }
            rest = others;
        }
        nothing_is_left(&host, &["blue", "lo", "red"])
    })
}

#[test]
fn waits_for_a_lock_are_bounded_with_code_11() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let container = host.add_container("c1")?;
        host.sh("mkdir -p /var/lib/cni/networks/net")?;
        let lock = "/var/lib/cni/networks/net/lock";
        let holder =
            host.spawn("holder", &["flock", "-F", lock, "sh", "-c", "echo held; exec sleep 100"])?;
        e2e::wait_until("the lock is held", e2e::PATIENCE, || holder.log().contains("held"))?;
        let conf = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge",
            "ipam": { "type": "host-local", "subnet": "10.1.0.0/24" } });
        let begun = Instant::now();
        let (code, text) = Cni::new(&container).call("ADD", "bridge", &conf)?.error()?;
        ensure!(code == 11 && text.contains(lock), "code {code}: {text}");
        ensure!(begun.elapsed() < Duration::from_secs(45), "took {:?}", begun.elapsed());
        nothing_is_left(&host, &["lo"])?;
        drop(holder);
        Cni::new(&container).call("ADD", "bridge", &conf)?.result().map(drop)
    })
}

#[test]
fn a_gc_with_ten_thousand_attachments_passes_every_plugin() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let (stays, goes) = (host.add_container("stays")?, host.add_container("goes")?);
        let mut kept = network("net", 1, 8001);
        kept.add(&Cni::new(&stays))?;
        network("net", 1, 8002).add(&Cni::new(&goes))?;
        let mut valid: Vec<Value> = (0..10_000)
            .map(|n| json!({ "containerID": format!("{n:064x}"), "ifname": "eth0" }))
            .collect();
        valid.push(json!({ "containerID": "stays", "ifname": "eth0" }));
        let keys = json!({ "cni.dev/valid-attachments": valid });
        call_all(&kept, &Cni::new(&stays), "GC", &keys)?;
        kept.check(&Cni::new(&stays))?;
        ensure!(goes.run(&["ip", "link", "show", "eth0"]).is_err(), "its link is still there");
        let ruleset = host.run(&["nft", "list", "ruleset"])?.stdout;
        ensure!(!ruleset.contains("net/goes/eth0") && ruleset.contains("net/stays/eth0"));
        call_all(&kept, &Cni::new(&stays), "DEL", &Value::Null)?;
        nothing_is_left(&host, &["lo", "net"])
    })
}
