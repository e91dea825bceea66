//! The content of network namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnetwork::{IpNetwork, Ipv4Network};

use crate::addr::{Addr, Fdb, Neigh};
use crate::link::Link;
use crate::name::{LinkName, Ns, SysctlKey};
use crate::nft::{Element, SetId, Table, TableId};
use crate::route::{Route, Rule};
use crate::wireguard::{PublicKey, WgPeer};

/// What is in one network namespace, by name and never by interface index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetState {
    /// Links by name.
    pub links: BTreeMap<LinkName, Link>,
    /// Addresses of links.
    pub addrs: BTreeSet<Addr>,
    /// Routes.
    pub routes: BTreeSet<Route>,
    /// Permanent neighbours.
    pub neighs: BTreeSet<Neigh>,
    /// VXLAN forwarding entries.
    pub fdb: BTreeSet<Fdb>,
    /// Peers of WireGuard links, by link and key.
    pub wg_peers: BTreeMap<(LinkName, PublicKey), WgPeer>,
    /// Policy rules.
    pub rules: BTreeSet<Rule>,
    /// Sysctl values.
    pub sysctls: BTreeMap<SysctlKey, String>,
    /// nf_tables tables with their chains, rules and (empty) sets.
    pub tables: BTreeMap<TableId, Table>,
    /// Elements of sets and maps: at most one per key. Shared with plans and records of them, as there may
    /// be hundreds.
    pub elements: BTreeMap<SetId, BTreeSet<Arc<Element>>>,
}

impl NetState {
    /// Adds a link under its own name.
    pub fn add_link(&mut self, link: Link) {
        self.links.insert(link.name.clone(), link);
    }

    /// Adds an element to a set.
    pub fn add_element(&mut self, set: SetId, element: impl Into<Arc<Element>>) {
        self.elements.entry(set).or_default().insert(element.into());
    }

    /// Adds what another state has. Both are parts of one whole and never contradict each other.
    pub fn join(&mut self, other: Self) {
        self.links.extend(other.links);
        self.addrs.extend(other.addrs);
        self.routes.extend(other.routes);
        self.neighs.extend(other.neighs);
        self.fdb.extend(other.fdb);
        for (id, peer) in other.wg_peers {
            // Two subnets of one host are one peer.
            let known = self.wg_peers.entry(id).or_insert_with(|| peer.clone());
            known.allowed.extend(peer.allowed);
        }
        self.rules.extend(other.rules);
        self.sysctls.extend(other.sysctls);
        self.tables.extend(other.tables);
        for (set, elements) in other.elements {
            self.elements.entry(set).or_default().extend(elements);
        }
    }

    /// The addresses of a link.
    pub(crate) fn addrs_on<'s>(&'s self, link: &'s LinkName) -> impl Iterator<Item = &'s Addr> {
        let zero = Ipv4Addr::UNSPECIFIED;
        let lowest = Ipv4Network::new(zero, 0).unwrap_or(Ipv4Network::from(zero));
        let first = Addr::new(link.clone(), IpNetwork::V4(lowest));
        self.addrs.range(first..).take_while(move |addr| addr.link == *link)
    }

    /// The routes by destination.
    pub(crate) fn routes_by_dst(&self) -> BTreeMap<IpNetwork, Vec<&Route>> {
        let mut by_dst: BTreeMap<IpNetwork, Vec<&Route>> = BTreeMap::new();
        for route in &self.routes {
            by_dst.entry(route.dst).or_default().push(route);
        }
        by_dst
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The content of some namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    spaces: BTreeMap<Ns, NetState>,
}

impl State {
    /// One namespace with this content.
    #[must_use]
    pub fn of(ns: Ns, content: NetState) -> Self {
        Self { spaces: [(ns, content)].into() }
    }

    /// The content of a namespace, made empty where it is not there yet.
    pub fn ns_mut(&mut self, ns: Ns) -> &mut NetState {
        self.spaces.entry(ns).or_default()
    }

    /// The content of a namespace, if there is any.
    #[must_use]
    pub fn ns(&self, ns: &Ns) -> Option<&NetState> {
        self.spaces.get(ns)
    }

    /// Adds what is in another.
    pub fn join(&mut self, other: Self) {
        for (ns, content) in other.spaces {
            self.ns_mut(ns).join(content);
        }
    }

    /// All namespaces with content, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Ns, &NetState)> {
        self.spaces.iter()
    }
}

/// What there should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired(pub State);

/// What there is, as far as it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed(pub State);
