//! What a host has for its networks, object by object, without what numbers the kernel gives.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::{Host, Place as _, wait_for};
use serde_json::Value;

/// How long a repair may take on a machine that is busy.
pub(crate) const BOUND: std::time::Duration = std::time::Duration::from_secs(10);

/// What is read of links: all of bridges, and of the ends that containers have on the host.
const LINKS: &str = r#"
ip -d -j link | jq -c '.[] | select((.ifalias // "") | startswith("netd:")) | {
    name: .ifname, master, mtu, alias: .ifalias, up: (.flags | contains(["UP"])),
    port: (.linkinfo.info_slave_data // {} | {hairpin, isolated}),
    mac: (if .linkinfo.info_kind == "bridge" then .address else null end) }'
ip -j addr | jq -c '.[] | select(.ifname | startswith("br-")) | .ifname as $name | .addr_info[]? |
    select(.scope == "global") | [$name, .local, .prefixlen]'
for key in ipv4/ip_forward ipv6/conf/all/forwarding $(cd /proc/sys/net; echo ipv4/conf/br-*/route_localnet); do
    echo "$key $(cat /proc/sys/net/$key)"
done
"#;

/// All of it. Rules are numbered in their chains; elements of sets are objects of their own.
pub(crate) fn state(host: &Host) -> Result<BTreeSet<String>> {
    let rules = host.run(&["nft", "-j", "list", "ruleset"])?.json()?;
    let mut all = BTreeSet::new();
    let (mut chain, mut place) = (String::new(), 0);
    for object in rules.get("nftables").and_then(Value::as_array).into_iter().flatten() {
        let Some((kind, what)) = object.as_object().and_then(|object| object.iter().next()) else {
            continue;
        };
        let mut what = without_numbers(what.clone());
        let [family, table, chain_of, name_of] = ["family", "table", "chain", "name"]
            .map(|key| what.get(key).map(Value::to_string).unwrap_or_default());
        let name = format!("{family} {table}");
        match kind.as_str() {
            "rule" => {
                let of = format!("{name} {chain_of}");
                place = if of == chain { place + 1 } else { 0 };
                chain = of;
                // Which network comes first there is nobody's matter.
                let place = if chain_of == "\"CNI-FORWARD\"" { 0 } else { place };
                all.insert(format!("rule {place} {what}"));
            }
            "set" | "map" => {
                let elements = what.get_mut("elem").map(Value::take).unwrap_or_default();
                for element in elements.as_array().into_iter().flatten() {
                    all.insert(format!("element {name} {name_of} {element}"));
                }
                all.insert(format!("{kind} {what}"));
            }
            _ => drop(all.insert(format!("{kind} {what}"))),
        }
    }
    all.extend(host.sh(LINKS)?.stdout.lines().map(str::to_owned));
    Ok(all)
}

/// Handles are counted on; what was counted of packets is no state.
fn without_numbers(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        for key in ["handle", "packets", "bytes", "metainfo"] {
            object.remove(key);
        }
        object.values_mut().for_each(|inner| *inner = without_numbers(inner.take()));
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(|inner| *inner = without_numbers(inner.take()));
    }
    value
}

/// Waits until all is as it was.
pub(crate) fn until(host: &Host, before: &BTreeSet<String>) -> Result<()> {
    let mut last = BTreeSet::new();
    let equal = wait_for("all is as it was", BOUND, || {
        last = state(host)?;
        Ok((last == *before).then_some(()))
    });
    let gone: Vec<&String> = before.difference(&last).collect();
    let new: Vec<&String> = last.difference(before).collect();
    ensure!(equal.is_ok(), "gone: {gone:#?}, new: {new:#?}");
    Ok(())
}
