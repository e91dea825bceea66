//! Networks of one host as their users see them: none, host, and what bridge gives.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Chain, Cni, Host, Internet, Lab, PATIENCE, Place, PluginSet, Proto, address, probe, wait_for,
    wait_until,
};
use serde_json::{Value, json};

#[test]
fn none_has_only_lo_and_reaches_nothing() -> Result<()> {
    Lab::run(|lab| {
        let (_internet, host) = on_the_internet(lab)?;
        let container = host.add_container("c1")?;
        let cni = Cni::new(&container).ifname("lo");
        let mut chain = Chain::new(json!({ "cniVersion": "1.0.0", "name": "none",
            "plugins": [{ "type": "none" }] }));
        chain.add(&cni)?;
        chain.check(&cni)?;
        ensure!(container.interfaces()? == ["lo"]);
        ensure!(container.addresses("lo")?.contains(&"127.0.0.1/8".to_owned()));
        let _server = probe::serve(&container, 80, &[])?;
        probe::ask(&container, Proto::Tcp, ("127.0.0.1".parse()?, 80)).context("lo is up")?;
        for server in [Internet::V4, Internet::V6, "192.0.2.10".parse()?] {
            let reached = probe::refusal(&container, Proto::Tcp, (server, Internet::PORT))?;
            ensure!(reached.is_err(), "reached {server}: {reached:?}");
        }
        chain.del(&cni)?;
        chain.del(&cni).context("DEL again")
    })
}

#[test]
fn host_shares_the_hosts_interfaces_and_warns_of_ports() -> Result<()> {
    Lab::run(|lab| {
        let (_internet, host) = on_the_internet(lab)?;
        let own = host.add_container("unused")?;
        let state = || host.sh("ip -d addr; ip route; nft list ruleset; ip netns list");
        let before = state()?.stdout;
        let conf = json!({ "cniVersion": "1.0.0", "name": "host", "type": "host", "runtimeConfig":
            { "portMappings": [{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }] } });
        for netns in ["", "/proc/1/ns/net"] {
            let mut cni = Cni::new(&own);
            netns.clone_into(&mut cni.netns);
            let reply = cni.call("ADD", "host", &conf)?;
            let result = reply.result().with_context(|| format!("netns {netns:?}"))?;
            let names: Vec<_> = result
                .pointer("/interfaces")
                .and_then(Value::as_array)
                .context("interfaces")?
                .iter()
                .filter_map(|interface| interface.get("name").and_then(Value::as_str))
                .collect();
            ensure!(names.contains(&"eth0") && names.contains(&"lo"), "{result}");
            ensure!(result.to_string().contains("192.0.2.10/24"), "{result}");
            let warnings: Vec<&str> = reply.0.stderr.lines().collect();
            ensure!(
                warnings.len() == 1 && warnings.join("").contains("portMappings"),
                "{warnings:?}"
            );
            cni.call("DEL", "host", &conf)?.result()?;
            ensure!(state()?.stdout == before, "netns {netns:?} changed the host");
        }
        Ok(())
    })
}

#[test]
fn the_mtu_is_on_the_bridge_and_both_ends_and_may_be_the_uplinks() -> Result<()> {
    Lab::run(|lab| {
        let (_internet, host) = on_the_internet(lab)?;
        host.sh("ip link set eth0 mtu 1380")?;
        for (name, number, mtu, bytes) in [
            ("a", 1, json!(1400), 1400),
            ("b", 2, json!("auto"), 1380),
            ("c", 3, json!(1200), 1200),
        ] {
            let container = host.add_container(name)?;
            let cni = Cni::new(&container);
            let mut chain = bridge(name, number, json!({ "mtu": mtu }));
            let result = chain.add(&cni)?;
            chain.check(&cni)?;
            let link = result.pointer("/interfaces/1/name").and_then(Value::as_str);
            let places: [(&dyn Place, &str); 3] =
                [(&host, name), (&host, link.context("the host's end")?), (&container, "eth0")];
            for (place, link) in places {
                let shown = place.run(&["ip", "-o", "link", "show", link])?.stdout;
                ensure!(shown.contains(&format!(" mtu {bytes} ")), "{shown}");
            }
        }
        Ok(())
    })
}

/// Of the IPv6 default routes of two networks the kernel makes one with two next hops.
#[test]
fn two_networks_of_both_families_stay_as_they_were_made() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        let container = host.add_container("c1")?;
        let mut chains = Vec::new();
        for (name, number, ifname) in [("a", 1, "eth0"), ("b", 2, "eth1")] {
            let range = |subnet: String| json!([{ "subnet": subnet }]);
            let ranges =
                [range(format!("10.{number}.0.0/24")), range(format!("fd00:{number}::/64"))];
            let ipam = json!({ "type": "host-local", "ranges": ranges });
            let keys = json!({ "isDefaultGateway": true, "ipam": ipam });
            let (mut chain, cni) =
                (bridge(name, number, keys), Cni::new(&container).ifname(ifname));
            chain.add(&cni)?;
            chains.push((chain, cni));
        }
        for (chain, cni) in &chains {
            chain.check(cni).with_context(|| cni.ifname.clone())?;
        }
        container.run(&["ip", "-6", "route", "del", "default", "via", "fd00:2::1"])?;
        let lost = chains.iter().map(|(chain, cni)| chain.check(cni).is_err());
        ensure!(lost.collect::<Vec<_>>() == [false, true], "only that of the second is lost");
        Ok(())
    })
}

/// Names that do not fit into `ifalias` are cut there.
#[test]
fn a_network_may_have_the_longest_name_that_a_directory_can() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        let cni = Cni::new(&host.add_container("c1")?);
        let ipam = json!({ "type": "host-local", "subnet": "10.1.0.0/24" });
        let conf = json!({ "type": "bridge", "ipMasq": true, "ipam": ipam });
        let list = json!({ "cniVersion": "1.1.0", "name": "n".repeat(255), "plugins": [conf] });
        let mut chain = Chain::new(list);
        chain.add(&cni)?;
        chain.check(&cni)?;
        chain.del(&cni)?;
        let links = host.run(&["ip", "-o", "link", "show", "type", "veth"])?.stdout;
        ensure!(links.is_empty(), "{links}");
        Ok(())
    })
}

/// Less than the detection of duplicates takes, which sends one request a second.
const AT_ONCE: Duration = Duration::from_millis(500);

/// While its link-local address is tentative, a bridge asks for no container's MAC.
#[test]
fn another_host_reaches_the_first_container_of_a_bridge_over_ipv6_at_once() -> Result<()> {
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::Ours.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        let via = uplink.v6.to_string();
        internet.host.run(&["ip", "-6", "route", "add", "fd00:1::/64", "via", &via])?;
        wait_until("the host answers", PATIENCE, || {
            probe::pings(&internet.host, uplink.v6).unwrap_or(false)
        })?;
        let container = host.add_container("c1")?;
        let ipam = json!({ "type": "host-local", "subnet": "fd00:1::/64" });
        let mut chain = bridge("net", 1, json!({ "isDefaultGateway": true, "ipam": ipam }));
        let result = chain.add(&Cni::new(&container))?;
        let own = || -> Result<Option<String>> {
            let shown = host.run(&["ip", "-6", "-o", "addr", "show", "net", "scope", "link"])?;
            Ok(Some(shown.stdout).filter(|text| !text.is_empty()))
        };
        wait_for("a link-local address of the bridge", PATIENCE, own)?;
        wait_until(
            "the bridge's link-local address is not tentative",
            AT_ONCE,
            || matches!(own(), Ok(Some(text)) if !text.contains("tentative")),
        )?;
        probe::ping(&internet.host, address(&result, 0)?)?;
        Ok(())
    })
}

#[test]
fn addresses_are_given_lowest_first_and_a_full_range_says_so() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::selected()?.install(&host)?;
        let mut chains = Vec::new();
        let mut add = |name: &str, subnet: &str, args: &str| -> Result<String> {
            let container = host.add_container(name)?;
            let keys = json!({ "ipam": { "type": "host-local", "subnet": subnet } });
            let mut chain = bridge(&format!("n{}", subnet.len()), 1, keys);
            let cni = Cni::new(&container).args(args);
            let result = chain.add(&cni)?;
            chains.push((chain, cni));
            Ok(address(&result, 0)?.to_string())
        };
        // Of 10.1.0.0/29 there are .2 to .6: the network, the gateway and the broadcast are kept.
        for wanted in ["10.1.0.2", "10.1.0.3", "10.1.0.4"] {
            ensure!(add(wanted, "10.1.0.0/29", "")? == wanted);
        }
        ensure!(add("asked", "10.1.0.0/29", "IgnoreUnknown=1;IP=10.1.0.6")? == "10.1.0.6");
        ensure!(add("last", "10.1.0.0/29", "")? == "10.1.0.5");
        let full = add("more", "10.1.0.0/29", "").err().context("a sixth of five addresses")?;
        ensure!(format!("{full:#}").contains("10.1.0.1-10.1.0.6"), "{full:#}");
        let (chain, cni) = chains.get(1).context("the second")?.clone();
        chain.del(&cni)?;
        let mut again = chain;
        ensure!(address(&again.add(&cni)?, 0)?.to_string() == "10.1.0.3", "what was given back");
        Ok(())
    })
}

/// Whoever has a port of one address keeps others from having it of all, and the other way round;
/// also of an address that the host has not yet.
#[test]
fn a_port_of_one_address_and_that_of_all_exclude_each_other() -> Result<()> {
    Lab::run(|lab| {
        let (_internet, host) = on_the_internet(lab)?;
        let publish = |name: &str, ports: &Value| -> Result<(Chain, Cni)> {
            let container = host.add_container(name)?;
            let mut chain = bridge("net", 1, json!({}));
            if let Some(plugins) =
                chain.conflist.pointer_mut("/plugins").and_then(Value::as_array_mut)
            {
                plugins
                    .push(json!({ "type": "portmap", "capabilities": { "portMappings": true } }));
            }
            let mut chain = chain.with_args(json!({ "portMappings": ports }));
            let cni = Cni::new(&container);
            chain.add(&cni)?;
            Ok((chain, cni))
        };
        let port = |host_port: u16, host_ip: &str, protocol: &str| {
            json!({ "hostPort": host_port, "containerPort": 80, "protocol": protocol,
                    "hostIP": host_ip })
        };
        publish("one", &json!([port(8080, "192.0.2.10", "tcp"), port(8081, "192.0.2.99", "tcp")]))?;
        publish("all", &json!([port(9090, "", "tcp"), port(9091, "", "udp")]))?;
        for (name, ports) in [
            ("a", json!([port(7000, "", "tcp"), port(8080, "", "tcp")])),
            ("b", json!([port(8081, "0.0.0.0", "tcp")])),
            ("c", json!([port(9090, "192.0.2.10", "tcp")])),
            ("d", json!([port(9091, "127.0.0.1", "udp"), port(7001, "", "tcp")])),
        ] {
            let refused =
                publish(name, &ports).err().with_context(|| format!("{name}: {ports}"))?;
            let text = format!("{refused:#}");
            ensure!(text.contains("already mapped for net/"), "{name}: {text}");
        }
        // The other protocol, another address, and what the refused ones did not get.
        publish(
            "free",
            &json!([
                port(8080, "", "udp"),
                port(8080, "127.0.0.1", "tcp"),
                port(7000, "", "tcp"),
                port(7001, "", "tcp"),
            ]),
        )
        .map(drop)
    })
}

fn on_the_internet(lab: &Lab) -> Result<(Internet, Host)> {
    let (internet, host) = (lab.internet()?, lab.host("host")?);
    PluginSet::Ours.install(&host)?;
    internet.connect(lab, &host)?;
    Ok((internet, host))
}

/// A network on a bridge of its name, with these keys over the usual ones.
fn bridge(name: &str, number: u8, keys: Value) -> Chain {
    let mut bridge = json!({ "type": "bridge", "bridge": name, "isGateway": true,
        "ipam": { "type": "host-local", "subnet": format!("10.{number}.0.0/24") } });
    if let (Some(bridge), Value::Object(keys)) = (bridge.as_object_mut(), keys) {
        bridge.extend(keys);
    }
    Chain::new(json!({ "cniVersion": "1.0.0", "name": name, "plugins": [bridge] }))
}
