//! The JSON of a record. Version 1; a reader ignores keys it does not know.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use drivers::{Owner, ruleset};
use netstate::LinkName;
use netstate::nft::{Element, Family, SetId, TableId, Value};
use serde::de::Error as _;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Error;

use super::{Namespace, Record};

/// As it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    network: String,
    container_id: String,
    ifname: String,
    plugin: String,
    boot_id: String,
    #[serde(default)]
    netns: Option<Namespace>,
    #[serde(default)]
    links: Vec<String>,
    #[serde(default)]
    elements: Vec<WireElement>,
    #[serde(default)]
    shared: Vec<WireElement>,
    #[serde(default)]
    notes: BTreeMap<String, String>,
}

/// Table and set as `nft` writes them, key and data as `<type>=<value>`.
#[derive(Deserialize)]
struct WireElement {
    set: String,
    key: Vec<String>,
    #[serde(default)]
    data: Vec<String>,
    comment: String,
}

/// As it is written: straight from the record, as there may be hundreds of elements.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'r> {
    version: u32,
    network: &'r str,
    container_id: &'r str,
    ifname: &'r str,
    plugin: &'r str,
    boot_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<&'r Namespace>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    links: Texts<'r, LinkName>,
    #[serde(skip_serializing_if = "Elements::is_empty")]
    elements: Elements<'r>,
    #[serde(skip_serializing_if = "Elements::is_empty")]
    shared: Elements<'r>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    notes: &'r BTreeMap<String, String>,
}

struct Elements<'r>(&'r [(SetId, Arc<Element>)]);

/// Each as text.
struct Texts<'r, T>(&'r [T]);

#[derive(Serialize)]
struct WrittenElement<'r> {
    set: &'r str,
    key: Texts<'r, Value>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    data: Texts<'r, Value>,
    comment: &'r str,
}

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let wire = Written {
        version: 1,
        network: &record.owner.network,
        container_id: &record.owner.container_id,
        ifname: &record.owner.ifname,
        plugin: &record.plugin,
        boot_id: &record.boot_id,
        netns: record.netns.as_ref(),
        links: Texts(&record.links),
        elements: Elements(&record.elements),
        shared: Elements(&record.shared),
        notes: &record.notes,
    };
    cni::json::compact(&wire)
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
        netns: wire.netns,
        links: links?,
        elements: elements(wire.elements)?,
        shared: elements(wire.shared)?,
        notes: wire.notes,
    })
}

impl Elements<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        let (mut last, mut set_text) = (None, String::new());
        for (set, element) in self.0 {
            // Those of a set follow each other.
            if last.replace(set) != Some(set) {
                set_text = set.to_string();
            }
            list.serialize_element(&WrittenElement {
                set: &set_text,
                key: Texts(&element.key),
                data: Texts(&element.data),
                comment: &element.comment,
            })?;
        }
        list.end()
    }
}

impl<T> Texts<'_, T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Texts<'_, LinkName> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(LinkName::as_str))
    }
}

impl Serialize for Texts<'_, Value> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        let mut text = String::with_capacity(64);
        for value in self.0 {
            text.clear();
            let _ = write!(text, "{}", ValueText(value));
            list.serialize_element(&text)?;
        }
        list.end()
    }
}

struct ValueText<'r>(&'r Value);

fn elements(wire: Vec<WireElement>) -> Result<Vec<(SetId, Arc<Element>)>, Error> {
    let all = wire.into_iter().map(from_wire);
    all.filter(|of| !matches!(of, Ok((set, _)) if ruleset::is_retired(set))).collect()
}

fn from_wire(wire: WireElement) -> Result<(SetId, Arc<Element>), Error> {
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
    let element =
        Element { key: values(&wire.key)?, data: values(&wire.data)?, comment: wire.comment };
    Ok((set, element.into()))
}

impl fmt::Display for ValueText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Ipv4(ip) => write!(f, "ip={ip}"),
            Value::Ipv6(ip) => write!(f, "ip6={ip}"),
            Value::Mac(mac) => write!(f, "mac={mac}"),
            Value::Proto(n) => write!(f, "proto={n}"),
            Value::Port(n) => write!(f, "port={n}"),
            Value::Ifname(name) => write!(f, "if={name}"),
            Value::Vni(n) => write!(f, "vni={n}"),
        }
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
        "vni" => Value::Vni(rest.parse().map_err(|_| bad())?),
        _ => return Err(bad()),
    })
}
