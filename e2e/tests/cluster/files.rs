//! What the agent writes for others.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use e2e::{Chain, Cni, Place as _, Proto, probe};
use serde_json::{Value, json};

use crate::site::{Site, VXLAN, run};

#[test]
fn subnet_env_is_flannels_to_the_byte() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &["-ip-masq"])?;
        let node = &site.nodes[0];
        let (gateway, length) = node.subnet()?;
        assert_eq!(
            node.host.read(e2e::SUBNET_ENV)?,
            format!(
                "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET={gateway}/{length}\n\
                 FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
            )
        );
        let mode = node.host.run(&["stat", "-c", "%a", e2e::SUBNET_ENV])?.stdout;
        assert_eq!(mode.trim(), "644");
        let base = Ipv4Addr::from(u32::from(gateway) - 1);
        ensure!(node.host.addresses("flannel.1")?.contains(&format!("{base}/32")));
        Ok(())
    })
}

#[test]
fn a_runtime_finds_a_network_once_the_agent_is_ready() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq", "--cni-conf-dir=/etc/cni/net.d"])?;
        let mut members = Vec::new();
        for node in &site.nodes {
            let text = node.host.read("/etc/cni/net.d/10-netd.conflist")?;
            let conflist: Value = serde_json::from_str(&text).context("read the conflist")?;
            let container = node.host.add_container("web")?;
            let ports = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
            let mut chain = Chain::new(conflist).with_args(json!({ "portMappings": ports }));
            let result = chain.add(&Cni::new(&container))?;
            let address = result.pointer("/ips/0/address").and_then(Value::as_str);
            let ip = address.and_then(|text| text.split('/').next()).context("an address")?;
            members.push((container, ip.parse()?, chain));
        }
        let [(one, one_ip, chain), (two, two_ip, _)] = members.as_slice() else {
            anyhow::bail!("two containers")
        };
        let _servers = (probe::serve(one, 80, &[])?, probe::serve(two, 80, &[])?);
        let seen = probe::ask(one, Proto::Tcp, (*two_ip, 80))?;
        ensure!(seen.source.ip() == *one_ip, "{seen:?}");
        // The port is published to the world, and to containers of other hosts.
        probe::ask(&site.internet.host, Proto::Tcp, (site.uplinks[0].v4, 8080))?;
        probe::ask(two, Proto::Tcp, (site.uplinks[0].v4, 8080))?;
        chain.del(&Cni::new(one))
    })
}
