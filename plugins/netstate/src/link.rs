//! Links (network interfaces) and what can be changed about them.

use std::net::{IpAddr, Ipv4Addr};

use crate::ipvlan::IpVlan;
use crate::name::{LinkName, Mac, Ns};
use crate::tunnel::{Ipip, Vxlan};
use crate::wireguard::{Secret, WireGuard};

/// A network interface. In a desired state `None` means "whatever the kernel gives".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name, unique in its namespace.
    pub name: LinkName,
    /// What it is.
    pub kind: LinkKind,
    /// Largest IP packet in bytes, without the Ethernet header.
    pub mtu: Option<u32>,
    /// Link-layer address.
    pub mac: Option<Mac>,
    /// The bridge it is a port of, in the same namespace.
    pub master: Option<LinkName>,
    /// `IFF_UP`: administratively up.
    pub up: bool,
    /// `IFF_PROMISC` asked for by an administrator.
    pub promisc: bool,
    /// `ifalias`: who owns it, at most 255 bytes.
    pub alias: Option<String>,
    /// Flags of a bridge port; only with a master.
    pub port: Option<BridgePort>,
}

impl Link {
    /// A link that is up, with everything else left to the kernel.
    #[must_use]
    pub fn new(name: LinkName, kind: LinkKind) -> Self {
        Self {
            name,
            kind,
            mtu: None,
            mac: None,
            master: None,
            up: true,
            promisc: false,
            alias: None,
            port: None,
        }
    }
}

/// A link by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkRef {
    /// The namespace.
    pub ns: Ns,
    /// The name in it.
    pub name: LinkName,
}

/// The kinds of link this project makes or meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// `lo`.
    Loopback,
    /// A bridge; `vlan_filtering` is only sent where it is `Some` (kernels without
    /// `CONFIG_BRIDGE_VLAN_FILTERING` refuse the attribute, even when off).
    Bridge {
        /// Whether frames are sorted by VLAN.
        vlan_filtering: Option<bool>,
    },
    /// One end of a veth pair.
    Veth {
        /// The other end.
        peer: LinkRef,
    },
    /// A macvlan on a parent, which may be in another namespace.
    MacVlan {
        /// The link that sends for it.
        parent: LinkRef,
        /// Who may talk to whom.
        mode: MacVlanMode,
        /// `IFLA_MACVLAN_BC_QUEUE_LEN`: frames queued for broadcast.
        bc_queue_len: Option<u32>,
    },
    /// An ipvlan on a parent, whose link-layer address it shares.
    IpVlan(IpVlan),
    /// The part of a link's frames that has an 802.1Q tag.
    Vlan {
        /// The link, in the same namespace.
        parent: LinkRef,
        /// The VLAN, 1 to 4094.
        id: u16,
    },
    /// A VXLAN tunnel end.
    Vxlan(Vxlan),
    /// The end of a tunnel of IPv4 in IPv4.
    Ipip(Ipip),
    /// A WireGuard tunnel end.
    WireGuard(WireGuard),
    /// Something else, by the kernel's word for it (`dummy`, `vlan`; empty for a physical device).
    Other(String),
}

impl LinkKind {
    /// The far end, if it is a veth.
    #[must_use]
    pub fn peer(&self) -> Option<&LinkRef> {
        if let Self::Veth { peer } = self { Some(peer) } else { None }
    }

    /// The link it is on and cannot be without, if it has one.
    #[must_use]
    pub fn parent(&self) -> Option<&LinkRef> {
        match self {
            Self::Vxlan(vxlan) => vxlan.parent.as_ref(),
            Self::MacVlan { .. }
            | Self::IpVlan(_)
            | Self::Vlan { .. }
            | Self::Loopback
            | Self::Bridge { .. }
            | Self::Veth { .. }
            | Self::Ipip(_)
            | Self::WireGuard(_)
            | Self::Other(_) => self.lower(),
        }
    }

    /// The link whose frames it shares (`IFLA_LINK`), if it is a macvlan, an ipvlan or a VLAN.
    #[must_use]
    pub fn lower(&self) -> Option<&LinkRef> {
        match self {
            Self::MacVlan { parent, .. } | Self::Vlan { parent, .. } => Some(parent),
            Self::IpVlan(ipvlan) => Some(&ipvlan.parent),
            Self::Loopback
            | Self::Bridge { .. }
            | Self::Veth { .. }
            | Self::Vxlan(_)
            | Self::Ipip(_)
            | Self::WireGuard(_)
            | Self::Other(_) => None,
        }
    }

    /// Whether it takes all that comes in on its parent (`netdev_rx_handler_register()`), which is
    /// neither a bridge's port nor another kind's parent then.
    #[must_use]
    pub fn takes_parent(&self) -> bool {
        matches!(self, Self::MacVlan { .. } | Self::IpVlan(_))
    }

    /// Whether links of this kind are made and removed, and do not come with the namespace or the
    /// hardware.
    #[must_use]
    pub fn is_made(&self) -> bool {
        match self {
            Self::Loopback => false,
            Self::Other(kind) => !kind.is_empty(),
            Self::Bridge { .. }
            | Self::Veth { .. }
            | Self::MacVlan { .. }
            | Self::IpVlan(_)
            | Self::Vlan { .. }
            | Self::Vxlan(_)
            | Self::Ipip(_)
            | Self::WireGuard(_) => true,
        }
    }

    /// Whether frames have link-layer addresses, so that the link has one and can be a port.
    #[must_use]
    pub fn is_ethernet(&self) -> bool {
        !matches!(self, Self::Ipip(_) | Self::WireGuard(_))
    }

    /// Whether it is the end of a tunnel between hosts.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        matches!(self, Self::Vxlan(_) | Self::Ipip(_) | Self::WireGuard(_))
    }
}

/// Macvlan modes (`include/uapi/linux/if_link.h`, `enum macvlan_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MacVlanMode {
    /// Siblings cannot talk.
    Private,
    /// Siblings talk through the switch outside.
    Vepa,
    /// Siblings talk directly.
    Bridge,
    /// One macvlan takes the parent over.
    Passthru,
}

/// Flags of a bridge port (`IFLA_BRPORT_*`); `None` leaves the kernel's default, off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// A frame may go back out of the port it came from.
    pub hairpin: Option<bool>,
    /// No frames between isolated ports.
    pub isolated: Option<bool>,
    /// VLANs of the port (bridges with `vlan_filtering` only).
    pub vlans: Option<Vec<VlanRange>>,
}

impl BridgePort {
    /// A port as the kernel makes it: all flags off, and in VLAN 1 as `default_pvid` is 1
    /// (`nbp_vlan_init()`, `net/bridge/br_vlan.c`).
    #[must_use]
    pub fn as_born() -> Self {
        let vlan = VlanRange { first: 1, last: 1, pvid: true, untagged: true };
        Self { hairpin: Some(false), isolated: Some(false), vlans: Some(vec![vlan]) }
    }
}

/// A range of VLAN ids of a bridge port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanRange {
    /// First id, 1 to 4094.
    pub first: u16,
    /// Last id, not below `first`.
    pub last: u16,
    /// Untagged frames that come in get this id; only for a single id.
    pub pvid: bool,
    /// Frames go out without a tag.
    pub untagged: bool,
}

/// The far end of a veth pair, as born with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInit {
    /// Its name and the namespace it is born in.
    pub link: LinkRef,
    /// Its address, or one chosen by the kernel.
    pub mac: Option<Mac>,
    /// Its MTU, or the kernel's default.
    pub mtu: Option<u32>,
}

/// One change to a link that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkChange {
    /// Up or down.
    Up(bool),
    /// MTU in bytes.
    Mtu(u32),
    /// Link-layer address.
    Mac(Mac),
    /// Port of this bridge, or of none.
    Master(Option<LinkName>),
    /// Promiscuous mode.
    Promisc(bool),
    /// `ifalias`; empty removes it.
    Alias(String),
    /// Hairpin flag of a bridge port.
    Hairpin(bool),
    /// Isolated flag of a bridge port.
    Isolated(bool),
    /// Source address of a VXLAN tunnel end's outer packets.
    Local(IpAddr),
    /// The link by which a VXLAN tunnel end sends, in the namespace of the one before.
    Parent(LinkRef),
    /// Whether a VXLAN tunnel end learns.
    Learning(bool),
    /// Whether a VXLAN tunnel end leaves checksums to what sends its outer packets.
    TxChecksum(bool),
    /// Source address of an IPIP tunnel end's outer packets.
    Source(Ipv4Addr),
    /// UDP port of a WireGuard tunnel end.
    ListenPort(u16),
    /// Private key of a WireGuard tunnel end.
    PrivateKey(Secret),
    /// VLAN filtering of a bridge.
    VlanFiltering(bool),
    /// Adds VLAN ids to a bridge port.
    AddVlan(VlanRange),
    /// Removes VLAN ids from a bridge port.
    DelVlan(VlanRange),
}
