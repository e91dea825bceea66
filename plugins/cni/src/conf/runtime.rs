//! `runtimeConfig`: what the runtime adds for one container.
//!
//! Each capability is decoded only when a plugin asks for it, so that one plugin's odd value does
//! not fail another. Keys come in any case (containerd capitalises them), and 0 and "" in them mean
//! "not set": what follows from that is the plugin's to decide.

use super::NetConf;
use crate::error::Error;
use crate::json::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One published port (capability `portMappings`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PortMapping {
    /// The port on the host; 0 is "not set".
    pub host_port: u16,
    /// The port in the container; 0 is "not set".
    pub container_port: u16,
    /// The protocol as written; empty is "not set".
    pub protocol: String,
    /// The host's address the port is published on, as written; empty is "not set".
    #[serde(rename = "hostIP")]
    pub host_ip: String,
}

/// One range to take an address from (capability `ipRanges`), as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpRange {
    /// The subnet, a CIDR.
    pub subnet: String,
    /// The first address, or empty.
    pub range_start: String,
    /// The last address, or empty.
    pub range_end: String,
    /// The gateway, or empty.
    pub gateway: String,
}

/// Limits in bits per second and bits (capability `bandwidth`); 0 is "not set".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Bandwidth {
    /// Rate towards the container, in bit/s.
    pub ingress_rate: u64,
    /// Burst towards the container, in bit.
    pub ingress_burst: u64,
    /// Rate from the container, in bit/s.
    pub egress_rate: u64,
    /// Burst from the container, in bit.
    pub egress_burst: u64,
}

/// DNS settings from the runtime (capability `dns`); its names differ from those of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RuntimeDns {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
}

impl NetConf {
    /// `runtimeConfig.KEY`; `None` when it is absent or null.
    ///
    /// # Errors
    /// Code 6, naming the path and the value: it, or `runtimeConfig`, has the wrong type.
    pub fn runtime_config<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.member_of("runtimeConfig", key)
    }

    /// `runtimeConfig.portMappings`.
    ///
    /// # Errors
    /// Code 6, as for every capability here: the value has the wrong type, or a port is no u16.
    pub fn port_mappings(&self) -> Result<Vec<PortMapping>, Error> {
        self.runtime_config("portMappings").map(Option::unwrap_or_default)
    }

    /// `runtimeConfig.ips`: addresses, with or without a prefix length, as written.
    ///
    /// # Errors
    /// Code 6.
    pub fn ips(&self) -> Result<Vec<String>, Error> {
        self.runtime_config("ips").map(Option::unwrap_or_default)
    }

    /// `runtimeConfig.mac`; `None` when it is empty.
    ///
    /// # Errors
    /// Code 6.
    pub fn mac(&self) -> Result<Option<String>, Error> {
        let mac: Option<String> = self.runtime_config("mac")?;
        Ok(mac.filter(|mac| !mac.is_empty()))
    }

    /// `runtimeConfig.ipRanges`: a list of range sets.
    ///
    /// # Errors
    /// Code 6.
    pub fn ip_ranges(&self) -> Result<Vec<Vec<IpRange>>, Error> {
        self.runtime_config("ipRanges").map(Option::unwrap_or_default)
    }

    /// `runtimeConfig.aliases`: a list, or (Podman) an object of lists by network name.
    ///
    /// # Errors
    /// Code 6.
    pub fn aliases(&self) -> Result<Vec<String>, Error> {
        let config = self.raw.field("runtimeConfig");
        let by_network = config.and_then(|config| config.field("aliases"));
        if by_network.and_then(Value::as_object).is_none() {
            return self.runtime_config("aliases").map(Option::unwrap_or_default);
        }
        let all: Option<BTreeMap<String, Vec<String>>> = self.runtime_config("aliases")?;
        Ok(all.and_then(|mut all| all.remove(&self.name)).unwrap_or_default())
    }

    /// `runtimeConfig.dns`.
    ///
    /// # Errors
    /// Code 6.
    pub fn runtime_dns(&self) -> Result<Option<RuntimeDns>, Error> {
        self.runtime_config("dns")
    }

    /// `runtimeConfig.bandwidth`.
    ///
    /// # Errors
    /// Code 6.
    pub fn bandwidth(&self) -> Result<Option<Bandwidth>, Error> {
        self.runtime_config("bandwidth")
    }
}
