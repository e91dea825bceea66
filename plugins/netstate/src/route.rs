//! Routes and policy rules.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::name::LinkName;

/// The main routing table (`RT_TABLE_MAIN`, `include/uapi/linux/rtnetlink.h`).
pub const TABLE_MAIN: u32 = 254;

/// The metric of an IPv6 route that was given none (`IP6_RT_PRIO_USER`,
/// `include/uapi/linux/ipv6_route.h`). A removal must say it: without one the kernel removes the
/// first route with any metric.
pub const IPV6_METRIC: u32 = 1024;

/// How far a destination is (`enum rt_scope_t`, `include/uapi/linux/rtnetlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteScope {
    /// Anywhere (`RT_SCOPE_UNIVERSE`, 0).
    Universe,
    /// On this link (`RT_SCOPE_LINK`, 253).
    Link,
    /// On this host (`RT_SCOPE_HOST`, 254).
    Host,
    /// Another number.
    Other(u8),
}

impl RouteScope {
    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Universe => 0,
            Self::Link => 253,
            Self::Host => 254,
            Self::Other(n) => n,
        }
    }

    /// From the kernel's number.
    #[must_use]
    pub fn from_number(n: u8) -> Self {
        match n {
            0 => Self::Universe,
            253 => Self::Link,
            254 => Self::Host,
            n => Self::Other(n),
        }
    }
}

/// What becomes of a packet that a route is for (`RTN_*`, `include/uapi/linux/rtnetlink.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// It is sent on.
    Unicast,
    /// It is dropped without a word.
    Blackhole,
    /// It is dropped, and its sender told that there is no way.
    Unreachable,
    /// It is dropped, and its sender told that it is not allowed.
    Prohibit,
}

impl RouteKind {
    /// How `ip route` begins a route that leads nowhere.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Unicast => None,
            Self::Blackhole => Some("blackhole"),
            Self::Unreachable => Some("unreachable"),
            Self::Prohibit => Some("prohibit"),
        }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// What becomes of packets.
    pub kind: RouteKind,
    /// Destination network, host bits zero; `0.0.0.0/0` or `::/0` for the default.
    pub dst: IpNetwork,
    /// Next hop.
    pub via: Option<IpAddr>,
    /// Outgoing link.
    pub dev: Option<LinkName>,
    /// Preferred source address.
    pub src: Option<IpAddr>,
    /// Table number; [`TABLE_MAIN`] as a rule.
    pub table: u32,
    /// Who made it (`RTPROT_*`); 4 is "static".
    pub protocol: u8,
    /// Scope; IPv6 routes have only [`RouteScope::Universe`].
    pub scope: RouteScope,
    /// Priority; lower wins; `None` is the kernel's default (0, or 1024 for IPv6).
    pub metric: Option<u32>,
    /// Path MTU in bytes (`RTAX_MTU`).
    pub mtu: Option<u32>,
    /// Advertised TCP segment size in bytes (`RTAX_ADVMSS`).
    pub advmss: Option<u32>,
    /// The next hop is on the link though no address says so.
    pub onlink: bool,
}

impl Route {
    /// A route in the main table with nothing special about it.
    #[must_use]
    pub fn new(dst: IpNetwork, dev: LinkName) -> Self {
        Self { dev: Some(dev), ..Self::to(RouteKind::Unicast, dst) }
    }

    /// A route in the main table that drops.
    #[must_use]
    pub fn blackhole(dst: IpNetwork) -> Self {
        Self::to(RouteKind::Blackhole, dst)
    }

    fn to(kind: RouteKind, dst: IpNetwork) -> Self {
        Self {
            kind,
            dst,
            via: None,
            dev: None,
            src: None,
            table: TABLE_MAIN,
            protocol: 4,
            scope: RouteScope::Universe,
            metric: None,
            mtu: None,
            advmss: None,
            onlink: false,
        }
    }
}

/// A policy routing rule (`ip rule`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Order; lower is looked at first.
    pub priority: u32,
    /// Source network to match.
    pub from: Option<IpNetwork>,
    /// Destination network to match.
    pub to: Option<IpNetwork>,
    /// Table looked up.
    pub table: u32,
}
