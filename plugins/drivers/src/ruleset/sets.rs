//! The sets of the tables: what they are for, their names and types.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use netstate::nft::{DataType, Family, Field, Set, SetId};

use super::{bridge_id, inet_id};

/// The network layer protocols; each has sets of its own, as keys differ in length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ip {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Ip {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The protocol of an address.
    #[must_use]
    pub fn of(ip: std::net::IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }

    pub(super) fn addr(self) -> DataType {
        match self {
            Self::V4 => DataType::Ipv4Addr,
            Self::V6 => DataType::Ipv6Addr,
        }
    }

    pub(crate) fn saddr(self) -> Field {
        match self {
            Self::V4 => Field::IpSaddr,
            Self::V6 => Field::Ip6Saddr,
        }
    }

    pub(crate) fn daddr(self) -> Field {
        match self {
            Self::V4 => Field::IpDaddr,
            Self::V6 => Field::Ip6Daddr,
        }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::V4 => Family::Ip,
            Self::V6 => Family::Ip6,
        }
    }
}

/// The sets of `inet netd` that exist once for each protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// (source, gateway link) masqueraded when it leaves by another link.
    Masquerade,
    /// Map from (source, gateway link) to the address that it leaves with, of those that are masqueraded.
    Snat,
    /// Map from (address, protocol, port) of this host to a container's (address, port).
    DnatHost,
    /// Map from (protocol, port) on any address of this host to a container's (address, port).
    DnatAny,
    /// Published (address, protocol, port) of containers.
    Published,
    /// (address, gateway link) of containers whose published ports are masqueraded for flows from the link
    /// itself and from this host's loopback.
    Own,
    /// (address, protocol, port) whose flows are all masqueraded.
    MasqAll,
    /// Addresses that other bridges must not reach.
    Guarded,
    /// (guarded address, link) from which it may be reached all the same.
    Allowed,
    /// Guarded addresses that nothing else reaches, not from outside either.
    Closed,
    /// (address, protocol, port) of guarded addresses that everybody reaches.
    Opened,
    /// Guarded addresses of which everybody may ask for an echo.
    Pinged,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Masquerade => "masq",
            Self::DnatHost => "dnat_host",
            Self::DnatAny => "dnat_any",
            Self::Published => "published",
            Self::Own => "own",
            Self::MasqAll => "masqall",
            Self::Guarded => "guarded",
            Self::Allowed => "allowed",
            Self::Snat => "snat",
            Self::Closed => "closed",
            Self::Opened => "opened",
            Self::Pinged => "pinged",
        }
    }

    fn types(self, ip: Ip) -> (Vec<DataType>, Vec<DataType>) {
        let addr = ip.addr();
        let endpoint = || vec![addr, DataType::InetProto, DataType::InetService];
        let target = || vec![addr, DataType::InetService];
        match self {
            Self::Masquerade | Self::Own | Self::Allowed => (vec![addr, DataType::Ifname], vec![]),
            Self::DnatHost => (endpoint(), target()),
            Self::DnatAny => (vec![DataType::InetProto, DataType::InetService], target()),
            Self::Snat => (vec![addr, DataType::Ifname], vec![addr]),
            Self::Published | Self::MasqAll | Self::Opened => (endpoint(), vec![]),
            Self::Guarded | Self::Closed | Self::Pinged => (vec![addr], vec![]),
        }
    }
}

pub(super) const PURPOSES: [Purpose; 12] = [
    Purpose::Masquerade,
    Purpose::DnatHost,
    Purpose::DnatAny,
    Purpose::Published,
    Purpose::Own,
    Purpose::MasqAll,
    Purpose::Guarded,
    Purpose::Allowed,
    Purpose::Snat,
    Purpose::Closed,
    Purpose::Opened,
    Purpose::Pinged,
];

/// The set of `inet netd` for a purpose and protocol.
#[must_use]
pub fn set(purpose: Purpose, ip: Ip) -> SetId {
    // Many elements are of few sets: their names are made once.
    static IDS: LazyLock<BTreeMap<(Purpose, Ip), SetId>> = LazyLock::new(|| {
        let all = PURPOSES.iter().flat_map(|purpose| Ip::BOTH.map(|ip| (*purpose, ip)));
        all.map(|(purpose, ip)| ((purpose, ip), named(purpose, ip, ""))).collect()
    });
    IDS.get(&(purpose, ip)).cloned().unwrap_or_else(|| named(purpose, ip, ""))
}

/// Like [`set`], for the port maps of a class of conditions (see [`crate::ports`]).
#[must_use]
pub fn class_set(purpose: Purpose, ip: Ip, class: &str) -> SetId {
    if class.is_empty() { set(purpose, ip) } else { named(purpose, ip, class) }
}

fn named(purpose: Purpose, ip: Ip, class: &str) -> SetId {
    SetId::new(&inet_id(), &set_name(purpose, ip, class))
}

/// What a set of `inet netd` is for; `None` for those of the administrator, who may have some there
/// for chain `user`.
#[must_use]
pub fn purpose(set: &SetId) -> Option<Purpose> {
    let is_class = |class: &str| {
        class.len() == 13 && class.starts_with('_') && class.bytes().skip(1).all(is_hex)
    };
    let is_for = |purpose: &Purpose| {
        Ip::BOTH.iter().any(|ip| {
            let rest = set.name.strip_prefix(&set_name(*purpose, *ip, ""));
            let maps_ports = matches!(purpose, Purpose::DnatHost | Purpose::DnatAny);
            rest.is_some_and(|class| class.is_empty() || (maps_ports && is_class(class)))
        })
    };
    PURPOSES.into_iter().find(|purpose| set.table == inet_id() && is_for(purpose))
}

/// Whether it is a set of an older schema that this one has not: records of its time name its elements.
#[must_use]
pub fn is_retired(set: &SetId) -> bool {
    set.table == inet_id() && ["hairpin4", "hairpin6"].contains(&&*set.name)
}

/// The set of bridges between which guarded addresses are unreachable.
#[must_use]
pub fn bridges() -> SetId {
    SetId::new(&inet_id(), "bridges")
}

/// The set of bridges that nothing leaves and nothing enters.
#[must_use]
pub fn internal() -> SetId {
    SetId::new(&inet_id(), "internal")
}

/// (link, link): what stays on such a bridge.
#[must_use]
pub fn inside() -> SetId {
    SetId::new(&inet_id(), "inside")
}

/// The set of numbers (VNIs) of networks whose frames come from known hosts alone.
#[must_use]
pub fn closed() -> SetId {
    SetId::new(&inet_id(), "closed_vnis")
}

/// The set of numbers (VNIs) of networks whose frames come and go by the device that encrypts, and by no other.
#[must_use]
pub fn sealed() -> SetId {
    SetId::new(&inet_id(), "sealed_vnis")
}

/// The set of (address of a host, VNI) whose frames are let in.
#[must_use]
pub fn known(ip: Ip) -> SetId {
    SetId::new(&inet_id(), &format!("vteps{}", ip.digit()))
}

/// The sets of `bridge netd`: checked ports, and the (port, source address) pairs they may send.
#[must_use]
pub fn spoofing_sets() -> (SetId, SetId) {
    let table = bridge_id();
    (SetId::new(&table, "checked"), SetId::new(&table, "genuine"))
}

/// The declaration of a set of `inet netd`.
#[must_use]
pub fn declare(purpose: Purpose, ip: Ip, class: &str) -> Set {
    let (key, data) = purpose.types(ip);
    Set { name: set_name(purpose, ip, class), key, data }
}

pub(super) fn set_name(purpose: Purpose, ip: Ip, class: &str) -> String {
    format!("{}{}{class}", purpose.name(), ip.digit())
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}
