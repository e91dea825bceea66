//! What of a state is comparable: timers, counters, indexes, random names and addresses are not.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

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

/// Keeps of `ip`'s output what is comparable; links of these names are left out.
pub(crate) fn state(text: &str, without: &[&str]) -> Result<Value> {
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

/// Takes random MACs and names of veths out. A result's MAC becomes whether it is the one of the
/// link; `keep` are the MACs that were asked for.
pub(crate) fn forget_random(document: &mut Value, keep: &[String]) {
    let links = links(document);
    let answers = document.get_mut("ADD").and_then(Value::as_array_mut);
    for answer in answers.into_iter().flatten() {
        let list = answer.pointer_mut("/result/interfaces").and_then(Value::as_array_mut);
        for interface in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            compare_mac(interface, &links, keep);
        }
    }
    for place in ["container", "host", "container after DEL", "host after DEL"] {
        for link in document.get_mut(place).into_iter().flat_map(|state| entries(state, "links")) {
            let address = link.get("address").and_then(Value::as_str).unwrap_or_default();
            if link.get("ifname") != Some(&"lo".into()) && !keep.iter().any(|mac| mac == address) {
                link.insert("address".to_owned(), "<random>".into());
            }
        }
    }
    walk(document, &mut |text| {
        if is_veth(text) {
            "<veth>".clone_into(text);
        }
    });
}

/// (Whether it is in the container, name, MAC) of each link after ADD.
fn links(document: &mut Value) -> Vec<(bool, Value, Value)> {
    let mut all = Vec::new();
    for (inside, place) in [(true, "container"), (false, "host")] {
        for link in document.get_mut(place).into_iter().flat_map(|state| entries(state, "links")) {
            let field = |key: &str| link.get(key).cloned().unwrap_or_default();
            all.push((inside, field("ifname"), field("address")));
        }
    }
    all
}

fn compare_mac(
    interface: &mut Map<String, Value>,
    links: &[(bool, Value, Value)],
    keep: &[String],
) {
    let Some(mac) = interface.get("mac").cloned() else { return };
    let inside = interface.contains_key("sandbox");
    let name = interface.get("name").cloned().unwrap_or_default();
    let is = links.iter().find(|(i, n, _)| *i == inside && *n == name).map(|(_, _, mac)| mac);
    let asked = keep.iter().any(|kept| mac == kept.as_str());
    if !asked && mac.as_str() != Some("00:00:00:00:00:00") {
        let text =
            if is == Some(&mac) { "<that of the link>" } else { "<another than the link's>" };
        interface.insert("mac".to_owned(), text.into());
    }
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

/// The reference's names are `veth` and 8 hexadecimal digits; ours `veth` and 11.
fn is_veth(text: &str) -> bool {
    text.strip_prefix("veth").is_some_and(|rest| {
        [8, 11].contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}
