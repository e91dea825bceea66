//! Where to listen. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use kernel::Netns;
use netstate::LinkName;

use super::Network;

/// A network, at each place.
pub(super) type Places = BTreeMap<Place, Whose>;

/// The namespaces of networks that have one of their own, by the network's id.
pub(super) type Grounds = BTreeMap<Arc<str>, Ground>;

/// Where to listen: a bridge, and an address of this host on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The network in whose namespace it is; in the host's without one. Several may have one address, each
    /// on a bridge of one name.
    pub(super) ground: Option<Arc<str>>,
    pub(super) device: LinkName,
    pub(super) ip: IpAddr,
}

/// Whose place it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    /// The namespace that it is in, if not the host's.
    pub(super) ground: Option<Ground>,
}

/// A namespace: the same as another by what it is, not by who has opened it.
#[derive(Debug, Clone)]
pub(super) struct Ground(Netns);

impl Ground {
    pub(super) fn of(netns: &Netns) -> Self {
        Self(netns.clone())
    }

    pub(super) fn netns(&self) -> &Netns {
        &self.0
    }
}

impl PartialEq for Ground {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0).unwrap_or(false)
    }
}

impl Eq for Ground {}

/// The places of networks: of those with a namespace of their own, as long as that is there.
pub(super) fn places<'a>(networks: impl Iterator<Item = &'a Network>, grounds: &Grounds) -> Places {
    let mut places = Places::new();
    for network in networks {
        let id: Arc<str> = network.id.as_str().into();
        let ground = grounds.get(&id).filter(|_| network.apart);
        if network.apart && ground.is_none() {
            continue;
        }
        let of = ground.map(|_| Arc::clone(&id));
        let whose = Whose { id, name: network.name.as_str().into(), ground: ground.cloned() };
        places.extend(network.gateways.iter().map(|gateway| {
            let (ground, device, ip) = (of.clone(), gateway.device.clone(), gateway.ip);
            (Place { ground, device, ip }, whose.clone())
        }));
    }
    places
}
