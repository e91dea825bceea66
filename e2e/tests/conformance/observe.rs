//! What one run of a case left to see: every answer, and the state of container and host.
//!
//! It decides what is comparable between two sets of plugins: what a user or a program in the
//! container could see, and of the host what no set keeps in a form of its own.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use e2e::{Chain, Cni, Container, Host, Place as _};
use serde_json::{Map, Value, json};

use crate::cases::Case;

/// What is kept of each link; the rest are timers, counters, and identifiers.
const LINK: [&str; 8] =
    ["ifname", "flags", "mtu", "txqlen", "address", "promiscuity", "master", "link"];
/// The same of `linkinfo`'s `info_data` and `info_slave_data`.
const KIND: [&str; 13] = [
    "mode",
    "macaddr_mode",
    "bcqueuelen",
    "vlan_filtering",
    "ageing_time",
    "stp_state",
    "state",
    "hairpin",
    "isolated",
    "learning",
    "flood",
    "guard",
    "proxy_arp",
];

const IN_CONTAINER: &str = r#"
show() { local out; out=$("${@:2}"); echo "\"$1\": ${out:-[]},"; }
echo "{"
show links ip -j -d link
show addresses ip -j addr
show routes ip -j route
show routes6 ip -j -6 route
echo "\"sysctls\": {"
for name in eth0 lo; do
    for key in ipv4/conf/$name/{arp_notify,forwarding,rp_filter,route_localnet} \
        ipv6/conf/$name/{accept_dad,accept_ra,disable_ipv6,keep_addr_on_down,ndisc_notify,forwarding}
    do
        if [ -e /proc/sys/net/$key ]; then echo "\"$key\": $(cat /proc/sys/net/$key),"; fi
    done
done
echo "\"\": 0}}"
"#;

const ON_HOST: &str = r#"
show() { local out; out=$("${@:2}"); echo "\"$1\": ${out:-[]},"; }
echo "{"
show links ip -j -d link
show addresses ip -j addr
show routes ip -j route
show routes6 ip -j -6 route
echo "\"ip_forward\": $(cat /proc/sys/net/ipv4/ip_forward),"
echo "\"forwarding6\": $(cat /proc/sys/net/ipv6/conf/all/forwarding),"
if [ -e /sys/class/net/cni0 ]; then
    echo "\"bridge accept_ra\": $(cat /proc/sys/net/ipv6/conf/cni0/accept_ra),"
    for port in $(ls /sys/class/net/cni0/brif); do
        echo "\"port accept_ra\": $(cat /proc/sys/net/ipv6/conf/$port/accept_ra),"
    done
fi
echo "\"reservations\": {"
for file in $(find /var/lib/cni/networks -type f 2>/dev/null | grep -vE '/(lock|\.[^/]*)$'); do
    echo "\"$file\": \"$(tr '\r\n' '  ' <$file)\","
done
echo "\"\": 0}}"
"#;

/// Runs a case with the plugins of `host`: ADD of each plugin, DEL of each twice, and what is to
/// be seen after ADD and after DEL. Leaves the host as it was.
pub(crate) fn run(host: &Host, case: &Case, version: &str) -> Result<Value> {
    if !case.setup.is_empty() {
        host.sh(case.setup)?;
    }
    let container = host.add_container("c1")?;
    let cni = Cni::new(&container).args(case.args);
    let list = json!({"cniVersion": version, "name": "net", "plugins": case.plugins});
    let mut chain = Chain::new(list).with_args(case.capability_args.clone());
    let mut seen = Map::new();
    seen.insert("ADD".to_owned(), add(&mut chain, &cni)?);
    seen.insert("container".to_owned(), container_state(&container)?);
    seen.insert("host".to_owned(), host_state(host)?);
    for key in ["DEL", "DEL again"] {
        seen.insert(key.to_owned(), del(&chain, &cni, version)?);
    }
    seen.insert("container after DEL".to_owned(), container_state(&container)?);
    seen.insert("host after DEL".to_owned(), host_state(host)?);
    container.remove()?;
    host.sh(
        "for l in $(ls /sys/class/net); do case $l in lo|m0|m1) ;; *) ip link del $l 2>&1 || true;; esac; done
        rm -rf /var/lib/cni/networks
        sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0",
    )?;
    let mut document = Value::Object(seen);
    forget_random(&mut document, &case.keeps());
    Ok(document)
}

/// The answer of each plugin in turn, until one fails.
fn add(chain: &mut Chain, cni: &Cni) -> Result<Value> {
    let mut answers = Vec::new();
    for mut conf in chain.plugins()? {
        let kind = kind(&conf)?;
        if !chain.prev_result.is_null() {
            conf.insert("prevResult".to_owned(), chain.prev_result.clone());
        }
        let reply = cni.call("ADD", &kind, &Value::Object(conf))?;
        if reply.0.code != 0 {
            let (code, text) = reply.error()?;
            answers.push(json!({"plugin": kind, "code": code, "error": text}));
            break;
        }
        chain.prev_result = reply.result()?;
        answers.push(json!({"plugin": kind, "result": chain.prev_result}));
    }
    Ok(answers.into())
}

fn del(chain: &Chain, cni: &Cni, version: &str) -> Result<Value> {
    let mut answers = Vec::new();
    for mut conf in chain.plugins()?.into_iter().rev() {
        let kind = kind(&conf)?;
        if !chain.prev_result.is_null() && !["0.1.0", "0.2.0", "0.3.0", "0.3.1"].contains(&version)
        {
            conf.insert("prevResult".to_owned(), chain.prev_result.clone());
        }
        let reply = cni.call("DEL", &kind, &Value::Object(conf))?;
        answers.push(match reply.0.code {
            0 => json!({"plugin": kind, "stdout": reply.0.stdout}),
            _ => json!({"plugin": kind, "code": reply.error()?.0, "error": reply.error()?.1}),
        });
    }
    Ok(answers.into())
}

fn kind(conf: &Map<String, Value>) -> Result<String> {
    let kind = conf.get("type").and_then(Value::as_str);
    Ok(kind.context("a plugin without type")?.to_owned())
}

fn container_state(container: &Container) -> Result<Value> {
    tidy(&container.sh(IN_CONTAINER)?.stdout, &[])
}

fn host_state(host: &Host) -> Result<Value> {
    tidy(&host.sh(ON_HOST)?.stdout, &["lo", "m0", "m1"])
}

/// Keeps of `ip`'s output what is comparable; links of these names are left out.
fn tidy(text: &str, without: &[&str]) -> Result<Value> {
    let mut state: Value = serde_json::from_str(text).with_context(|| format!("read {text}"))?;
    for key in ["links", "addresses"] {
        let list = state.get_mut(key).and_then(Value::as_array_mut).context("a list")?;
        list.retain(|link| {
            link.get("ifname").and_then(Value::as_str).is_some_and(|name| !without.contains(&name))
        });
        list.sort_by_key(|link| link.get("master").is_some());
    }
    for link in entries(&mut state, "links") {
        let info = link.remove("linkinfo").unwrap_or_default();
        link.retain(|key, _| LINK.contains(&key.as_str()));
        flags(link, &["NO-CARRIER", "LOWER_UP"]);
        link.insert("kind".to_owned(), info.get("info_kind").cloned().unwrap_or_default());
        for part in ["info_data", "info_slave_data"] {
            let mut data = info.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
            data.retain(|key, _| KIND.contains(&key.as_str()));
            link.insert(part.to_owned(), data.into());
        }
    }
    for link in entries(&mut state, "addresses") {
        link.retain(|key, _| ["ifname", "addr_info"].contains(&key.as_str()));
        let list = link.get_mut("addr_info").and_then(Value::as_array_mut);
        for address in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            address.remove("tentative");
        }
    }
    for key in ["routes", "routes6"] {
        let list = state.get_mut(key).and_then(Value::as_array_mut).context("a list")?;
        list.retain(|route| {
            route.get("dev").and_then(Value::as_str).is_none_or(|dev| !without.contains(&dev))
        });
        list.iter_mut().filter_map(Value::as_object_mut).for_each(|r| flags(r, &["linkdown"]));
        list.sort_by_key(ToString::to_string);
    }
    Ok(state)
}

/// Takes flags away that follow a moment after the change they follow from.
fn flags(entry: &mut Map<String, Value>, late: &[&str]) {
    if let Some(list) = entry.get_mut("flags").and_then(Value::as_array_mut) {
        list.retain(|flag| flag.as_str().is_some_and(|flag| !late.contains(&flag)));
    }
}

fn entries<'a>(
    state: &'a mut Value,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> + use<'a> {
    state
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// Gives each random MAC, link-local address and veth its place in the order of appearance, so
/// that one name in two places stays one name. `keep` are the MACs that were asked for.
fn forget_random(document: &mut Value, keep: &[String]) {
    let mut names = BTreeMap::new();
    walk(document, &mut |text| {
        let random = if is_mac(text) && !keep.contains(text) {
            "mac"
        } else if text.starts_with("fe80::") && text.len() > 6 {
            "link-local"
        } else if is_veth(text) {
            "veth"
        } else {
            return;
        };
        let next = names.len();
        let number: usize = *names.entry(text.clone()).or_insert(next);
        *text = format!("<{random} {number}>");
    });
}

fn walk(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    if let Value::String(text) = value {
        change(text);
    } else if let Value::Array(list) = value {
        list.iter_mut().for_each(|entry| walk(entry, change));
    } else if let Value::Object(map) = value {
        map.values_mut().for_each(|entry| walk(entry, change));
    }
}

fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text.split(':').count() == 6
        && !["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"].contains(&text)
}

/// The reference's names are `veth` and 8 hexadecimal digits; ours `veth` and 11.
fn is_veth(text: &str) -> bool {
    text.strip_prefix("veth").is_some_and(|rest| rest.len() >= 8)
}
