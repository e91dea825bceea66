//! Addresses fixed by the configuration: nothing is reserved, only checked.
//!
//! Pure. Which source of addresses wins (runtime, `args`, `CNI_ARGS`, configuration) is the
//! plugin's matter; here are the rules for what the winner says.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::address::Family;

/// One address of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address with the prefix length of its subnet.
    pub address: IpNetwork,
    /// Its gateway, if any.
    pub gateway: Option<IpAddr>,
}

/// Why fixed addresses cannot be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaticError {
    /// A gateway of the other family.
    #[error("gateway {gateway} is not of the same address family as address {address}")]
    GatewayFamily {
        /// The gateway.
        gateway: IpAddr,
        /// The address it was given for.
        address: IpNetwork,
    },
    /// The attachment and its gateway would have the same address.
    #[error("address {address} is its own gateway")]
    OwnGateway {
        /// The address.
        address: IpNetwork,
    },
    /// One address twice.
    #[error("address {address} is given twice")]
    Twice {
        /// The address.
        address: IpAddr,
    },
    /// An address that no interface can have.
    #[error("address {address} is {what}, not an address of an interface")]
    NotAnInterfaceAddress {
        /// The address.
        address: IpNetwork,
        /// `unspecified` or `multicast`.
        what: &'static str,
    },
}

/// Gives each address that has no gateway yet the first of `gateways` that lies in its subnet
/// (`CNI_ARGS` `GATEWAY=`). Gateways that fit no address are returned, in order.
pub fn assign_gateways(addresses: &mut [StaticAddress], gateways: &[IpAddr]) -> Vec<IpAddr> {
    let gateways: Vec<IpAddr> = gateways.iter().map(|gateway| gateway.to_canonical()).collect();
    for entry in addresses.iter_mut().filter(|entry| entry.gateway.is_none()) {
        entry.gateway = gateways.iter().copied().find(|gateway| entry.address.contains(*gateway));
    }
    gateways
        .into_iter()
        .filter(|gateway| !addresses.iter().any(|entry| entry.address.contains(*gateway)))
        .collect()
}

/// Checks addresses before they are handed out. A gateway outside of the subnet is allowed: it
/// may be reached by a route of its own.
///
/// # Errors
/// [`StaticError`], for the first address that does not fit.
pub fn check(addresses: &[StaticAddress]) -> Result<(), StaticError> {
    for (index, entry) in addresses.iter().enumerate() {
        let (address, ip) = (entry.address, entry.address.ip());
        if ip.is_unspecified() {
            return Err(StaticError::NotAnInterfaceAddress { address, what: "unspecified" });
        }
        if ip.is_multicast() {
            return Err(StaticError::NotAnInterfaceAddress { address, what: "multicast" });
        }
        if let Some(gateway) = entry.gateway {
            if Family::of(gateway.to_canonical()) != Family::of(ip) {
                return Err(StaticError::GatewayFamily { gateway, address });
            }
            if gateway.to_canonical() == ip {
                return Err(StaticError::OwnGateway { address });
            }
        }
        if addresses.iter().take(index).any(|earlier| earlier.address.ip() == ip) {
            return Err(StaticError::Twice { address: ip });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
