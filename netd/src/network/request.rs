//! What a client asks for: Docker's body of `POST /networks/create`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The request for a network. Keys that are not here are passed over, as Docker does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateRequest {
    /// Its name.
    pub name: String,
    /// Its driver; `bridge` where none is named.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// `local` or `global`; that of the driver where nothing is said.
    #[serde(deserialize_with = "or_default")]
    pub scope: String,
    /// IPv4; on where it is not said.
    #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
    pub enable_ipv4: Option<bool>,
    /// IPv6; off where it is not said.
    #[serde(rename = "EnableIPv6", skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    /// Subnets.
    #[serde(rename = "IPAM", deserialize_with = "or_default")]
    pub ipam: Ipam,
    /// Nothing leads out.
    pub internal: bool,
    /// Kept and shown.
    pub attachable: bool,
    /// Swarm's; refused.
    pub ingress: bool,
    /// A configuration for other networks; refused.
    pub config_only: bool,
    /// Where the configuration is taken from; refused.
    #[serde(deserialize_with = "or_default")]
    pub config_from: ConfigFrom,
    /// Of the driver.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// Of the user.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
}

/// Where addresses come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// `default`, or nothing.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// Kept and shown.
    #[serde(deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
    /// Subnets.
    #[serde(deserialize_with = "or_default")]
    pub config: Vec<SubnetRequest>,
}

/// A subnet, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SubnetRequest {
    /// As in `172.30.0.0/24`; `0.0.0.0/24` and `::/64` ask for any subnet of that size.
    pub subnet: String,
    /// The part to take addresses from.
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
    pub ip_range: String,
    /// The way out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// What others have.
    #[serde(
        rename = "AuxiliaryAddresses",
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "or_default"
    )]
    pub aux: BTreeMap<String, String>,
}

/// Swarm's reference to a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ConfigFrom {
    /// Its name.
    pub network: String,
}

/// `null` is as if the key were not there, as Go has it.
fn or_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
