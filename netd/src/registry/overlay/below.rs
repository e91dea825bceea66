//! What an overlay needs of the interface between hosts.

use std::net::Ipv6Addr;

use drivers::overlay::{self, Underlay};
use drivers::ruleset::Ip;
use drivers::{encryption, vxlan};

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
        if stands { Ok(()) } else { self.could_begin(network) }
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

    /// Tunnel ends are made on the interface. Those that are there already wait for it to come back. What encrypts is
    /// asked of the kernel: a refusal is told as long as it is right, or the network is there.
    pub(super) fn could_begin(&self, network: &Network) -> Result<(), EndpointError> {
        if let Some(why) = self.troubles.underlay() {
            return Err(no_interface(network, &why));
        }
        if !network.is_encrypted() {
            return Ok(());
        }
        let could = self.encryption.could();
        self.troubles.put_refused(network, could.as_ref().err());
        could.map_err(|why| refused(network, why))
    }
}

/// The largest packet in bytes of a network's containers; else why there can be none.
pub(super) fn fitting(
    underlay: &Underlay,
    wanted: Option<u32>,
    network: &Network,
) -> Result<u32, String> {
    let most = most(underlay, network);
    let mtu = wanted.map_or(most, |wanted| wanted.min(most));
    let [v4, v6] = LEAST;
    let mut least = if network.ipv6 { v6 } else { v4 };
    if mtu >= least && (most >= least_encrypted() || !network.is_encrypted()) {
        return Ok(mtu);
    }
    if network.is_encrypted() {
        least = least.max(least_encrypted());
    }
    let Underlay { link, mtu: own, .. } = underlay;
    Err(format!(
        "interface {link} has an MTU of {own}, which leaves {most} bytes for a container's packets, and \
         {least} are needed: raise it by {}",
        least.saturating_sub(most)
    ))
}

/// The largest packet in bytes that a container of a network can send through the interface between hosts.
pub(super) fn most(underlay: &Underlay, network: &Network) -> u32 {
    if network.is_encrypted() {
        // Whatever the address is, it is one of IPv6.
        return overlay::mtu(&encryption::inner(underlay, Ipv6Addr::UNSPECIFIED), None);
    }
    overlay::mtu(underlay, None)
}

/// What WireGuard's device carries is IPv6.
fn least_encrypted() -> u32 {
    encryption::LEAST_MTU.saturating_sub(vxlan::overhead(Ip::V6))
}

fn no_interface(network: &Network, why: &str) -> EndpointError {
    refused(network, format!("this host has no interface to the other hosts: {why}"))
}

fn refused(network: &Network, why: String) -> EndpointError {
    EndpointError::NoUnderlay { network: network.name.clone(), why }
}
