//! Names, as programs in containers find each other by them. Names begin with the id of the behaviour of
//! Docker's that is shown.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::names::{Asker, NO_ERROR, NX_DOMAIN};
use e2e::{Host, NETD, PATIENCE, Place as _, address, wait_until};
use serde_json::{Value, json};

use crate::attach::in_world;
use crate::site::run;

/// A container with these names.
fn guest(host: &Host, id: &str, network: &str, names: &[&str]) -> Result<Asker> {
    Asker::new(host, id, network, &json!({ "names": names }))
}

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses.iter().map(|address| (*address).to_owned()).collect()
}

#[test]
fn d1_names_aliases_and_short_ids_are_found_on_joined_networks_and_others_by_the_host() -> Result<()>
{
    in_world(|world| {
        let _resolver = world
            .internet
            .host
            .command(&["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root"])
            .args(["--listen-address=192.0.2.1", "--bind-interfaces"])
            .args(["--address=/example.com/198.51.100.7"])
            .spawn("dnsmasq")?;
        let site = &world.site;
        site.host.write_file("/etc/resolv.conf", "nameserver 192.0.2.1\n")?;
        site.done(&["create", "--ipv6", "front"])?;
        site.done(&["create", "--internal", "back"])?;
        let id = "0123456789abcdef0123456789abcdef";
        let web = guest(&site.host, id, "front", &["web", "www"])?;
        let app = guest(&site.host, "app", "front", &["app"])?;
        let also = attach(&app.container, "back", &json!({ "ifname": "eth1", "names": ["app"] }))?;
        let db = guest(&site.host, "db", "back", &["db"])?;
        let plain = guest(&site.host, "plain", "bridge", &["plain"])?;

        let (v4, v6) = (set(&[&web.ip(0)?]), set(&[&web.ip(1)?]));
        for name in ["web", "WWW", "web.front", "0123456789ab"] {
            assert_eq!((app.finds(name, false)?, app.finds(name, true)?), (v4.clone(), v6.clone()));
        }
        let back = address(&also, 0)?.to_string();
        assert_eq!(web.finds("app", false)?, set(&[&app.ip(0)?]));
        assert_eq!(db.finds("app", false)?, set(&[&back]));
        assert_eq!(app.finds("app", false)?, set(&[&app.ip(0)?, &back]));
        // Each knows what it is on, and no more.
        assert_eq!(app.finds("db.back", false)?, set(&[&db.ip(0)?]));
        assert_eq!(web.finds("db", false)?, set(&[]));
        assert_eq!(app.finds("plain", false)?, set(&[]));
        for at in [0, 1] {
            assert_eq!(app.name_of(&web.ip(at)?)?.as_deref(), Some("web.front"));
        }
        // IPv4 alone: no address of the other family, and the name is there all the same.
        assert_eq!(app.finds("db", true)?, set(&[]));
        assert_eq!(app.asks("db", true)?, (NO_ERROR, vec![]));
        assert_eq!(app.asks("db", false)?, (NO_ERROR, vec![db.ip(0)?]));
        // Others by the host; nothing leads out of an internal network, names neither.
        assert_eq!(web.finds("example.com", false)?, set(&["198.51.100.7"]));
        assert_eq!(db.finds("example.com", false)?, set(&[]));
        assert_eq!(plain.result["dns"]["nameservers"], Value::Null);
        Ok(())
    })
}

#[test]
fn d2_an_alias_has_all_its_containers_and_no_name_outlives_its_container() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let client = guest(&site.host, "client", "app", &[])?;
        let one = guest(&site.host, "one", "app", &["one", "web"])?;
        let two = guest(&site.host, "two", "app", &["two", "web"])?;
        let (of_one, of_two) = (one.ip(0)?, two.ip(0)?);
        let both = set(&[&of_one, &of_two]);
        assert_eq!(client.finds("web", false)?, both);
        // Each of them comes first in turn.
        let mut first = BTreeSet::new();
        for _ in 0..4 {
            let (code, answers) = client.asks("web", false)?;
            assert_eq!((code, answers.len()), (NO_ERROR, 2), "{answers:?}");
            first.extend(answers.into_iter().next());
        }
        assert_eq!(first, both);
        detach(&one.container, "app")?;
        assert_eq!(client.finds("web", false)?, set(&[&two.ip(0)?]));
        for name in ["one", "one.app"] {
            let gone = client.getent(&format!("hosts {name}"))?;
            assert_eq!((gone.code, gone.stdout.as_str()), (2, ""), "{name}");
            assert_eq!(client.asks(name, false)?, (NX_DOMAIN, vec![]), "{name}");
        }
        // A container that died is found out by itself.
        two.container.remove()?;
        wait_until("the name of a dead container is gone", PATIENCE, || {
            client.finds("web", false).is_ok_and(|found| found.is_empty())
        })
    })
}

#[test]
fn names_are_there_again_after_the_agent_was_killed() -> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let client = guest(&site.host, "client", "app", &[])?;
        let web = guest(&site.host, "web", "app", &["www"])?;
        site.kill();
        site.resume()?;
        assert_eq!(client.finds("www", false)?, set(&[&web.ip(0)?]));
        site.done(&["create", "other"])?;
        assert_eq!(client.finds("www.app", false)?, set(&[&web.ip(0)?]));
        Ok(())
    })
}

#[test]
fn a_program_that_has_the_port_of_names_is_told_until_it_is_gone() -> Result<()> {
    run(|site| {
        let dnsmasq = ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root"];
        let other = site.host.spawn("dnsmasq", &dnsmasq)?;
        wait_until("it listens", PATIENCE, || {
            let listening = site.host.run(&["ss", "-lnH", "sport", "=", ":53"]);
            listening.is_ok_and(|sockets| sockets.stdout.contains("0.0.0.0:53"))
        })?;
        site.done(&["create", "app"])?;
        let gateway = site.gateway("app")?;
        let status = || site.host.command(&[NETD, "status"]).output();
        let ready = || site.host.run(&["curl", "-s", "-f", "http://127.0.0.1:8081/readyz"]);
        let text = format!("serve DNS on network app, {gateway} port 53: ");
        wait_until("it is told", PATIENCE, || {
            status().is_ok_and(|status| status.code == 0 && status.stdout.contains(&text))
        })?;
        ensure!(ready()?.stdout.contains(&text));
        drop(other);
        wait_until("it is told no more", PATIENCE, || {
            status().is_ok_and(|status| !status.stdout.contains(&text))
        })?;
        ensure!(!ready()?.stdout.contains(&text));
        let client = guest(&site.host, "client", "app", &["client"])?;
        assert_eq!(client.finds("client", false)?, set(&[&client.ip(0)?]));
        Ok(())
    })
}

#[test]
fn names_are_found_behind_a_firewall_that_lets_port_53_in_and_not_behind_one_that_does_not()
-> Result<()> {
    run(|site| {
        site.done(&["create", "app"])?;
        let client = guest(&site.host, "client", "app", &["client"])?;
        let own = set(&[&client.ip(0)?]);
        site.host.sh("nft add table inet mine; nft 'add chain inet mine input \
            { type filter hook input priority filter; policy drop; }'")?;
        assert_eq!(client.finds("client", false)?, set(&[]));
        // As docs/guide/networks.md has it.
        site.host.sh("nft add rule inet mine input iifname \"br-*\" meta l4proto { tcp, udp } th dport 53 accept")?;
        assert_eq!(client.finds("client", false)?, own);
        Ok(())
    })
}
