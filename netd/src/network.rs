//! Networks as Docker's users know them: objects with a name, a driver, subnets and options.
//!
//! All of it is pure: what a request means, whether it makes sense beside the networks and routes
//! there are, which subnet a network gets, which networks a word or a filter means, and how one is
//! shown. Meanings and texts are those of Docker where it has one (moby 20.10, and newer where that
//! is said); names are those of a CNI network, because each of these is one.

mod allot;
mod assemble;
mod cluster;
mod conflist;
mod create;
mod device;
mod direct;
mod error;
mod filter;
mod id;
mod inspect;
mod laid;
mod lookup;
mod moment;
mod options;
mod overlay;
mod parent;
mod pools;
mod predefined;
mod request;
mod scope;
mod span;
mod subnets;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod vni;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

pub use assemble::{SubnetFlags, assemble};
pub use cluster::ClusterNetwork;
pub use conflist::{PUBLISH, network_of_list};
pub use create::{Created, Site, create};
pub use device::Device;
pub use direct::{Direct, HOST_ADDRESS};
pub use error::{Kind, NetworkError};
pub use filter::{ListFilter, PruneFilter};
pub use id::Id;
pub use inspect::{Brief, Inspect, ShownContainer, ShownIpam, ShownSubnet, shown_containers};
pub use lookup::find;
pub use moment::Moment;
pub use options::{
    Announcements, BridgeOptions, DirectMode, DirectOptions, GatewayMode, OverlayOptions,
};
pub use overlay::{Segment, number_segments};
pub use parent::is_free_for;
pub(crate) use pools::leads_out;
pub use pools::{Pool, Pools, host_network};
pub use predefined::{
    BRIDGE, BRIDGE_DEVICE, GATEWAY, HOST, NONE, elsewhere, is_predefined, of_new_host,
};
pub use request::{ConfigFrom, CreateRequest, Ipam, SubnetRequest};
pub use scope::{Scope, scope_of};
pub use span::Span;
pub(crate) use span::number;
pub(crate) use subnets::is_host;
pub use vni::Vni;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Its identity; it stays.
    pub id: Id,
    /// Its name, of which there is one on a host, or in the cluster.
    pub name: String,
    /// Who has it.
    #[serde(default)]
    pub scope: Scope,
    /// When it was made.
    pub created: Moment,
    /// What connects its containers.
    pub driver: Driver,
    /// Containers get IPv4 addresses.
    pub ipv4: bool,
    /// Containers get IPv6 addresses.
    pub ipv6: bool,
    /// Where addresses are taken from, IPv4 first.
    pub subnets: Vec<Subnet>,
    /// Nothing leads out of it.
    pub internal: bool,
    /// Kept and shown for those who set it; on one host every network can be attached to.
    pub attachable: bool,
    /// Of the driver, as they were given.
    pub options: BTreeMap<String, String>,
    /// Of the user.
    pub labels: BTreeMap<String, String>,
    /// Of the address management, as they were given.
    pub ipam_options: BTreeMap<String, String>,
    /// The bridge or parent was there before the network: it is neither changed nor removed.
    pub adopted: bool,
}

/// What connects a network's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Nothing: a namespace with `lo` alone.
    Null,
    /// The host's own namespace.
    Host,
    /// A bridge.
    Bridge,
    /// Interfaces with addresses of their own on a parent.
    Macvlan,
    /// Interfaces that share a parent's link-layer address.
    Ipvlan,
    /// Bridges of all hosts, with VXLAN between them.
    Overlay,
}

/// Where a network's addresses are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    /// The whole of it, host bits zero.
    #[serde(with = "text")]
    pub net: IpNetwork,
    /// The part from which addresses are taken unless one is asked for.
    #[serde(with = "text::option")]
    pub ip_range: Option<IpNetwork>,
    /// The way out.
    pub gateway: Option<IpAddr>,
    /// What others have, by name: never given out.
    pub aux: BTreeMap<String, IpAddr>,
    /// What its frames are told by between hosts: on an overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vni>,
}

impl Driver {
    /// Who has networks of it, where nothing else is said.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Overlay => Scope::Global,
            Self::Null | Self::Host | Self::Bridge | Self::Macvlan | Self::Ipvlan => Scope::Local,
        }
    }

    /// Docker's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Host => "host",
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Overlay => "overlay",
        }
    }
}

impl Subnet {
    /// All of a network, of which nothing is known yet.
    fn bare(net: IpNetwork) -> Self {
        Self { net, ip_range: None, gateway: None, aux: BTreeMap::new(), vni: None }
    }
}

impl Network {
    /// Whether it is always there.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        is_predefined(&self.name)
    }

    /// Whether containers are found by name on it: not on Docker's default bridge, and not where containers of
    /// overlays leave the host.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.is_predefined() && self.name != GATEWAY
    }

    /// Whether ports of its containers can be published.
    #[must_use]
    pub fn publishes(&self) -> bool {
        self.driver == Driver::Bridge && !self.internal
    }
}
