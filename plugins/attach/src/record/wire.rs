//! The JSON of a record. Version 1; a reader ignores keys it does not know.

use std::collections::BTreeMap;
use std::path::PathBuf;

use drivers::Owner;
use netstate::LinkName;
use netstate::nft::{Element, Family, SetId, TableId, Value};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Error;

use super::{Namespace, Record};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: u32,
    network: String,
    container_id: String,
    ifname: String,
    plugin: String,
    boot_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    netns: Option<WireNamespace>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    links: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    elements: Vec<WireElement>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    shared: Vec<WireElement>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    notes: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct WireNamespace {
    path: PathBuf,
    dev: u64,
    ino: u64,
}

/// Table and set as `nft` writes them, key and data as `<type>=<value>`.
#[derive(Serialize, Deserialize)]
struct WireElement {
    set: String,
    key: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    data: Vec<String>,
    comment: String,
}

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let wire = Wire {
        version: 1,
        network: record.owner.network.clone(),
        container_id: record.owner.container_id.clone(),
        ifname: record.owner.ifname.clone(),
        plugin: record.plugin.clone(),
        boot_id: record.boot_id.clone(),
        netns: record.netns.as_ref().map(|n| WireNamespace {
            path: n.path.clone(),
            dev: n.dev,
            ino: n.ino,
        }),
        links: record.links.iter().map(ToString::to_string).collect(),
        elements: record.elements.iter().map(to_wire).collect(),
        shared: record.shared.iter().map(to_wire).collect(),
        notes: record.notes.clone(),
    };
    // Strings and numbers only: there is nothing in it that JSON cannot hold.
    serde_json::to_vec(&wire).unwrap_or_default()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Record, Error> {
    let wire: Wire = serde_json::from_slice(bytes)?;
    let links: Result<Vec<LinkName>, Error> =
        wire.links.into_iter().map(|l| LinkName::new(l).map_err(Error::custom)).collect();
    Ok(Record {
        owner: Owner {
            network: wire.network,
            container_id: wire.container_id,
            ifname: wire.ifname,
        },
        plugin: wire.plugin,
        boot_id: wire.boot_id,
        netns: wire.netns.map(|n| Namespace { path: n.path, dev: n.dev, ino: n.ino }),
        links: links?,
        elements: wire.elements.iter().map(from_wire).collect::<Result<_, _>>()?,
        shared: wire.shared.iter().map(from_wire).collect::<Result<_, _>>()?,
        notes: wire.notes,
    })
}

fn to_wire((set, element): &(SetId, Element)) -> WireElement {
    WireElement {
        set: set.to_string(),
        key: element.key.iter().map(value_text).collect(),
        data: element.data.iter().map(value_text).collect(),
        comment: element.comment.clone(),
    }
}

fn from_wire(wire: &WireElement) -> Result<(SetId, Element), Error> {
    let bad = || Error::custom(format!("{:?} is not <family> <table> <set>", wire.set));
    let mut words = wire.set.splitn(3, ' ');
    let family = match words.next() {
        Some("inet") => Family::Inet,
        Some("ip") => Family::Ip,
        Some("ip6") => Family::Ip6,
        Some("bridge") => Family::Bridge,
        _ => return Err(bad()),
    };
    let (table, name) = words.next().zip(words.next()).ok_or_else(bad)?;
    let set = SetId::new(&TableId::new(family, table), name);
    let values = |of: &[String]| of.iter().map(|v| value(v)).collect::<Result<_, _>>();
    let element = Element {
        key: values(&wire.key)?,
        data: values(&wire.data)?,
        comment: wire.comment.clone(),
    };
    Ok((set, element))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Ipv4(ip) => format!("ip={ip}"),
        Value::Ipv6(ip) => format!("ip6={ip}"),
        Value::Mac(mac) => format!("mac={mac}"),
        Value::Proto(n) => format!("proto={n}"),
        Value::Port(n) => format!("port={n}"),
        Value::Ifname(name) => format!("if={name}"),
    }
}

fn value(text: &str) -> Result<Value, Error> {
    let bad = || Error::custom(format!("{text:?} is not a value"));
    let (kind, rest) = text.split_once('=').ok_or_else(bad)?;
    Ok(match kind {
        "ip" => Value::Ipv4(rest.parse().map_err(|_| bad())?),
        "ip6" => Value::Ipv6(rest.parse().map_err(|_| bad())?),
        "mac" => Value::Mac(rest.parse().map_err(|_| bad())?),
        "proto" => Value::Proto(rest.parse().map_err(|_| bad())?),
        "port" => Value::Port(rest.parse().map_err(|_| bad())?),
        "if" => Value::Ifname(LinkName::new(rest).map_err(|_| bad())?),
        _ => return Err(bad()),
    })
}
