//! A network as it is shown: Docker's keys in Docker's order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConfigFrom, Moment, Network, Subnet};
use crate::endpoint::Endpoint;

/// What `inspect` shows: the keys of Docker 20.10 in its order, and `EnableIPv4` (API 1.48).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// The name.
    pub name: String,
    /// All digits.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// `local`, or `global`.
    pub scope: String,
    /// The driver.
    pub driver: String,
    /// Whether there is IPv4.
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: bool,
    /// Whether there is IPv6.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Where addresses come from.
    #[serde(rename = "IPAM")]
    pub ipam: ShownIpam,
    /// Nothing leads out.
    pub internal: bool,
    /// As asked for.
    pub attachable: bool,
    /// Never.
    pub ingress: bool,
    /// Nowhere.
    pub config_from: ConfigFrom,
    /// Never.
    pub config_only: bool,
    /// Who is on it, by container.
    pub containers: BTreeMap<String, ShownContainer>,
    /// Of the driver.
    pub options: BTreeMap<String, String>,
    /// Of the user.
    pub labels: BTreeMap<String, String>,
    /// What overlaps its subnets by now; netd's own key.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShownContainer {
    /// What it is called.
    pub name: String,
    /// Of its place on the network: all digits.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Of its interface.
    pub mac_address: String,
    /// With the subnet's prefix length; empty without one.
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    /// The same of IPv6.
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
    /// netd's own key: the host that it is on, where that is another one.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub host: String,
    /// netd's own key: what cannot be put right, with the remedy; left out where there is nothing.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub trouble: String,
}

/// The containers of these endpoints, by id. Of one that is on a network twice the second has the key
/// that Docker has for endpoints without a container.
#[must_use]
pub fn shown_containers<'e>(
    endpoints: impl Iterator<Item = &'e Endpoint>,
    trouble: impl Fn(&Endpoint) -> String,
) -> BTreeMap<String, ShownContainer> {
    let mut shown = BTreeMap::new();
    for endpoint in endpoints {
        let container = ShownContainer {
            name: endpoint.name().to_owned(),
            endpoint_id: endpoint.id.to_string(),
            mac_address: endpoint.mac.to_string(),
            ipv4_address: endpoint.address_text(false),
            ipv6_address: endpoint.address_text(true),
            host: String::new(),
            trouble: trouble(endpoint),
        };
        let key = match shown.contains_key(&endpoint.container) {
            true => format!("ep-{}", endpoint.id),
            false => endpoint.container.clone(),
        };
        shown.insert(key, container);
    }
    shown
}

/// What a list shows of a network: some keys of [`Inspect`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Brief {
    /// The name.
    pub name: String,
    /// All digits.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// `local`, or `global`.
    pub scope: String,
    /// The driver.
    pub driver: String,
    /// Whether there is IPv4.
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: bool,
    /// Whether there is IPv6.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Nothing leads out.
    pub internal: bool,
    /// Of the user.
    pub labels: BTreeMap<String, String>,
}

/// Where addresses come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShownIpam {
    /// `default`.
    pub driver: String,
    /// As given; null of the networks that are always there.
    pub options: Option<BTreeMap<String, String>>,
    /// The subnets.
    pub config: Vec<ShownSubnet>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShownSubnet {
    /// All of it.
    pub subnet: String,
    /// The part for containers.
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty", default)]
    pub ip_range: String,
    /// The way out.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub gateway: String,
    /// What others have.
    #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "BTreeMap::is_empty", default)]
    pub aux: BTreeMap<String, String>,
}

impl Inspect {
    /// What is shown of a network.
    #[must_use]
    pub fn of(network: &Network) -> Self {
        Self {
            name: network.name.clone(),
            id: network.id.to_string(),
            created: network.created.to_string(),
            scope: network.scope.word().to_owned(),
            driver: network.driver.name().to_owned(),
            enable_ipv4: network.ipv4,
            enable_ipv6: network.ipv6,
            ipam: ShownIpam {
                driver: "default".to_owned(),
                options: (!network.is_predefined()).then(|| network.ipam_options.clone()),
                config: network.subnets.iter().map(ShownSubnet::of).collect(),
            },
            internal: network.internal,
            attachable: network.attachable,
            ingress: false,
            config_from: ConfigFrom::default(),
            config_only: false,
            containers: BTreeMap::new(),
            options: network.options.clone(),
            labels: network.labels.clone(),
            warnings: Vec::new(),
        }
    }
}

impl Brief {
    /// What a list shows of a network.
    #[must_use]
    pub fn of(network: &Network) -> Self {
        Self {
            name: network.name.clone(),
            id: network.id.to_string(),
            created: network.created.to_string(),
            scope: network.scope.word().to_owned(),
            driver: network.driver.name().to_owned(),
            enable_ipv4: network.ipv4,
            enable_ipv6: network.ipv6,
            internal: network.internal,
            labels: network.labels.clone(),
        }
    }

    /// When the network was made.
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        Moment::read(&self.created, Moment::now())
    }
}

impl ShownSubnet {
    fn of(subnet: &Subnet) -> Self {
        let aux = subnet.aux.iter();
        Self {
            subnet: subnet.net.to_string(),
            ip_range: subnet.ip_range.map(|range| range.to_string()).unwrap_or_default(),
            gateway: subnet.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
            aux: aux.map(|(name, ip)| (name.clone(), ip.to_string())).collect(),
        }
    }
}
