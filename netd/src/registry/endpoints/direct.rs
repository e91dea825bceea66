//! Containers that are on a parent directly.

use kernel::Kernel;
use netstate::{Mac, NetState, Ns};

use super::repair::{on_host, put};
use super::{Endpoints, with_host};
use crate::endpoint::{Endpoint, EndpointError, Parts, Wanted};
use crate::network::{Direct, DirectMode, Network, Scope};

/// What is below a network without a bridge.
pub(super) struct Below {
    mode: DirectMode,
    /// The parent's.
    mac: Option<Mac>,
}

impl Endpoints {
    /// Looks at the parent of a network that has one.
    ///
    /// # Errors
    /// [`EndpointError::NoParent`], [`EndpointError::Mtu`].
    pub(super) fn below(&self, network: &Network) -> Result<Option<Below>, EndpointError> {
        let Some(Direct { options, parent, .. }) = Direct::of(network)? else { return Ok(None) };
        let there = with_host(|host| host.link_by_name(&Ns::Host, &parent))?;
        let Some(there) = there.map(|there| there.link) else {
            let remedy = match network.scope {
                Scope::Local => "bring it back, or remove the network",
                Scope::Global => "make it, or run the container on a host that has it",
            };
            let (network, parent) = (network.name.clone(), parent.to_string());
            return Err(EndpointError::NoParent { network, parent, remedy });
        };
        let (mtu, most) = (options.mtu.unwrap_or(0), there.mtu.unwrap_or(u32::MAX));
        if mtu > most {
            let (network, parent) = (network.name.clone(), parent.to_string());
            return Err(EndpointError::Mtu { network, mtu, parent, most });
        }
        Ok(Some(Below { mode: options.mode, mac: there.mac }))
    }

    /// Puts back the host's routes to a container beside it, which go with the link that they lead over.
    pub(super) fn put_routes(
        &self,
        host: &mut Kernel,
        endpoint: &Endpoint,
        parts: &Parts,
    ) -> Result<Vec<String>, String> {
        let there = parts.links.0.ns(&Ns::Host);
        let routes = there.map(|there| there.routes.clone()).unwrap_or_default();
        if routes.is_empty() {
            return Ok(Vec::new());
        }
        let done = put(host, on_host(NetState { routes, ..NetState::default() }));
        match done {
            Err(_) if !self.index().stands(endpoint) => Ok(Vec::new()),
            done => done,
        }
    }
}

impl Below {
    /// The link-layer address of a container that wants this one.
    ///
    /// # Errors
    /// [`EndpointError::NoMac`] where all have the parent's.
    pub(super) fn mac(
        &self,
        network: &Network,
        wanted: &Wanted,
    ) -> Result<Option<Mac>, EndpointError> {
        match wanted.mac {
            _ if self.mode.has_mac() => Ok(wanted.mac),
            None => Ok(self.mac),
            Some(mac) => Err(EndpointError::NoMac { mac, network: network.name.clone() }),
        }
    }

    /// A parent is taken over by one container.
    ///
    /// # Errors
    /// [`EndpointError::TakenOver`], with who has it.
    pub(super) fn has_room(
        &self,
        network: &Network,
        there: &[std::sync::Arc<Endpoint>],
    ) -> Result<(), EndpointError> {
        match there.first().filter(|_| self.mode.takes_over()) {
            None => Ok(()),
            Some(other) => Err(EndpointError::TakenOver {
                network: network.name.clone(),
                container: other.container.clone(),
            }),
        }
    }
}
