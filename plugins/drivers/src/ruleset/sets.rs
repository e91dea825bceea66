//! The sets of the tables: what they are for, their names and types.

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

    fn addr(self) -> DataType {
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
    /// Map from (address, protocol, port) of this host to a container's (address, port).
    DnatHost,
    /// Map from (protocol, port) on any address of this host to a container's (address, port).
    DnatAny,
    /// Published (address, protocol, port) of containers.
    Published,
    /// (address, protocol, port, gateway link) whose flows from the link itself and from this
    /// host's loopback are masqueraded.
    Hairpin,
    /// (address, gateway link) of containers that may reach themselves by a published port.
    Own,
    /// (address, protocol, port) whose flows are all masqueraded.
    MasqAll,
    /// Addresses that other bridges must not reach.
    Guarded,
    /// (guarded address, link) from which it may be reached all the same.
    Allowed,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Masquerade => "masq",
            Self::DnatHost => "dnat_host",
            Self::DnatAny => "dnat_any",
            Self::Published => "published",
            Self::Hairpin => "hairpin",
            Self::Own => "own",
            Self::MasqAll => "masqall",
            Self::Guarded => "guarded",
            Self::Allowed => "allowed",
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
            Self::Published | Self::MasqAll => (endpoint(), vec![]),
            Self::Hairpin => {
                let mut key = endpoint();
                key.push(DataType::Ifname);
                (key, vec![])
            }
            Self::Guarded => (vec![addr], vec![]),
        }
    }
}

pub(super) const PURPOSES: [Purpose; 9] = [
    Purpose::Masquerade,
    Purpose::DnatHost,
    Purpose::DnatAny,
    Purpose::Published,
    Purpose::Hairpin,
    Purpose::Own,
    Purpose::MasqAll,
    Purpose::Guarded,
    Purpose::Allowed,
];

/// The set of `inet netd` for a purpose and protocol.
#[must_use]
pub fn set(purpose: Purpose, ip: Ip) -> SetId {
    SetId::new(&inet_id(), &set_name(purpose, ip, ""))
}

/// Like [`set`], for the port maps of a class of conditions (see [`crate::ports`]).
#[must_use]
pub fn class_set(purpose: Purpose, ip: Ip, class: &str) -> SetId {
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

/// The set of bridges between which guarded addresses are unreachable.
#[must_use]
pub fn bridges() -> SetId {
    SetId::new(&inet_id(), "bridges")
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
