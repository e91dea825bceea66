//! Addresses, neighbours and forwarding entries, each on a link.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::name::{LinkName, Mac};

/// An address of a link. IPv6 addresses are made with `nodad`: whoever allocates the address
/// knows that nobody else has it (RFC 4862, section 5.4, is for hosts that do not).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Addr {
    /// The link.
    pub link: LinkName,
    /// Address and prefix length; host bits are kept.
    pub net: IpNetwork,
    /// Duplicate address detection is left on (IPv6 only).
    pub dad: bool,
}

impl Addr {
    /// An address without duplicate address detection.
    #[must_use]
    pub fn new(link: LinkName, net: IpNetwork) -> Self {
        Self { link, net, dad: false }
    }
}

/// A permanent neighbour (ARP or NDP) entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neigh {
    /// The link.
    pub link: LinkName,
    /// The neighbour's address.
    pub ip: IpAddr,
    /// Where it is.
    pub mac: Mac,
}

/// A permanent forwarding entry of a VXLAN link: frames for `mac` go to `dst`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fdb {
    /// The VXLAN link.
    pub link: LinkName,
    /// The inner destination; all zero is the default entry.
    pub mac: Mac,
    /// The outer destination.
    pub dst: IpAddr,
}

impl Fdb {
    /// Whether it is one of the default entries: of those there may be several, and frames go to
    /// each.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.mac.0 == [0; 6]
    }
}
