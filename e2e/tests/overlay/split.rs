//! A host that is cut off from etcd, with what leads to other hosts alive or not: both sides go on, nobody takes
//! an address of the other one's, and when it is over every host has what the store has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::Guest;
use e2e::names::Asker;
use e2e::{Host, NETD, PATIENCE, Place as _, probe, wait_until};
use serde_json::{Value, json};

use crate::across::others;
use crate::guest::{entries, netns, together};
use crate::site::{Site, run_with};

/// Signs of life end after an eighth, new addresses after half, claims after all of it.
const LIFE: [&str; 1] = ["-subnet-ttl=48"];
/// A sign of life's end, and what etcd and a busy machine take.
const DEATH: Duration = Duration::from_secs(6 + 10);

/// What a host is cut off from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Etcd,
    All,
}

fn cut(host: &Host, from: From) -> Result<()> {
    let what = match from {
        From::Etcd => "ip %s 192.0.2.1 drop",
        From::All => "meta %s eth0 drop",
    };
    let rule = |chain: &str, address: &str, link: &str| {
        let which = if from == From::Etcd { address } else { link };
        format!("add rule inet cut {chain} {}", what.replace("%s", which))
    };
    let rules = [rule("in", "saddr", "iifname"), rule("out", "daddr", "oifname")].join("\n");
    let table = format!(
        "add table inet cut
        add chain inet cut in {{ type filter hook input priority -300; }}
        add chain inet cut out {{ type filter hook output priority -300; }}
        {rules}"
    );
    host.run(&["nft", &table]).map(drop)
}

fn heal(host: &Host) -> Result<()> {
    host.run(&["nft", "delete", "table", "inet", "cut"]).map(drop)
}

/// Waits until a host says of a container of another one that it is down, or that it is not.
pub(crate) fn wait_down(site: &Site, host: usize, name: &str, is_down: bool) -> Result<()> {
    wait_until(&format!("{name} is down: {is_down}"), DEATH, || {
        let all = others(site, host, "ov").unwrap_or_default();
        let it = all.iter().find(|it| it["Name"] == name);
        it.is_some_and(|it| {
            it["Trouble"].as_str().is_some_and(|why| why.starts_with("down: host")) == is_down
        })
    })
}

/// Containers with their addresses, by the store: no address is there twice.
pub(crate) fn stored(site: &Site) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for (_, value) in site.stored("endpoints/")? {
        let value: Value = serde_json::from_str(&value)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("text");
        let (name, address) = (text(&value["container"])?, text(&value["addresses"][0])?);
        ensure!(addresses.insert(address.clone()), "{address} twice: {all:?} and {name}");
        all.insert(name, address);
    }
    Ok(all)
}

/// Waits until every host has the neighbours and forwarding entries that the store's endpoints mean, and no other.
pub(crate) fn wait_as_stored(site: &Site, netns: &str) -> Result<()> {
    for host in 0..site.nodes.len() {
        let place = site.host(host)?;
        if !place.path(netns).exists() {
            continue;
        }
        let own = place.read("/etc/machine-id")?;
        let wanted = || -> Result<Vec<String>> {
            let members: BTreeMap<String, Value> = site
                .stored("members/")?
                .into_iter()
                .map(|(key, value)| Ok((key, serde_json::from_str(&value)?)))
                .collect::<Result<_>>()?;
            let mut all = Vec::new();
            for (_, value) in site.stored("endpoints/")? {
                let value: Value = serde_json::from_str(&value)?;
                let text = |value: &Value| value.as_str().map(str::to_owned).context("text");
                let machine = text(&value["machine"])?;
                if machine == own.trim() {
                    continue;
                }
                let (mac, address) = (text(&value["mac"])?, text(&value["addresses"][0])?);
                let ip = address.split('/').next().unwrap_or_default();
                all.push(format!("{ip} {mac}"));
                all.push(format!("{mac} {}", text(&members[&machine]["vtep"])?));
            }
            all.sort();
            Ok(all)
        };
        let seen = || -> Result<Vec<String>> {
            let mut all: Vec<String> = entries(place, netns)?.iter().map(|it| plain(it)).collect();
            all.sort();
            Ok(all)
        };
        wait_until("neighbours and forwarding entries are as the store's", PATIENCE, || {
            wanted().is_ok_and(|wanted| seen().is_ok_and(|seen| seen == wanted))
        })
        .with_context(|| format!("host{}: {:?}, and not {:?}", host + 1, seen(), wanted()))?;
    }
    Ok(())
}

/// Whose a neighbour or a forwarding entry is, and where it leads.
pub(crate) fn plain(entry: &str) -> String {
    let words: Vec<&str> = entry.split_whitespace().collect();
    let at = words.iter().position(|word| matches!(*word, "lladdr" | "dst")).unwrap_or_default();
    format!("{} {}", words[0], words[at + 1])
}

fn overlay(site: &Site) -> Result<String> {
    site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "ov"])?;
    (1..site.nodes.len()).try_for_each(|host| site.wait_shown(host, "ov").map(drop))?;
    netns(site, "ov")
}

/// A container is refused on a host; why.
fn refused(site: &Site, host: usize, name: &str, more: &Value) -> Result<String> {
    let container = site.host(host)?.add_container(name)?;
    let why = attach(&container, "ov", more).err().context("it is attached")?;
    container.remove()?;
    Ok(format!("{why:#}"))
}

#[test]
fn o4_both_sides_of_a_split_go_on_and_heal_without_an_address_twice() -> Result<()> {
    run_with(3, &LIFE, |site| {
        let netns = overlay(site)?;
        let none = json!({});
        let a = Guest::new(site.host(0)?, "a", "ov", &none)?;
        let b = Guest::new(site.host(1)?, "b", "ov", &none)?;
        let b_ends = Guest::new(site.host(1)?, "b-ends", "ov", &none)?;
        let c = Guest::new(site.host(2)?, "c", "ov", &none)?;
        let c_ends = Guest::new(site.host(2)?, "c-ends", "ov", &none)?;
        let asks = Asker::new(site.host(0)?, "asks", "ov", &none)?;
        let asks_there = Asker::new(site.host(2)?, "asks-there", "ov", &none)?;
        wait_until("all are told", PATIENCE, || stored(site).is_ok_and(|all| all.len() == 7))?;
        wait_as_stored(site, &netns)?;
        together(&a, &c)?;

        cut(site.host(2)?, From::Etcd)?;
        // Both sides attach, detach and talk.
        let late = Guest::new(site.host(2)?, "c-late", "ov", &none)?;
        let early = Guest::new(site.host(0)?, "a-late", "ov", &none)?;
        detach(&c_ends.container, "ov")?;
        detach(&b_ends.container, "ov")?;
        together(&late, &c)?;
        together(&early, &b)?;
        for host in [0, 1] {
            wait_down(site, host, "c", true)?;
        }
        together(&a, &c)?;
        together(&c, &b)?;
        assert_eq!(asks.asks("c.ov", false)?.1, Vec::<String>::new(), "it is down");
        assert_eq!(asks.asks("b.ov", false)?.1, [b.ip.to_string()]);
        for there in [&a, &b, &c, &late] {
            let name = format!("{}.ov", there.container.id());
            assert_eq!(asks_there.asks(&name, false)?.1, [there.ip.to_string()], "{name}");
        }
        // It may run, and it does.
        let taken = json!({ "ips": [c.ip.to_string()] });
        let why = refused(site, 0, "as-c", &taken)?;
        ensure!(
            why.contains("is in use by container c on host host3, which gives no sign"),
            "{why}"
        );
        ensure!(why.contains("disconnect -f"), "{why}");
        let given_out = json!({ "ips": [late.ip.to_string()] });
        let why = refused(site, 1, "as-late", &given_out)?;
        ensure!(why.contains("is host host3's to give out, which gives no sign of life"), "{why}");

        // The way to the other hosts is dead, too: each side talks to itself.
        heal(site.host(2)?)?;
        cut(site.host(2)?, From::All)?;
        ensure!(!probe::pings(&a.container, c.ip)?);
        together(&late, &c)?;
        together(&a, &b)?;

        heal(site.host(2)?)?;
        let on = ["a", "a-late", "asks", "asks-there", "b", "c", "c-late"];
        wait_until("the store has every container, and no other", PATIENCE * 2, || {
            stored(site).is_ok_and(|all| all.keys().eq(on.iter()))
        })
        .with_context(|| format!("{:?}", stored(site)))?;
        let all = stored(site)?;
        for it in [&a, &early, &b, &c, &late] {
            assert_eq!(all[it.container.id()], format!("{}/24", it.ip), "{}", it.container.id());
        }
        wait_as_stored(site, &netns)?;
        for (from, to) in [(&a, &late), (&early, &c), (&c, &early), (&late, &b)] {
            together(from, to)?;
        }
        wait_down(site, 0, "c", false)?;
        assert_eq!(asks.asks("c-late.ov", false)?.1, [late.ip.to_string()]);
        Ok(())
    })
}

#[test]
fn o4_an_address_that_is_freed_of_a_host_that_is_down_is_the_other_containers_when_it_is_back()
-> Result<()> {
    run_with(3, &LIFE, |site| {
        let netns = overlay(site)?;
        let none = json!({});
        let from = Guest::new(site.host(0)?, "from", "ov", &none)?;
        let old = Guest::new(site.host(1)?, "old", "ov", &none)?;
        let beside = Guest::new(site.host(1)?, "beside", "ov", &none)?;
        wait_until("all are told", PATIENCE, || stored(site).is_ok_and(|all| all.len() == 3))?;
        let told = site.refused(0, &["disconnect", "ov", "old"])?;
        ensure!(told.contains("container old is on host host2: disconnect it there"), "{told}");
        let told = site.refused(0, &["disconnect", "-f", "ov", "old"])?;
        ensure!(told.contains("is up: disconnect the container there"), "{told}");

        cut(site.host(1)?, From::All)?;
        wait_down(site, 0, "old", true)?;
        site.done(0, &["disconnect", "-f", "ov", "old"])?;
        wait_until("it is shown no more", PATIENCE, || {
            others(site, 2, "ov").is_ok_and(|all| all.iter().all(|it| it["Name"] != "old"))
        })?;
        let at = json!({ "ips": [old.ip.to_string()] });
        let new = Guest::new(site.host(2)?, "new", "ov", &at)?;
        assert_eq!(new.ip, old.ip);
        wait_until("it is reached", Duration::from_secs(1), || {
            probe::pings(&from.container, new.ip).unwrap_or(false)
        })?;
        // One that no container is known to have is freed by itself.
        let other = json!({ "ips": ["10.7.0.30"] });
        let why = refused(site, 2, "too-early", &other)?;
        ensure!(why.contains("(netd network disconnect -f NETWORK 10.7.0.30)"), "{why}");
        site.done(2, &["disconnect", "-f", "ov", "10.7.0.30"])?;
        let other = Guest::new(site.host(2)?, "other", "ov", &other)?;

        // Whoever was there when it was freed is off, and nobody else.
        heal(site.host(1)?)?;
        let told = "container old was taken off network ov: its address";
        site.nodes[1].agent()?.wait_for_log(told, PATIENCE)?;
        wait_until("CHECK says why it is off", PATIENCE, || {
            let why = missing(&old.container, "ov", "eth0").err();
            why.is_some_and(|why| format!("{why:#}").contains("it was freed on host host1"))
        })?;
        let status = site.host(1)?.command(&[NETD, "status"]).output()?.stdout;
        ensure!(status.contains(told), "{status}");
        let shown = site.inspect(1, "ov")?.to_string();
        ensure!(shown.contains(told), "{shown}");
        assert_eq!(old.container.interfaces()?, ["lo"]);
        wait_until("what was freed is settled", PATIENCE, || {
            site.stored("freed/").is_ok_and(|all| all.is_empty())
        })?;
        wait_as_stored(site, &netns)?;
        assert_eq!(stored(site)?.keys().collect::<Vec<_>>(), ["beside", "from", "new", "other"]);
        for to in [&new, &other, &beside] {
            together(&from, to)?;
        }
        together(&beside, &new)?;

        // It is back with another address, and nothing is told any more.
        detach(&old.container, "ov")?;
        let again = Guest::new(site.host(1)?, "again", "ov", &none)?;
        ensure!(![new.ip, other.ip].contains(&again.ip), "{} twice", again.ip);
        let status = site.host(1)?.command(&[NETD, "status"]).output()?.stdout;
        ensure!(!status.contains(told), "{status}");
        together(&again, &new)
    })
}
