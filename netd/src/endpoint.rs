//! A container's place on a network: who it is, which addresses and which interface it gets, and what
//! its state is by the drivers.
//!
//! All of it is pure. Texts are Docker's where it has one (moby 20.10, and newer where that is said).

mod address;
mod carried;
mod dynamic;
mod error;
mod forwards;
mod ifname;
mod listed;
mod overlay;
mod ports;
mod result;
mod route;
mod sandbox;
mod state;
mod taken;
#[cfg(test)]
mod tests;
mod wanted;
mod way;

use std::collections::BTreeMap;

use attach::Namespace;
use drivers::Owner;
use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac, NsNames};
use serde::{Deserialize, Serialize};

use crate::network::{Id, text};

pub use address::Addresses;
pub use carried::{Carried, placed};
pub use dynamic::Dynamic;
pub use error::EndpointError;
pub use forwards::forwards;
pub use ifname::next_free;
pub use listed::{ContainerFilter, ListedContainer, ListedEndpoint, ListedPort, containers};
pub use netd_api::endpoints::key;
pub use overlay::{OnOverlay, joined};
pub use ports::{Published, covers};
pub use result::Made;
pub use route::{Contender, Displaced, first};
pub use sandbox::Sandbox;
pub use state::Parts;
pub use wanted::Wanted;
pub use way::{Way, default_route, ways_out};

/// The name of records of what netd attaches.
pub const PLUGIN: &str = "netd";

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its identity.
    pub id: Id,
    /// The network's.
    pub network: Id,
    /// The network's name.
    pub network_name: String,
    /// The container's id.
    pub container: String,
    /// The interface in the container.
    #[serde(with = "text")]
    pub ifname: LinkName,
    /// The container's namespace.
    pub netns: Namespace,
    /// The namespace's cookie, if the kernel gives any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns_cookie: Option<u64>,
    /// The host's end.
    #[serde(with = "text")]
    pub host_link: LinkName,
    /// Of the container's interface.
    #[serde(with = "text")]
    pub mac: Mac,
    /// At most one of a family, with the subnet's prefix length.
    #[serde(with = "text::list")]
    pub addresses: Vec<IpNetwork>,
    /// What it is called on the network; the first is shown.
    pub names: Vec<String>,
    /// Of one on an overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<OnOverlay>,
    /// It is there for the way out of overlays alone, and goes with the container's last one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gateway: bool,
    /// Its published ports.
    pub ports: Vec<Published>,
    /// Whoever runs the container holds those itself that rules lead to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ports_held: bool,
    /// Ports that it is to have when another endpoint of the container that has them is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Published>,
    /// The ports that lead to it; none where they are its own, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Vec<Carried>>,
    /// Of several networks the one with the highest gives the default route.
    pub gw_priority: i32,
    /// Sysctls of the container's interface, as paths below `/proc/sys`, that its user has asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// The families of which the default route was given to it.
    pub default_routes: Families,
    /// Default routes of others that it displaced, to be given back.
    #[serde(default)]
    pub displaced: Vec<Displaced>,
    /// Everything of it stands; false while it is made, and when that was never finished.
    pub made: bool,
    /// The run of the kernel that it is of.
    pub boot_id: String,
}

/// IPv4 and IPv6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    /// Whether it is among them.
    #[must_use]
    pub fn has(self, v6: bool) -> bool {
        if v6 { self.v6 } else { self.v4 }
    }

    /// Takes it up, or leaves it out.
    pub fn set(&mut self, v6: bool, is_in: bool) {
        *(if v6 { &mut self.v6 } else { &mut self.v4 }) = is_in;
    }
}

impl Endpoint {
    /// Whose its kernel objects are.
    #[must_use]
    pub fn owner(&self) -> Owner {
        owner(&self.network_name, &self.container, &self.ifname)
    }

    /// How commands name the namespaces that it is in.
    #[must_use]
    pub fn ns_names(&self) -> NsNames {
        let overlay = self.overlay.as_ref().map(|on| on.netns.path.to_string_lossy().into_owned());
        NsNames { overlay: overlay.unwrap_or_default(), ..self.netns.names() }
    }

    /// Its container's namespace.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        Sandbox { id: self.netns.id(), cookie: self.netns_cookie }
    }

    /// What it is called among those of its network: `<container>-<ifname>`.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.container, self.ifname.as_str())
    }

    /// What is shown of it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.container)
    }

    /// Its address of a family as it is shown; empty without one.
    #[must_use]
    pub fn address_text(&self, v6: bool) -> String {
        self.address(v6).map(|net| net.to_string()).unwrap_or_default()
    }

    /// Its address of a family.
    #[must_use]
    pub fn address(&self, v6: bool) -> Option<IpNetwork> {
        self.addresses.iter().find(|net| net.is_ipv6() == v6).copied()
    }
}

/// Whose the kernel objects of an interface are.
#[must_use]
pub fn owner(network: &str, container: &str, ifname: &LinkName) -> Owner {
    Owner {
        network: network.to_owned(),
        container_id: container.to_owned(),
        ifname: ifname.to_string(),
    }
}
