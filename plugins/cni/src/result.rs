//! The result of an ADD, of every version.
//!
//! [`AddResult`] holds what version 1.1.0 can say and whatever else was in the JSON
//! (`extra`, at every level), so that a chained plugin passes on what it does not know.
//! [`AddResult::to_json`] writes the shape of one version, byte for byte as libcni does.

mod decode;
mod encode;

pub use decode::prev_result;

use crate::addr::{IpNet, optional_ip};
use crate::json::Value;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Keys that are no field here, kept as they came.
pub type Extra = BTreeMap<String, Value>;

/// What an ADD made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddResult {
    /// The interfaces, on the host and in the container.
    pub interfaces: Vec<Interface>,
    /// The addresses.
    pub ips: Vec<IpConfig>,
    /// The routes in the container.
    pub routes: Vec<Route>,
    /// The resolver's settings.
    pub dns: Dns,
    /// Other keys.
    pub extra: Extra,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address; empty when unknown.
    pub mac: String,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// The namespace it is in: the path from CNI_NETNS, or empty on the host.
    pub sandbox: String,
    /// The path of a socket that stands for the interface.
    pub socket_path: String,
    /// The PCI address.
    #[serde(rename = "pciID")]
    pub pci_id: String,
    /// Other keys.
    #[serde(skip)]
    pub extra: Extra,
}

/// An address.
#[derive(Clone, Debug, PartialEq)]
pub struct IpConfig {
    /// Which of [`AddResult::interfaces`] has it.
    pub interface: Option<usize>,
    /// The address, with the prefix length of its subnet.
    pub address: IpNet,
    /// The gateway of that subnet.
    pub gateway: Option<IpAddr>,
    /// Other keys.
    pub extra: Extra,
}

impl IpConfig {
    /// An address without gateway and interface.
    #[must_use]
    pub fn new(address: IpNet) -> Self {
        Self { interface: None, address, gateway: None, extra: Extra::new() }
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Route {
    /// The destination.
    pub dst: IpNet,
    /// The next hop; absent means the gateway of the address's subnet.
    #[serde(default, deserialize_with = "optional_ip")]
    pub gw: Option<IpAddr>,
    /// The MTU of the path in bytes.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// The maximal segment size to announce, in bytes.
    #[serde(default)]
    pub advmss: Option<u32>,
    /// The metric; lower is preferred.
    #[serde(default)]
    pub priority: Option<u32>,
    /// The routing table; absent means main.
    #[serde(default)]
    pub table: Option<u32>,
    /// The scope as a number of rtnetlink(7): 0 global, 253 link, 254 host.
    #[serde(default)]
    pub scope: Option<u32>,
    /// Other keys.
    #[serde(skip)]
    pub extra: Extra,
}

impl Route {
    /// A route without attributes.
    #[must_use]
    pub fn new(dst: IpNet, gw: Option<IpAddr>) -> Self {
        Self {
            dst,
            gw,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
            extra: Extra::new(),
        }
    }
}

/// The resolver's settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Name servers, in order.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: String,
    /// Search domains, in order.
    pub search: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
    /// Other keys.
    #[serde(skip)]
    pub extra: Extra,
}

impl Dns {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests;
