//! Networks of `macvlan` as their users see them.

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Chain, Cni, Lab, Place as _, PluginSet, Proto, address, probe};
use serde_json::{Value, json};

#[test]
fn containers_of_a_macvlan_talk_and_the_host_does_not_reach_them() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        let neighbour = lab.host("neighbour")?;
        PluginSet::selected()?.install(&host)?;
        lab.wire(&host.port("eth0", "10.7.0.1/24"), &neighbour.port("eth0", "10.7.0.2/24"))?;
        let mut members = Vec::new();
        for name in ["a", "b"] {
            let container = host.add_container(name)?;
            let mut chain = network("1.0.0");
            let result = chain.add(&Cni::new(&container))?;
            chain.check(&Cni::new(&container))?;
            members.push((container, address(&result, 0)?));
        }
        let [(a, a_ip), (b, b_ip)] = members.as_slice() else { bail!("two members") };
        let _servers = [probe::serve(a, 80, &[])?, probe::serve(b, 80, &[])?];
        for (from, to) in [(a, b_ip), (b, a_ip)] {
            probe::ping(from, *to)?;
            probe::ask(from, Proto::Tcp, (*to, 80))?;
        }
        // From the wire their own addresses and MACs are seen.
        let _server = probe::serve(&neighbour, 80, &[])?;
        let seen = probe::ask(a, Proto::Tcp, ("10.7.0.2".parse()?, 80))?;
        ensure!(seen.source.ip() == *a_ip, "seen as {}", seen.source);
        probe::ping(&neighbour, *b_ip)?;
        ensure!(!probe::pings(&host, *a_ip)?, "the host reaches a macvlan of its own link");
        Ok(())
    })
}

/// Without the namespace's end nothing else takes it from there.
#[test]
fn gc_takes_the_link_out_of_a_container_that_lives_on() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        host.sh("ip link add eth0 up type veth peer name far; ip link set far up")?;
        let mut members = Vec::new();
        for name in ["kept", "stale"] {
            let container = host.add_container(name)?;
            let mut chain = network("1.1.0");
            chain.add(&Cni::new(&container))?;
            members.push((container, chain));
        }
        let [(kept, chain), (stale, _)] = members.as_slice() else { bail!("two members") };
        let cni = Cni::new(kept);
        let mut conf = chain.plugins()?.pop().context("a plugin")?;
        let valid = json!([{ "containerID": kept.id(), "ifname": "eth0" }]);
        conf.insert("cni.dev/valid-attachments".to_owned(), valid);
        cni.call("GC", "macvlan", &Value::Object(conf))?.result()?;
        assert_eq!(stale.interfaces()?, ["lo"]);
        let left = host.list("/run/netd/attachments/wire")?;
        ensure!(left == [kept.id()], "records of {left:?}");
        chain.check(&cni).context("what is valid stays")
    })
}

/// The parent is the host's way out: what is opened there is open to everybody.
#[test]
fn portmap_and_firewall_open_nothing_on_the_parent() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        host.sh("ip link add eth0 up type veth peer name far; ip link set far up")?;
        host.sh("ip addr add 10.7.0.1/24 dev eth0; iptables -P FORWARD DROP")?;
        let mut chain = network("1.0.0");
        let plugins = chain.conflist.pointer_mut("/plugins").and_then(Value::as_array_mut);
        plugins.context("plugins")?.extend([
            json!({ "type": "portmap", "capabilities": { "portMappings": true } }),
            json!({ "type": "firewall" }),
        ]);
        let ports = json!({ "portMappings": [{ "hostPort": 8080, "containerPort": 80 }] });
        let mut chain = chain.with_args(ports);
        let cni = Cni::new(&host.add_container("c1")?);
        chain.add(&cni)?;
        chain.check(&cni)?;
        let rules = host.run(&["iptables-save"])?.stdout;
        ensure!(!rules.contains("eth0"), "{rules}");
        let key = host.sh("cat /proc/sys/net/ipv4/conf/eth0/route_localnet")?.stdout;
        ensure!(key.trim() == "0", "route_localnet is {key}");
        chain.del(&cni)
    })
}

fn network(version: &str) -> Chain {
    Chain::new(json!({ "cniVersion": version, "name": "wire", "plugins": [
        { "type": "macvlan", "master": "eth0", "mode": "bridge",
          "ipam": { "type": "host-local",
                    "ranges": [[{ "subnet": "10.7.0.0/24", "rangeStart": "10.7.0.10" }]] } }]}))
}
