//! What is wrong with a backend, or with a peer for it.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::lease::SubnetKey;

/// Why the configured backend cannot be used. Displays as a sentence with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackend {
    /// flannel has more types, and had others.
    #[error(
        "Backend.Type {0:?} is none that netd has: use vxlan, host-gw, ipip, wireguard, \
         udp, extension or alloc"
    )]
    Kind(String),
    /// A key of the wrong type, or out of range.
    #[error("{what}; write it as in {example}")]
    Key {
        /// What is wrong.
        what: String,
        /// A right one.
        example: &'static str,
    },
    /// Not a VXLAN network identifier.
    #[error("Backend.VNI {0} is out of range: use 1 to 16777215")]
    Vni(u32),
    /// The name of an interface has at most 15 bytes.
    #[error(
        "Backend.VNI {vni} makes the device's name too long: use up to 9999999, or up to 9999 \
         with IPv6"
    )]
    LongName {
        /// The VNI.
        vni: u32,
    },
    /// The devices could not have it, or IPv6 would not work on them.
    #[error(
        "Backend.MTU {mtu} is out of range: use {least} to 65535{}; that of the devices is \
         {overhead} less",
        if *.dual { " with IPv6" } else { "" }
    )]
    Mtu {
        /// As given.
        mtu: u32,
        /// The least that works.
        least: u32,
        /// What encapsulation takes.
        overhead: u32,
        /// With IPv6.
        dual: bool,
    },
    /// The store's text would be a program of root's.
    #[error(
        "Backend.{key} has {sign:?}, which only a shell understands: put it into a script and name \
         that, or let a shell read commands of the store on this host with --extension-shell"
    )]
    NeedsShell {
        /// Which command.
        key: &'static str,
        /// What in it.
        sign: char,
    },
    /// flannel's modes.
    #[error("Backend.Mode {0:?} is none: use separate, auto, ipv4 or ipv6")]
    Mode(String),
    /// There is nothing to send by.
    #[error("Backend.Mode ipv6 needs IPv6 between hosts: set EnableIPv6, or use mode auto")]
    ModeWithoutIpv6,
    /// Both devices would listen on it.
    #[error(
        "Backend.ListenPort and ListenPortV6 are both {0}, and the two devices of mode separate \
         cannot share a port: give them two, or use mode auto"
    )]
    OnePort(u16),
    /// Others could not send to this host directly.
    #[error(
        "backend host-gw cannot work behind address translation: {public} is published and the \
         interface has {own}; leave --public-ip out, or use vxlan"
    )]
    NotBehindNat {
        /// What is published.
        public: IpAddr,
        /// What the interface has.
        own: IpAddr,
    },
}

/// Why a peer cannot be reached by this backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusablePeer {
    /// A cluster of several backends does not connect.
    #[error("its backend is {theirs:?}, and this host's is {ours}")]
    OtherBackend {
        /// What its lease says.
        theirs: String,
        /// What this host has.
        ours: &'static str,
    },
    /// Its lease says too little.
    #[error("its lease has no {0}")]
    Missing(&'static str),
    /// Its lease says something that makes no sense.
    #[error("{what} in {key} of its lease")]
    Data {
        /// Where.
        key: &'static str,
        /// What.
        what: String,
    },
    /// A route to it would lead away what is this host's, the way to the store, or its own tunnel.
    #[error(
        "a route to its subnet would lead {0} away, which is this host's, the store's, a gateway's \
         or its own: release that lease"
    )]
    InTheWay(IpNetwork),
    /// A route to it would lead the tunnel to another host away.
    #[error(
        "a route to its subnet would lead {ip} away, by which the host of {of} is reached: release \
         that lease"
    )]
    HoldsHost {
        /// The address.
        ip: IpAddr,
        /// The lease that publishes it.
        of: SubnetKey,
    },
    /// Another network of this host has its addresses.
    #[error("its subnet is in network {0}, in which this host is, too: release that lease")]
    OtherNetwork(String),
    /// It would be sent to through another host's tunnel.
    #[error("its address {ip} is in the subnet that {of} was given before: release that lease")]
    InSubnet {
        /// The address.
        ip: IpAddr,
        /// The earlier lease.
        of: SubnetKey,
    },
    /// Nobody is reached at it.
    #[error("{key} {ip} of its lease is no host's address")]
    NoHost {
        /// Where.
        key: &'static str,
        /// The address.
        ip: IpAddr,
    },
    /// Nobody else's containers can have these addresses.
    #[error("its subnet has addresses of {0}, which are no containers': release that lease")]
    Special(IpNetwork),
}

impl UnusablePeer {
    /// A word for the kind of reason, as metrics have it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OtherBackend { .. } => "other-backend",
            Self::Missing(_) => "lease-incomplete",
            Self::Data { .. } | Self::NoHost { .. } | Self::Special(_) => "lease-invalid",
            Self::OtherNetwork(_)
            | Self::InTheWay(_)
            | Self::HoldsHost { .. }
            | Self::InSubnet { .. } => "in-the-way",
        }
    }
}
