//! Names across hosts: an overlay's own gateway answers, on every host where a container is on it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::names::{Asker, NO_ERROR, NX_DOMAIN};
use e2e::{NETD, PATIENCE, Place as _, address, wait_until};
use serde_json::{Value, json};

use crate::guest::{below, netns};
use crate::site::{GLOBAL, Site, run, serves};

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses.iter().map(|address| (*address).to_owned()).collect()
}

/// Waits until a container finds these addresses of IPv4 by a name.
fn wait_found(asks: &Asker, name: &str, expected: &[&str]) -> Result<()> {
    let expected = set(expected);
    let what = format!("{name} is {expected:?} for {}", asks.container.id());
    wait_until(&what, PATIENCE, || asks.finds(name, false).is_ok_and(|found| found == expected))
}

/// The gateways of a network, as it is shown.
fn gateways(site: &Site, network: &str) -> Result<Vec<String>> {
    let shown = site.inspect(0, network)?;
    let all = shown["IPAM"]["Config"].as_array().context("subnets")?;
    Ok(all.iter().filter_map(|it| it["Gateway"].as_str()).map(str::to_owned).collect())
}

/// A resolver of the hosts that knows `example.com`.
fn resolver(site: &Site) -> Result<e2e::Process> {
    for node in &site.nodes {
        node.host.write_file("/etc/resolv.conf", "nameserver 192.0.2.1\n")?;
    }
    site.internet
        .host
        .command(&["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root"])
        .args(["--listen-address=192.0.2.1", "--bind-interfaces"])
        .args(["--address=/example.com/198.51.100.7"])
        .spawn("dnsmasq")
}

#[test]
fn a_container_is_found_by_name_from_other_hosts_on_its_networks_only() -> Result<()> {
    run(2, |site| {
        for name in ["n", "other"] {
            site.done(0, &["create", "-d", "overlay", name])?;
            site.wait_shown(1, name)?;
        }
        let named = json!({ "names": ["web"], "aliases": ["api"] });
        let web = Asker::new(site.host(0)?, "c1", "n", &named)?;
        let asks = Asker::new(site.host(1)?, "c2", "n", &json!({}))?;
        let stranger = Asker::new(site.host(1)?, "c3", "other", &json!({}))?;
        for name in ["web", "api", "web.n", "c1"] {
            wait_found(&asks, name, &[&web.ip(0)?])?;
        }
        assert_eq!(stranger.finds("web.n", false)?, set(&[]));
        // The bridge by which they leave has no names: what is behind it is not reached.
        assert_eq!(web.finds("c1", false)?, set(&[&web.ip(0)?]));

        // The same alias on both hosts is both.
        let second = Asker::new(site.host(1)?, "c4", "n", &json!({ "aliases": ["api"] }))?;
        wait_found(&asks, "api", &[&web.ip(0)?, &second.ip(0)?])?;
        detach(&web.container, "n")?;
        wait_found(&asks, "web", &[])?;
        for name in ["web", "web.n", "c1"] {
            assert_eq!(asks.asks(name, false)?, (NX_DOMAIN, vec![]), "{name}");
        }
        assert_eq!(asks.finds("api", false)?, set(&[&second.ip(0)?]));
        Ok(())
    })
}

#[test]
fn the_gateway_of_an_overlay_answers_by_both_families_also_after_kills_and_repairs() -> Result<()> {
    run(2, |site| {
        let _resolver = resolver(site)?;
        site.done(0, &["create", "-d", "overlay", "--ipv6", "n"])?;
        site.wait_shown(1, "n")?;
        let web = Asker::new(site.host(0)?, "c1", "n", &json!({ "names": ["web"] }))?;
        let asks = Asker::new(site.host(1)?, "c2", "n", &json!({}))?;
        let (v4, v6) = (web.ip(0)?, web.ip(1)?);
        assert_eq!(asks.servers(), gateways(site, "n")?);
        wait_found(&asks, "web", &[&v4])?;
        let answers = |asks: &Asker| -> Result<()> {
            assert_eq!(asks.finds("web.n", true)?, set(&[&v6]));
            for server in asks.servers() {
                assert_eq!(asks.asks_at(&server, "web", false)?, (NO_ERROR, vec![v4.clone()]));
            }
            for address in [&v4, &v6] {
                assert_eq!(asks.name_of(address)?.as_deref(), Some("web.n"));
            }
            assert_eq!(asks.finds("example.com", false)?, set(&["198.51.100.7"]));
            Ok(())
        };
        answers(&asks)?;

        site.nodes[1].kill();
        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        answers(&asks)?;
        let netns = netns(site, "n")?;
        below(&site.nodes[1].host, &netns, &["ip", "link", "del", "br0"])?;
        wait_found(&asks, "web", &[&v4])?;
        answers(&asks)?;

        // They go with the last container, and are there again with the next one.
        detach(&asks.container, "n")?;
        assert_eq!(site.host(1)?.list("/run/netd/netns")?, Vec::<String>::new());
        let again = Asker::new(site.host(1)?, "c3", "n", &json!({}))?;
        answers(&again)
    })
}

#[test]
fn names_of_an_internal_overlay_are_found_and_nobody_else_is_asked() -> Result<()> {
    run(2, |site| {
        let _resolver = resolver(site)?;
        site.done(0, &["create", "-d", "overlay", "--internal", "closed"])?;
        site.wait_shown(1, "closed")?;
        let web = Asker::new(site.host(0)?, "c1", "closed", &json!({ "names": ["web"] }))?;
        let asks = Asker::new(site.host(1)?, "c2", "closed", &json!({}))?;
        assert_eq!(asks.servers(), gateways(site, "closed")?);
        wait_found(&asks, "web", &[&web.ip(0)?])?;
        // IPv4 alone: the name is there, and has no other address.
        assert_eq!(asks.asks("web.closed", true)?, (NO_ERROR, vec![]));
        assert_eq!(asks.asks("example.com", false)?, (NX_DOMAIN, vec![]));
        // One that is on another network too knows the names of both, and what the host's resolvers know.
        site.done(0, &["create", "-d", "overlay", "open"])?;
        let db = Asker::new(site.host(0)?, "c3", "open", &json!({ "names": ["db"] }))?;
        assert_eq!(db.finds("example.com", false)?, set(&["198.51.100.7"]));
        attach(&web.container, "open", &json!({ "ifname": "eth2", "live": true }))?;
        assert_eq!(web.finds("db", false)?, set(&[&db.ip(0)?]));
        assert_eq!(web.finds("example.com", false)?, set(&["198.51.100.7"]));
        assert_eq!(asks.asks("db.open", false)?, (NX_DOMAIN, vec![]));
        let status = site.host(0)?.command(&[NETD, "status"]).output()?;
        ensure!(!status.stdout.contains("DNS"), "{}", status.stdout);
        Ok(())
    })
}

/// Makes a network that has the subnet of another one, which no host would make: as from an etcd of before.
fn twin(site: &Site, of: &str, name: &str) -> Result<()> {
    let [(_, stored)] = &site.stored("networks/")?[..] else { anyhow::bail!("one network") };
    let mut network: Value = serde_json::from_str(stored)?;
    let id: String = network["Id"].as_str().or(network["id"].as_str()).context("an id")?.into();
    let other: String = id.chars().rev().collect();
    let text = serde_json::to_string(&network)?.replace(&id, &other);
    network = serde_json::from_str(&text.replace(&format!("\"{of}\""), &format!("\"{name}\"")))?;
    let [(vni, _)] = &site.stored("vnis/")?[..] else { anyhow::bail!("one number") };
    let next = (vni.parse::<u32>()? ^ 1).to_string();
    let text = serde_json::to_string(&network)?.replace(vni, &next);
    for (key, value) in [
        (format!("names/{name}"), other.as_str()),
        (format!("vnis/{next}"), other.as_str()),
        (format!("networks/{other}"), text.as_str()),
    ] {
        site.etcd.ctl(&["put", &format!("{GLOBAL}{key}"), value])?;
    }
    (0..site.nodes.len()).try_for_each(|host| site.wait_shown(host, name).map(drop))
}

#[test]
fn overlays_with_one_subnet_on_one_host_have_each_its_own_names() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "--internal", "red"])?;
        site.wait_shown(1, "red")?;
        twin(site, "red", "blue")?;
        let mut all = Vec::new();
        for network in ["red", "blue"] {
            for (host, id) in [(0, "near"), (1, "far")] {
                let names = json!({ "names": [id, format!("{id}-{network}")] });
                let id = format!("{network}-{id}");
                all.push((network, Asker::new(site.host(host)?, &id, network, &names)?));
            }
        }
        let of = |name: &str, network: &str| {
            let id = format!("{network}-{name}");
            let found = all.iter().find(|(_, it)| it.container.id() == id);
            found.context(id).and_then(|(_, it)| it.ip(0))
        };
        assert_eq!(of("near", "red")?, of("near", "blue")?);
        assert_eq!(of("far", "red")?, of("far", "blue")?);
        for (network, asks) in &all {
            let other = if *network == "red" { "blue" } else { "red" };
            for name in ["near", "far"] {
                let expected = of(name, network)?;
                wait_found(asks, name, &[&expected])?;
                wait_found(asks, &format!("{name}.{network}"), &[&expected])?;
                wait_found(asks, &format!("{name}-{network}"), &[&expected])?;
                let wrong = asks.asks(&format!("{name}-{other}"), false)?;
                assert_eq!(wrong, (NX_DOMAIN, vec![]), "{network} knows {name} of {other}");
            }
            let address = address(&asks.result, 0)?.to_string();
            let named = asks.name_of(&address)?.context("a name")?;
            ensure!(named.ends_with(&format!(".{network}")), "{named} on {network}");
        }
        Ok(())
    })
}
