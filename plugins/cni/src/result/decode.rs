//! Reading a result of any version.

use super::{AddResult, Dns, Extra, Interface, IpConfig, Route};
use crate::addr::{IpNet, optional_ip};
use crate::error::Error;
use crate::json::{self, Value};
use crate::version::{Version, quoted_list};
use serde::Deserialize;
use std::net::IpAddr;

const INTERFACE_KEYS: &[&str] = &["name", "mac", "mtu", "sandbox", "socketPath", "pciID"];
/// Before 1.0.0 an interface has no attributes: they pass as other keys do.
const OLD_INTERFACE_KEYS: &[&str] = &["name", "mac", "sandbox"];
const IP_KEYS: &[&str] = &["version", "interface", "address", "gateway"];
const ROUTE_KEYS: &[&str] = &["dst", "gw", "mtu", "advmss", "priority", "table", "scope"];
const DNS_KEYS: &[&str] = &["nameservers", "domain", "search", "options"];
const RESULT_KEYS: &[&str] = &["cniVersion", "interfaces", "ips", "routes", "dns"];
const OLD_RESULT_KEYS: &[&str] = &["cniVersion", "ip4", "ip6", "dns"];
const OLD_IP_KEYS: &[&str] = &["ip", "gateway", "routes"];

impl AddResult {
    /// Reads a result, in the shape of the version it names, or of `default_version` if it names
    /// none.
    ///
    /// # Errors
    /// Code 6 when the version is unknown or a value has the wrong type.
    pub fn decode(value: &Value, default_version: Version) -> Result<Self, Error> {
        decode_at("", value, default_version)
    }
}

/// Reads `prevResult` of a configuration of version `version`.
///
/// # Errors
/// As [`AddResult::decode`]; also code 6 when the result names a version whose results have another
/// shape than those of `version`, which libcni refuses too.
pub fn prev_result(value: &Value, version: Version) -> Result<AddResult, Error> {
    let family = version.family();
    if let Some(inner) = named_version("prevResult", value)?
        && !family.contains(&inner)
    {
        return Err(Error::decoding(format!(
            "prevResult.cniVersion: result type supports {} but unmarshalled CNIVersion is \"{inner}\"",
            quoted_list(family).replace('"', "")
        )));
    }
    decode_at("prevResult", value, version)
}

impl Dns {
    /// Reads the resolver's settings found at `path`.
    pub(crate) fn decode(path: &str, value: &Value) -> Result<Self, Error> {
        let dns: Self = json::decode_at(path, value)?;
        Ok(Self { extra: extra(value, DNS_KEYS), ..dns })
    }
}

fn decode_at(path: &str, value: &Value, default_version: Version) -> Result<AddResult, Error> {
    if value.as_object().is_none() {
        return Err(Error::decoding(format!("{}expected a result, got {value}", prefix(path))));
    }
    let version = named_version(path, value)?.unwrap_or(default_version);
    let dns = value.field("dns").map(|dns| Dns::decode(&json::join(path, "dns"), dns));
    let mut result =
        AddResult { dns: dns.transpose()?.unwrap_or_default(), ..AddResult::default() };
    if version < Version::V0_3_0 {
        result.extra = extra(value, OLD_RESULT_KEYS);
        for family in ["ip4", "ip6"] {
            let path = json::join(path, family);
            if let Some(ip) = value.field(family) {
                result.ips.push(old_ip(&path, ip)?);
                result.routes.extend(list(&path, ip, "routes", route)?);
            }
        }
    } else {
        result.extra = extra(value, RESULT_KEYS);
        result.interfaces = list(path, value, "interfaces", |path, value| {
            interface(path, value, version >= Version::V1_0_0)
        })?;
        result.ips = list(path, value, "ips", ip)?;
        result.routes = list(path, value, "routes", route)?;
    }
    Ok(result)
}

/// The version a result names, if it does.
fn named_version(path: &str, value: &Value) -> Result<Option<Version>, Error> {
    let text: Option<String> = json::decode_field(path, value, "cniVersion")?;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let unknown =
        |_| Error::decoding(format!("{}unsupported CNI result version {text:?}", prefix(path)));
    text.parse().map(Some).map_err(unknown)
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// The elements of the list `key`; absent or null is empty.
fn list<T>(
    path: &str,
    value: &Value,
    key: &str,
    element: impl Fn(&str, &Value) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let items: Vec<Value> = json::decode_field(path, value, key)?.unwrap_or_default();
    let path = json::join(path, key);
    let items = items.iter().enumerate();
    items.map(|(index, item)| element(&format!("{path}[{index}]"), item)).collect()
}

fn interface(path: &str, value: &Value, attributes: bool) -> Result<Interface, Error> {
    if attributes {
        let interface: Interface = json::decode_at(path, value)?;
        return Ok(Interface { extra: extra(value, INTERFACE_KEYS), ..interface });
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Wire {
        name: String,
        mac: String,
        sandbox: String,
    }
    let Wire { name, mac, sandbox } = json::decode_at(path, value)?;
    let extra = extra(value, OLD_INTERFACE_KEYS);
    Ok(Interface { name, mac, sandbox, extra, ..Interface::default() })
}

fn route(path: &str, value: &Value) -> Result<Route, Error> {
    let route: Route = json::decode_at(path, value)?;
    Ok(Route { extra: extra(value, ROUTE_KEYS), ..route })
}

/// An address since 0.3.0. Its `version` follows from the address and is not looked at.
#[derive(Deserialize)]
struct IpWire {
    #[serde(default)]
    interface: Option<usize>,
    address: IpNet,
    #[serde(default, deserialize_with = "optional_ip")]
    gateway: Option<IpAddr>,
}

fn ip(path: &str, value: &Value) -> Result<IpConfig, Error> {
    let IpWire { interface, address, gateway } = json::decode_at(path, value)?;
    Ok(IpConfig { interface, address, gateway, extra: extra(value, IP_KEYS) })
}

/// An address up to 0.2.0.
fn old_ip(path: &str, value: &Value) -> Result<IpConfig, Error> {
    #[derive(Deserialize)]
    struct Wire {
        ip: IpNet,
        #[serde(default, deserialize_with = "optional_ip")]
        gateway: Option<IpAddr>,
    }
    let Wire { ip: address, gateway } = json::decode_at(path, value)?;
    Ok(IpConfig { interface: None, address, gateway, extra: extra(value, OLD_IP_KEYS) })
}

/// The members of an object that are none of `known`.
fn extra(value: &Value, known: &[&str]) -> Extra {
    let unknown = |key: &str| !known.iter().any(|known| known.eq_ignore_ascii_case(key));
    let members = value.as_object().into_iter().flat_map(json::Object::iter);
    let members = members.filter(|(key, _)| unknown(key));
    members.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}
