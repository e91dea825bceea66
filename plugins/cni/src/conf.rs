//! The network configuration a plugin reads from stdin: the part every plugin shares.
//!
//! A plugin decodes its own keys from [`NetConf::raw`] with [`crate::json::decode`]. Delegates are
//! given [`NetConf::bytes`], the very bytes that were read.

mod args;
mod runtime;

pub use args::Args;
pub use runtime::{Bandwidth, IpRange, PortMapping, RuntimeDns};

use crate::error::Error;
use crate::json::{self, Value};
use crate::result::Dns;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The keys of a network configuration that mean the same to every plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetConf {
    /// The version as written; empty means 0.1.0. [`crate::Request::version`] is the parsed one.
    pub cni_version: String,
    /// The network's name.
    pub name: String,
    /// The plugin's type, by which a runtime finds the program.
    pub plugin_type: String,
    /// What the plugin is said to understand in `runtimeConfig`.
    pub capabilities: BTreeMap<String, bool>,
    /// The address management plugin.
    pub ipam: Ipam,
    /// DNS settings for the result.
    pub dns: Dns,
    /// The result of the plugin before this one, as it was given.
    pub prev_result: Option<Value>,
    /// GC: the attachments that shall stay; of the keys `cni.dev/valid-attachments` and, if that is
    /// absent, `cni.dev/attachments`. With neither none shall stay, as cnitool calls GC.
    pub valid_attachments: Vec<Attachment>,
    /// The whole configuration.
    pub raw: Value,
    /// The whole configuration as it was read.
    pub bytes: Vec<u8>,
}

/// The `ipam` object: what every plugin must know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ipam {
    /// The address management plugin's type; empty when there is none.
    #[serde(rename = "type")]
    pub plugin_type: String,
}

/// One attachment of a container to a network, as GC lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(default)]
pub struct Attachment {
    /// The container's id.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The interface's name in the container.
    pub ifname: String,
}

/// The keys above as they are written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    cni_version: String,
    name: String,
    #[serde(rename = "type")]
    plugin_type: String,
    capabilities: BTreeMap<String, bool>,
    ipam: Ipam,
    prev_result: Option<Value>,
    #[serde(rename = "cni.dev/valid-attachments")]
    valid_attachments: Option<Vec<Attachment>>,
    #[serde(rename = "cni.dev/attachments")]
    attachments: Option<Vec<Attachment>>,
}

impl NetConf {
    /// Reads a configuration. Neither the name nor the version is judged here.
    ///
    /// # Errors
    /// Code 6 when the bytes are no JSON object, or one of the shared keys has the wrong type.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        let raw = json::parse(&bytes)?;
        let wire: Wire = json::decode(&raw)?;
        let dns = raw.field("dns").map(|dns| Dns::decode("dns", dns)).transpose()?;
        Ok(Self {
            cni_version: wire.cni_version,
            name: wire.name,
            plugin_type: wire.plugin_type,
            capabilities: wire.capabilities,
            ipam: wire.ipam,
            dns: dns.unwrap_or_default(),
            prev_result: wire.prev_result,
            valid_attachments: wire.valid_attachments.or(wire.attachments).unwrap_or_default(),
            raw,
            bytes,
        })
    }

    /// `args.cni`, which a plugin prefers to CNI_ARGS; `None` when it is absent.
    ///
    /// # Errors
    /// Code 6, naming the path and the value: it, or `args`, has the wrong type.
    pub fn args_cni<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.member_of("args", "cni")
    }

    /// A member of one of the objects beside a plugin's own keys; `None` when either is absent.
    fn member_of<T: DeserializeOwned>(&self, object: &str, key: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.raw.field(object) else { return Ok(None) };
        if value.as_object().is_none() {
            return Err(Error::decoding(format!("{object}: expected an object, got {value}")));
        }
        json::decode_field(object, value, key)
    }
}

#[cfg(test)]
mod tests;
