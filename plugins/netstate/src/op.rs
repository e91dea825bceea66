//! One change to the kernel's network state.
//!
//! An [`Op`] prints as the command it stands for; see [`crate::NsNames`] for how the namespace is
//! written.

use std::sync::Arc;

use crate::addr::{Addr, Fdb, Neigh};
use crate::link::{Link, LinkChange, PeerInit};
use crate::name::{LinkName, Ns, SysctlKey};
use crate::nft::{Chain, ChainId, Element, Rule as NftRule, SetId, Table, TableId};
use crate::route::{Route, Rule};
use crate::wireguard::WgPeer;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Makes a link, with all of its state in one message; the far end of a veth pair is born in
    /// its own namespace and cannot be up yet.
    AddLink {
        /// The link.
        link: Link,
        /// The far end, for a veth.
        peer: Option<PeerInit>,
    },
    /// Changes a link.
    SetLink {
        /// Its name.
        name: LinkName,
        /// What changes; sent as one message where the kernel allows it.
        changes: Vec<LinkChange>,
    },
    /// Removes a link, and with it its addresses, routes and the far end of a veth.
    DelLink(LinkName),
    /// Adds an address.
    AddAddr(Addr),
    /// Removes an address.
    DelAddr(Addr),
    /// Adds a route.
    AddRoute(Route),
    /// Removes a route.
    DelRoute(Route),
    /// Adds a permanent neighbour.
    AddNeigh(Neigh),
    /// Removes a neighbour.
    DelNeigh(Neigh),
    /// Adds a forwarding entry.
    AddFdb(Fdb),
    /// Removes a forwarding entry.
    DelFdb(Fdb),
    /// Makes a peer of a WireGuard link what it is to be.
    AddWgPeer(WgPeer),
    /// Removes a peer of a WireGuard link.
    DelWgPeer(WgPeer),
    /// Adds a policy rule.
    AddRule(Rule),
    /// Removes a policy rule.
    DelRule(Rule),
    /// Writes a sysctl where the value differs.
    SetSysctl {
        /// Which.
        key: SysctlKey,
        /// The value, without a newline.
        value: String,
        /// A key that is absent, or may not be written, is not an error.
        optional: bool,
    },
    /// Makes a table with its sets, chains and rules.
    AddTable(Table),
    /// Removes a table and all in it.
    DelTable(TableId),
    /// Makes a chain with its rules in a table that is there.
    AddChain {
        /// The table.
        table: TableId,
        /// The chain.
        chain: Chain,
    },
    /// Makes a set or map in a table that is there.
    AddSet {
        /// The table.
        table: TableId,
        /// The set.
        set: crate::nft::Set,
    },
    /// Puts a rule at the top of a chain.
    InsertRule {
        /// The chain.
        chain: ChainId,
        /// The rule.
        rule: NftRule,
    },
    /// Removes the first rule of a chain that is equal.
    DelRuleOf {
        /// The chain.
        chain: ChainId,
        /// The rule.
        rule: NftRule,
    },
    /// Removes all rules of a chain; the chain stays.
    FlushChain(ChainId),
    /// Adds an element.
    AddElement {
        /// The set.
        set: SetId,
        /// The element.
        element: Arc<Element>,
    },
    /// Removes an element, by its key.
    DelElement {
        /// The set.
        set: SetId,
        /// The element.
        element: Arc<Element>,
    },
}

/// How to take it that the thing is there already (or, for a removal, gone already).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is this attachment's own: there already is an error; gone already is fine.
    Fresh,
    /// It is shared: there already is fine if it is what was asked for.
    Ensure,
    /// A neighbour, forwarding entry or route of ours takes the place of what is there in one
    /// message, so that packets find the one or the other. A route only takes the place of one by
    /// the same protocol, or by nobody in particular (`RTPROT_BOOT`, 3: what `ip route add` says
    /// where it is told nothing); any other is in the way. Anything else as with [`Mode::Ensure`].
    Replace,
}

/// A change in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub ns: Ns,
    /// What.
    pub op: Op,
    /// Whether others may have done it.
    pub mode: Mode,
}

impl Step {
    /// A change to something of one's own.
    #[must_use]
    pub fn fresh(ns: Ns, op: Op) -> Self {
        Self { ns, op, mode: Mode::Fresh }
    }

    /// A change to something shared.
    #[must_use]
    pub fn ensure(ns: Ns, op: Op) -> Self {
        Self { ns, op, mode: Mode::Ensure }
    }
}

impl Op {
    /// Whether the operation takes something away.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        match self {
            Self::DelLink(_)
            | Self::DelAddr(_)
            | Self::DelRoute(_)
            | Self::DelNeigh(_)
            | Self::DelFdb(_)
            | Self::DelWgPeer(_)
            | Self::DelRule(_)
            | Self::DelTable(_)
            | Self::DelRuleOf { .. }
            | Self::DelElement { .. } => true,
            Self::AddLink { .. }
            | Self::SetLink { .. }
            | Self::AddAddr(_)
            | Self::AddRoute(_)
            | Self::AddNeigh(_)
            | Self::AddFdb(_)
            | Self::AddWgPeer(_)
            | Self::AddRule(_)
            | Self::SetSysctl { .. }
            | Self::AddTable(_)
            | Self::AddChain { .. }
            | Self::AddSet { .. }
            | Self::InsertRule { .. }
            | Self::FlushChain(_)
            | Self::AddElement { .. } => false,
        }
    }

    /// The operation that takes this one back, where there is one: adding is undone by removing.
    /// Changes and sysctls are undone from what was there before, which only [`crate::Report`]
    /// knows; chains and sets stay.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        Some(match self {
            Self::AddLink { link, .. } => Self::DelLink(link.name.clone()),
            Self::AddAddr(a) => Self::DelAddr(a.clone()),
            Self::AddRoute(r) => Self::DelRoute(r.clone()),
            Self::AddNeigh(n) => Self::DelNeigh(n.clone()),
            Self::AddFdb(e) => Self::DelFdb(e.clone()),
            Self::AddWgPeer(p) => Self::DelWgPeer(p.clone()),
            Self::AddRule(r) => Self::DelRule(r.clone()),
            Self::AddTable(t) => Self::DelTable(t.id.clone()),
            Self::InsertRule { chain, rule } => {
                Self::DelRuleOf { chain: chain.clone(), rule: rule.clone() }
            }
            Self::AddElement { set, element } => {
                Self::DelElement { set: set.clone(), element: element.clone() }
            }
            Self::DelAddr(a) => Self::AddAddr(a.clone()),
            Self::DelRoute(r) => Self::AddRoute(r.clone()),
            Self::DelNeigh(n) => Self::AddNeigh(n.clone()),
            Self::DelFdb(e) => Self::AddFdb(e.clone()),
            Self::DelWgPeer(p) => Self::AddWgPeer(p.clone()),
            Self::DelRule(r) => Self::AddRule(r.clone()),
            Self::DelElement { set, element } => {
                Self::AddElement { set: set.clone(), element: element.clone() }
            }
            Self::SetLink { .. }
            | Self::DelLink(_)
            | Self::SetSysctl { .. }
            | Self::DelTable(_)
            | Self::AddChain { .. }
            | Self::AddSet { .. }
            | Self::DelRuleOf { .. }
            | Self::FlushChain(_) => return None,
        })
    }

    /// The veth far end that [`Op::AddLink`] makes beside the link itself.
    #[must_use]
    pub fn peer(&self) -> Option<&PeerInit> {
        if let Self::AddLink { peer, .. } = self { peer.as_ref() } else { None }
    }
}
