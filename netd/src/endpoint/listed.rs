//! Containers as they are shown: Docker's keys where it has one (`GET /containers/json`, and a container's
//! `NetworkSettings`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Published};
use crate::network::{Id, NetworkError};

/// A container that is on networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedContainer {
    /// Its id, as its runtime has given it.
    pub id: String,
    /// What it is called on its networks.
    pub names: Vec<String>,
    /// The path of its network namespace.
    pub sandbox_key: PathBuf,
    /// Its places on networks, in order of the interfaces.
    pub endpoints: Vec<ListedEndpoint>,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedEndpoint {
    /// The network's name.
    pub network: String,
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// Its own.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// The interface in the container.
    pub interface: String,
    /// Of the interface.
    pub mac_address: String,
    /// With the subnet's prefix length; empty without one.
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    /// The same of IPv6.
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
    /// Of several networks the one with the highest gives the default route.
    pub gw_priority: i32,
    /// The published ports that lead to it.
    pub ports: Vec<ListedPort>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedPort {
    /// Of the host; empty for any.
    #[serde(rename = "IP")]
    pub ip: String,
    /// In the container.
    pub private_port: u16,
    /// On the host.
    pub public_port: u16,
    /// `tcp`, `udp` or `sctp`.
    #[serde(rename = "Type")]
    pub protocol: String,
}

/// Which containers a filter means: values of one key are alternatives, keys must all hold.
#[derive(Debug, Clone, Default)]
pub struct ContainerFilter {
    ids: Vec<String>,
    names: Vec<String>,
    networks: Vec<String>,
}

impl ContainerFilter {
    /// Reads a filter: `id` is the beginning of one, `name` a part of one, `network` a name or an id.
    ///
    /// # Errors
    /// A key that there is not.
    pub fn read(given: &BTreeMap<String, Vec<String>>) -> Result<Self, NetworkError> {
        let mut filter = Self::default();
        for (key, values) in given {
            match key.as_str() {
                "id" => filter.ids.clone_from(values),
                "name" => filter.names.clone_from(values),
                "network" => filter.networks.clone_from(values),
                other => return Err(NetworkError::Filter(other.to_owned())),
            }
        }
        Ok(filter)
    }

    /// Whether a container is meant.
    #[must_use]
    pub fn is_met(&self, container: &ListedContainer) -> bool {
        let any = |values: &[String], is_met: &dyn Fn(&String) -> bool| {
            values.is_empty() || values.iter().any(is_met)
        };
        let has = |text: &String| container.names.iter().any(|name| name.contains(text.as_str()));
        let is_on = |text: &String| {
            container.endpoints.iter().any(|one| {
                one.network == *text || (!text.is_empty() && one.network_id.starts_with(text))
            })
        };
        any(&self.ids, &|id| container.id.starts_with(id.as_str()))
            && any(&self.names, &has)
            && any(&self.networks, &is_on)
    }
}

/// The containers of these endpoints, in order of their ids. Those of one id in two namespaces are two;
/// by which path a namespace was opened says nothing. `binding` is where a network publishes ports that
/// name no address.
#[must_use]
pub fn containers(
    mut endpoints: Vec<Arc<Endpoint>>,
    binding: impl Fn(&Id) -> Option<IpAddr>,
) -> Vec<ListedContainer> {
    let place = |endpoint: &Endpoint| {
        (endpoint.container.clone(), endpoint.sandbox(), endpoint.ifname.to_string())
    };
    endpoints.sort_by_key(|endpoint| place(endpoint));
    let made: Vec<&Arc<Endpoint>> = endpoints.iter().filter(|endpoint| endpoint.made).collect();
    let is_one = |a: &&Arc<Endpoint>, b: &&Arc<Endpoint>| {
        (&a.container, a.sandbox()) == (&b.container, b.sandbox())
    };
    let of = |all: &[&Arc<Endpoint>]| {
        let first = all.first()?;
        let mut names: Vec<String> = Vec::new();
        for name in all.iter().flat_map(|endpoint| &endpoint.names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Some(ListedContainer {
            id: first.container.clone(),
            names,
            sandbox_key: first.netns.path.clone(),
            endpoints: all.iter().map(|one| shown(one, binding(&one.network))).collect(),
        })
    };
    made.chunk_by(is_one).filter_map(of).collect()
}

/// Ports as they are bound: those of another network by the address of this one.
fn shown(endpoint: &Endpoint, binding: Option<IpAddr>) -> ListedEndpoint {
    let binding = binding.filter(|ip| !ip.is_unspecified());
    let port = |port: &Published| ListedPort {
        ip: port.host_ip.or(binding).map(|ip| ip.to_string()).unwrap_or_default(),
        private_port: port.container_port,
        public_port: port.host_port,
        protocol: port.protocol.clone(),
    };
    ListedEndpoint {
        network: endpoint.network_name.clone(),
        network_id: endpoint.network.to_string(),
        endpoint_id: endpoint.id.to_string(),
        interface: endpoint.ifname.to_string(),
        mac_address: endpoint.mac.to_string(),
        ipv4_address: endpoint.address_text(false),
        ipv6_address: endpoint.address_text(true),
        gw_priority: endpoint.gw_priority,
        ports: endpoint.leading().iter().map(|carried| port(&carried.port)).collect(),
    }
}
