//! Links that share the link-layer address of a parent.

use crate::link::LinkRef;

/// An ipvlan. Mode and flag are those of all ipvlans on a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpVlan {
    /// The link that sends for it.
    pub parent: LinkRef,
    /// Where it begins to route.
    pub mode: IpVlanMode,
    /// Who may talk to whom.
    pub flag: IpVlanFlag,
}

/// Ipvlan modes (`include/uapi/linux/if_link.h`, `enum ipvlan_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpVlanMode {
    /// Frames are switched: ARP, broadcasts and multicasts arrive.
    L2,
    /// Packets are routed by the parent's namespace as they leave.
    L3,
    /// The same, and its netfilter sees them on both ways.
    L3s,
}

/// Who of an ipvlan's siblings may talk (`IPVLAN_F_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpVlanFlag {
    /// Directly.
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch outside.
    Vepa,
}

impl IpVlanMode {
    /// iproute2's word, which is Docker's too.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        }
    }
}

impl IpVlanFlag {
    /// iproute2's word, which is Docker's too.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
        }
    }
}
