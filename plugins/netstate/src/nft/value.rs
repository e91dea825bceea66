//! Types and values of set keys and map data.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::quoted;
use crate::name::{LinkName, Mac};

/// Types of keys and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataType {
    /// IPv4 address.
    Ipv4Addr,
    /// IPv6 address.
    Ipv6Addr,
    /// Link-layer address.
    EtherAddr,
    /// Transport protocol number.
    InetProto,
    /// Port.
    InetService,
    /// Interface name.
    Ifname,
    /// VXLAN network identifier (RFC 7348, section 5): 24 bits, for which `nft` has no word.
    Vni,
}

/// A value of one of the [`DataType`]s.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// IPv4 address.
    Ipv4(Ipv4Addr),
    /// IPv6 address.
    Ipv6(Ipv6Addr),
    /// Link-layer address.
    Mac(Mac),
    /// Transport protocol number.
    Proto(u8),
    /// Port.
    Port(u16),
    /// Interface name.
    Ifname(LinkName),
    /// VXLAN network identifier, below 2^24.
    Vni(u32),
}

impl Value {
    /// The value's type.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Ipv4(_) => DataType::Ipv4Addr,
            Self::Ipv6(_) => DataType::Ipv6Addr,
            Self::Mac(_) => DataType::EtherAddr,
            Self::Proto(_) => DataType::InetProto,
            Self::Port(_) => DataType::InetService,
            Self::Ifname(_) => DataType::Ifname,
            Self::Vni(_) => DataType::Vni,
        }
    }
}

impl From<std::net::IpAddr> for Value {
    fn from(ip: std::net::IpAddr) -> Self {
        match ip {
            std::net::IpAddr::V4(ip) => Self::Ipv4(ip),
            std::net::IpAddr::V6(ip) => Self::Ipv6(ip),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::EtherAddr => "ether_addr",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::Ifname => "ifname",
            Self::Vni => "integer",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(ip) => write!(f, "{ip}"),
            Self::Ipv6(ip) => write!(f, "{ip}"),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Proto(6) => f.write_str("tcp"),
            Self::Proto(17) => f.write_str("udp"),
            Self::Proto(132) => f.write_str("sctp"),
            Self::Proto(n) => write!(f, "{n}"),
            Self::Port(n) => write!(f, "{n}"),
            Self::Vni(n) => write!(f, "{n:#x}"),
            // A star at the end would match any name that starts so.
            Self::Ifname(name) => match name.as_str().strip_suffix('*') {
                Some(start) => f.write_str(&quoted(&format!("{start}\\*"))),
                None => f.write_str(&quoted(name.as_str())),
            },
        }
    }
}
