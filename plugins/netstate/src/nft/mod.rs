//! A typed model of the part of nf_tables this project uses.
//!
//! A value here has three renderings that must mean the same: netlink bytes (crate `kernel`), the
//! text `nft` reads and prints (module [`text`], which is also the text of an [`Op`](crate::Op)),
//! and the JSON of libnftables (crate `e2e`, which compares all three in namespaces).

mod networks;
mod text;
mod value;

use std::fmt;
use std::sync::Arc;

pub use networks::NetworkSet;
pub use text::{nft_chain, nft_element, nft_rule, nft_set_spec, nft_table, quoted};
pub use value::{DataType, Value};

/// Address family of a table (`NFPROTO_*`, `include/uapi/linux/netfilter.h`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Bridged frames.
    Bridge,
}

/// A table by family and name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId {
    /// Family.
    pub family: Family,
    /// Name; shared, as every element of its sets knows it.
    pub name: Arc<str>,
}

impl TableId {
    /// A table's id.
    #[must_use]
    pub fn new(family: Family, name: &str) -> Self {
        Self { family, name: name.into() }
    }
}

/// A chain by table and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainId {
    /// Its table.
    pub table: TableId,
    /// Name.
    pub name: String,
}

/// A set or map by table and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId {
    /// Its table.
    pub table: TableId,
    /// Name; shared, as every element knows it.
    pub name: Arc<str>,
}

impl SetId {
    /// A set's id.
    #[must_use]
    pub fn new(table: &TableId, name: &str) -> Self {
        Self { table: table.clone(), name: name.into() }
    }
}

/// A table with everything that does not change from container to container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Family and name.
    pub id: TableId,
    /// Shown by `nft`; ours holds the schema version. Kernel 5.10 and later keep it.
    pub comment: String,
    /// Sets and maps, without elements.
    pub sets: Vec<Set>,
    /// Sets of networks, which are filled when the table is made.
    pub networks: Vec<NetworkSet>,
    /// Chains, each after the chains it jumps to.
    pub chains: Vec<Chain>,
}

/// A set, or a map where `data` is not empty. Keys match exactly (no intervals): the price of a
/// change must not grow with the number of elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Name.
    pub name: String,
    /// Type of the key, concatenated.
    pub key: Vec<DataType>,
    /// Type of the data, concatenated; empty for a set.
    pub data: Vec<DataType>,
}

/// An element: at most one per key in a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// The key, in the order of [`Set::key`].
    pub key: Vec<Value>,
    /// The data, in the order of [`Set::data`].
    pub data: Vec<Value>,
    /// Who owns it; at most 127 bytes (`nft` shows no more).
    pub comment: String,
}

/// A chain; with a hook it is a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Name. Keywords of `nft` (`fwd`, `log` ...) must not be used: its text could not be read.
    pub name: String,
    /// Where packets enter it.
    pub hook: Option<Hook>,
    /// Rules in order.
    pub rules: Vec<Rule>,
}

/// Where a base chain is hooked in; its policy is accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// Filter or nat.
    pub kind: ChainKind,
    /// The hook.
    pub point: HookPoint,
    /// Order among the chains of a hook; lower is earlier.
    pub priority: i32,
}

/// Types of base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of a flow, and translates it.
    Nat,
}

/// Hooks (`NF_INET_*`, the same numbers in the bridge family).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint {
    /// Before routing.
    Prerouting,
    /// For this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
    /// On the way out.
    Postrouting,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule(pub Vec<Stmt>);

/// What a rule can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// IPv4 source.
    IpSaddr,
    /// IPv4 destination.
    IpDaddr,
    /// IPv6 source.
    Ip6Saddr,
    /// IPv6 destination.
    Ip6Daddr,
    /// Ethernet source.
    EtherSaddr,
    /// Name of the input interface.
    Iifname,
    /// Name of the output interface.
    Oifname,
    /// Transport protocol number.
    L4Proto,
    /// Transport source port.
    ThSport,
    /// Transport destination port.
    ThDport,
    /// Network identifier of VXLAN, behind UDP's header: of other packets it means nothing.
    Vni,
}

/// States of a connection (`enum ip_conntrack_info` as `nft` names them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CtState {
    /// Cannot be identified.
    Invalid,
    /// Seen in both directions.
    Established,
    /// New, but belongs to one seen.
    Related,
    /// First packet.
    New,
}

/// A statement or expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stmt {
    /// `<field> [!=] <value>`.
    Cmp {
        /// What is looked at.
        field: Field,
        /// Must differ.
        ne: bool,
        /// The value.
        value: Value,
    },
    /// `<address field> [!=] <network>`.
    CmpNet {
        /// [`Field::IpSaddr`] and the like.
        field: Field,
        /// Must differ.
        ne: bool,
        /// The network, of the field's family, host bits zero.
        net: ipnetwork::IpNetwork,
    },
    /// `<field> . <field> [!=] @set`.
    In {
        /// What is looked up.
        fields: Vec<Field>,
        /// Must not be in it.
        ne: bool,
        /// Set in the same table.
        set: String,
    },
    /// `ct state a,b`: any of these.
    CtState(Vec<CtState>),
    /// `ct status dnat`: the destination was translated.
    CtStatusDnat,
    /// `fib daddr type local`: the destination is an address of this host.
    DaddrIsLocal,
    /// `dnat ip to <fields> map @map`: to the address and port in the map; no entry, no change.
    DnatMap {
        /// Of the addresses: [`Family::Ip`] or [`Family::Ip6`].
        family: Family,
        /// What is looked up.
        fields: Vec<Field>,
        /// Map in the same table, to address and port.
        map: String,
    },
    /// `snat ip to <fields> map @map`: to the address in the map; no entry, no change.
    SnatMap {
        /// Of the addresses: [`Family::Ip`] or [`Family::Ip6`].
        family: Family,
        /// What is looked up.
        fields: Vec<Field>,
        /// Map in the same table, to an address.
        map: String,
    },
    /// `meta mark & <mask> == <value>`.
    Mark {
        /// Which bits are looked at.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// `masquerade [fully-random]`.
    Masquerade {
        /// The source port is a random one, not the next that is free.
        fully_random: bool,
    },
    /// `counter`.
    Counter,
    /// `accept`: no more chains of this hook and priority.
    Accept,
    /// `drop`.
    Drop,
    /// `return`.
    Return,
    /// `jump <chain>`.
    Jump(String),
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        })
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}
