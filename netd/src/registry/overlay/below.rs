//! What an overlay needs of the interface between hosts.

use drivers::overlay::{self, Underlay};

use super::{Overlays, lock};
use crate::endpoint::EndpointError;
use crate::network::Network;

/// The least MTU in bytes of a link that carries IPv4 (RFC 791, section 3.2), and IPv6 (RFC 8200, section 5).
const LEAST: [u32; 2] = [68, 1280];

impl Overlays {
    /// Whether a container could be on a network here: asked before anything is made or claimed for it.
    ///
    /// # Errors
    /// [`EndpointError::NoUnderlay`].
    pub(in crate::registry) fn could_stand(&self, network: &Network) -> Result<(), EndpointError> {
        self.mtu(network)?;
        let slot = self.slot(&network.id);
        let stands = lock(&slot).standing.is_some();
        if stands { Ok(()) } else { self.has_underlay(network) }
    }

    /// The largest packet of a container's.
    pub(super) fn mtu(&self, network: &Network) -> Result<u32, EndpointError> {
        let Some(underlay) = self.told().underlay.clone() else {
            let why = self.troubles.underlay();
            let why = why.unwrap_or_else(|| "it has not been looked for yet: try again".to_owned());
            return Err(no_interface(network, &why));
        };
        let wanted = network.overlay(self.has_ipv6)?.and_then(|overlay| overlay.mtu);
        fitting(&underlay, wanted, network).map_err(|why| refused(network, why))
    }

    /// Tunnel ends are made on it. Those that are there already wait for it to come back.
    pub(super) fn has_underlay(&self, network: &Network) -> Result<(), EndpointError> {
        self.troubles.underlay().map_or(Ok(()), |why| Err(no_interface(network, &why)))
    }
}

/// The largest packet in bytes of a network's containers; else why there can be none.
pub(super) fn fitting(
    underlay: &Underlay,
    wanted: Option<u32>,
    network: &Network,
) -> Result<u32, String> {
    let mtu = overlay::mtu(underlay, wanted);
    let [v4, v6] = LEAST;
    let least = if network.ipv6 { v6 } else { v4 };
    if mtu >= least {
        return Ok(mtu);
    }
    let Underlay { link, mtu: own, .. } = underlay;
    Err(format!(
        "interface {link} has an MTU of {own}, which leaves {mtu} bytes for a container's packets, and \
         {least} are needed: raise it by {}",
        least - mtu
    ))
}

fn no_interface(network: &Network, why: &str) -> EndpointError {
    refused(network, format!("this host has no interface to the other hosts: {why}"))
}

fn refused(network: &Network, why: String) -> EndpointError {
    EndpointError::NoUnderlay { network: network.name.clone(), why }
}
