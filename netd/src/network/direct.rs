//! Networks of drivers `macvlan` and `ipvlan`: their containers are on a parent directly, with no bridge
//! between.

use drivers::bridge::Standing;
use ipnetwork::IpNetwork;
use netstate::{IpVlan, LinkKind, LinkName, LinkRef, NameError, Ns};

use super::device::{alias, mac};
use super::options::{DirectMode, DirectOptions};
use super::{Driver, Network, NetworkError, parent};

/// The name of the auxiliary address that is the host's on a network with `host_access`.
pub const HOST_ADDRESS: &str = "host";

/// What the alias of a sub-interface that netd has made begins with. Several networks may be on one, so
/// that no network is named.
pub(super) const SUB_INTERFACE: &str = "netd:network:parent";

/// What containers of such a network are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// Of the driver.
    pub options: DirectOptions,
    /// The link that all others are on.
    pub parent: LinkName,
    /// The host's own link beside those of containers, where it reaches them.
    pub host_link: Option<LinkName>,
}

impl Direct {
    /// Of a network that has such a driver.
    ///
    /// # Errors
    /// [`NetworkError`], of options that no network has that was made by netd.
    pub fn of(network: &Network) -> Result<Option<Self>, NetworkError> {
        // Docker's names of the dummies.
        let prefix = match network.driver {
            Driver::Macvlan => "dm",
            Driver::Ipvlan => "di",
            Driver::Bridge | Driver::Overlay | Driver::Null | Driver::Host => return Ok(None),
        };
        let options = DirectOptions::read(network.driver, &network.options)?;
        let named = |prefix: &str| LinkName::new(format!("{prefix}-{}", network.id.short()));
        let parent = match options.parent.clone().filter(|_| !network.internal) {
            Some(parent) => parent,
            None => named(prefix).map_err(|e| unnamed(&e))?,
        };
        let host_link = options.host_access.then(|| named("nh")).transpose();
        let host_link = host_link.map_err(|e| unnamed(&e))?;
        Ok(Some(Self { options, parent, host_link }))
    }

    /// What a link on the parent is.
    #[must_use]
    pub fn kind(&self) -> LinkKind {
        let parent = LinkRef { ns: Ns::Host, name: self.parent.clone() };
        match self.options.mode {
            DirectMode::MacVlan(mode) => LinkKind::MacVlan { parent, mode, bc_queue_len: None },
            DirectMode::IpVlan(mode, flag) => LinkKind::IpVlan(IpVlan { parent, mode, flag }),
        }
    }

    /// What the host has of the network, the parent first: nothing, where the parent is somebody else's
    /// and the host does not reach the containers.
    pub(super) fn standings(&self, network: &Network) -> Vec<Standing> {
        let below = self.below(network);
        let host = self.host_link.clone().map(|name| Standing {
            name,
            kind: self.kind(),
            alias: alias(&network.id),
            // Not that of a dummy below.
            mac: self.options.mode.has_mac().then(|| mac(&network.id, 12)),
            mtu: self.options.mtu,
            gateways: host_addresses(network).collect(),
            apart: Vec::new(),
        });
        below.into_iter().chain(host).collect()
    }

    /// The parent, where netd makes it.
    fn below(&self, network: &Network) -> Option<Standing> {
        let mut standing = Standing {
            name: self.parent.clone(),
            kind: LinkKind::Other("dummy".to_owned()),
            alias: alias(&network.id),
            mac: Some(mac(&network.id, 6)),
            mtu: self.options.mtu,
            gateways: Vec::new(),
            apart: Vec::new(),
        };
        if !network.internal && self.options.parent.is_some() {
            let (lower, id) = parent::vlan(&self.parent).filter(|_| !network.adopted)?;
            let parent = LinkRef { ns: Ns::Host, name: lower };
            standing.kind = LinkKind::Vlan { parent, id };
            standing.alias = SUB_INTERFACE.to_owned();
            (standing.mac, standing.mtu) = (None, None);
        }
        Some(standing)
    }
}

/// The host's own addresses beside those of containers.
fn host_addresses(network: &Network) -> impl Iterator<Item = IpNetwork> {
    let subnets = network.subnets.iter();
    subnets.filter_map(|subnet| subnet.aux.get(HOST_ADDRESS)).map(|ip| IpNetwork::from(*ip))
}

fn unnamed(error: &NameError) -> NetworkError {
    NetworkError::Host { action: "name a link".to_owned(), why: error.to_string() }
}
