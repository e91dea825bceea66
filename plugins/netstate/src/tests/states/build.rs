//! Valid states from recipes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::recipe::{KindRecipe, LinkRecipe, Recipe, RouteRecipe};
use super::{NAMES, at, macvlan_parents, parents, table};
use crate::nft::{Element, SetId, Value};
use crate::plan::compare::{same_addr_key, same_route_key};
use crate::vlan;
use crate::{
    Addr, BridgePort, Fdb, Link, LinkKind, LinkName, LinkRef, Mac, MacVlanMode, Neigh, NetState,
    Ns, Route, RouteScope, Rule, State, SysctlKey, VlanRange, Vxlan,
};

impl Recipe {
    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        for ns in [Ns::Host, Ns::Container] {
            let lo = Link { mtu: Some(65536), ..Link::new(LinkName::lo(), LinkKind::Loopback) };
            state.ns_mut(ns).add_link(lo);
        }
        for (index, kind) in self.kinds().into_iter().enumerate() {
            if let Some(kind) = kind {
                self.add_link(&mut state, index, kind);
            }
        }
        fit_children(&mut state);
        self.add_masters(&mut state);
        for (index, recipe) in self.links.iter().enumerate() {
            add_content(&mut state, &at(index), recipe);
        }
        for route in &self.routes {
            add_route(&mut state, route);
        }
        self.add_rest(state.ns_mut(Ns::Host));
        state
    }

    /// Kinds where veths come in pairs and macvlans have parents that are no macvlans.
    fn kinds(&self) -> Vec<Option<LinkKind>> {
        let mut kinds: Vec<Option<LinkKind>> = vec![None; NAMES.len()];
        let mut taken = BTreeSet::new();
        for (index, recipe) in self.links.iter().enumerate() {
            if let KindRecipe::Veth { peer } = recipe.kind
                && peer != index
                && !taken.contains(&peer)
                && !taken.contains(&index)
            {
                taken.extend([index, peer]);
                kinds[index] = Some(LinkKind::Veth { peer: at(peer) });
                kinds[peer] = Some(LinkKind::Veth { peer: at(index) });
            }
        }
        for (index, recipe) in self.links.iter().enumerate() {
            if taken.contains(&index) {
                continue;
            }
            kinds[index] = match recipe.kind {
                KindRecipe::None | KindRecipe::MacVlan { .. } | KindRecipe::Vxlan { .. } => None,
                KindRecipe::Bridge { filtering } => {
                    Some(LinkKind::Bridge { vlan_filtering: Some(filtering) })
                }
                KindRecipe::Dummy | KindRecipe::Veth { .. } => {
                    Some(LinkKind::Other("dummy".to_owned()))
                }
            };
        }
        for (index, recipe) in self.links.iter().enumerate() {
            if let KindRecipe::MacVlan { parent, private } = recipe.kind
                && kinds[index].is_none()
                && matches!(kinds[parent], Some(LinkKind::Other(_) | LinkKind::Veth { .. }))
            {
                let mode = if private { MacVlanMode::Private } else { MacVlanMode::Bridge };
                let parent = at(parent);
                kinds[index] = Some(LinkKind::MacVlan { parent, mode, bc_queue_len: Some(1000) });
            }
        }
        let firm = kinds.clone();
        for (index, recipe) in self.links.iter().enumerate() {
            if let KindRecipe::Vxlan { parent: parent_index, local, flags } = recipe.kind
                && kinds[index].is_none()
            {
                let parent = firm[parent_index].as_ref().filter(|kind| kind.parent().is_none());
                let parent = parent.map(|_| at(parent_index));
                kinds[index] = Some(LinkKind::Vxlan(tunnel(index, parent, local, flags)));
            }
        }
        kinds
    }

    fn add_link(&self, state: &mut State, index: usize, kind: LinkKind) {
        let recipe = &self.links[index];
        let at = at(index);
        let link = Link {
            mtu: Some(if recipe.small_mtu { 1000 } else { 1400 + u32::from(recipe.alias) }),
            mac: Some(Mac([2, 0, 0, 0, u8::try_from(index).unwrap(), recipe.mac])),
            up: recipe.up,
            promisc: recipe.promisc,
            alias: Some(format!("owner {}", recipe.alias)),
            ..Link::new(at.name.clone(), kind)
        };
        if recipe.sysctl {
            let value = recipe.alias.to_string();
            state
                .ns_mut(at.ns.clone())
                .sysctls
                .insert(SysctlKey::conf("ipv4", &at.name, "arp_notify"), value);
        }
        state.ns_mut(at.ns).add_link(link);
    }

    fn add_masters(&self, state: &mut State) {
        let parents = macvlan_parents(state);
        for (index, recipe) in self.links.iter().enumerate() {
            let (at, master) = (at(index), recipe.master.map(at));
            let Some(master) = master.filter(|master| master.ns == at.ns) else { continue };
            let space = state.ns_mut(at.ns.clone());
            let is_bridge = |name| {
                space.links.get(name).is_some_and(|l| matches!(l.kind, LinkKind::Bridge { .. }))
            };
            if !is_bridge(&master.name) || is_bridge(&at.name) || parents.contains(&at) {
                continue;
            }
            if let Some(link) = space.links.get_mut(&at.name) {
                link.master = Some(master.name);
                let ranges = recipe.vlans.iter().map(|&(first, more, untagged)| VlanRange {
                    first,
                    last: first + more,
                    pvid: more == 0,
                    untagged,
                });
                link.port = Some(BridgePort {
                    hairpin: Some(recipe.hairpin),
                    isolated: Some(recipe.isolated),
                    vlans: Some(ranges.fold(Vec::new(), |all, range| vlan::with(&all, &range))),
                });
            }
        }
    }

    fn add_rest(&self, host: &mut NetState) {
        for &(priority, table) in &self.rules {
            let from = IpNetwork::new(IpAddr::V4(Ipv4Addr::new(10, priority, 0, 0)), 16).unwrap();
            let priority = 100 + u32::from(priority);
            let table = 100 + u32::from(table);
            host.rules.insert(Rule { priority, from: Some(from), to: None, table });
        }
        host.sysctls
            .insert(SysctlKey::fixed("net/ipv4/ip_forward"), u8::from(self.forward).to_string());
        let Some(version) = self.table else { return };
        let table = table(version);
        let (set, map) = (SetId::new(&table.id, "sources"), SetId::new(&table.id, "ports"));
        for &(key, data) in &self.elements {
            let ip = Value::Ipv4(Ipv4Addr::new(10, 0, 0, key));
            let comment = format!("owner {key}");
            let port = Value::Port(u16::from(data));
            let place = Element { key: vec![ip.clone()], data: Vec::new(), comment };
            let target = Element { data: vec![ip, port], ..place.clone() };
            host.add_element(set.clone(), place);
            let taken =
                host.elements.get(&map).is_some_and(|m| m.iter().any(|e| e.key == target.key));
            if !taken {
                host.add_element(map.clone(), target);
            }
        }
        host.tables.insert(table.id.clone(), table);
    }
}

/// A tunnel end; no two links of a state, or of two states, have one network identifier.
fn tunnel(index: usize, parent: Option<LinkRef>, local: u8, flags: u8) -> Vxlan {
    let gbp = flags == 4;
    Vxlan {
        id: 2 * u32::try_from(index).unwrap() + u32::from(flags & 1),
        // On one port all must be of one kind (`vxlan_find_sock()`).
        port: Some(if gbp { 8473 } else { 8472 }),
        parent,
        local: Some(ip(local & 2 != 0, 20, 1 + (local & 1))),
        learning: flags & 2 != 0,
        gbp,
        proxy: flags & 16 != 0,
        tx_checksum: Some(flags & 8 != 0),
    }
}

/// No macvlan is larger than its parent, and no tunnel end but for its headers.
fn fit_children(state: &mut State) {
    for parent in parents(state) {
        let limit = state.link(&parent).and_then(|link| link.mtu);
        let children: Vec<LinkRef> = state.children_of(&parent).map(|(at, _)| at).collect();
        for at in children {
            if let Some(child) = state.ns_mut(at.ns).links.get_mut(&at.name) {
                let headers = if matches!(child.kind, LinkKind::Vxlan(_)) { 70 } else { 0 };
                child.mtu = child.mtu.min(limit.map(|limit| limit - headers));
            }
        }
    }
}

fn add_content(state: &mut State, at: &LinkRef, recipe: &LinkRecipe) {
    let Some(link) = state.link(at).cloned() else { return };
    let space = state.ns_mut(at.ns.clone());
    let can_have_ipv6 = link.mtu.is_some_and(|mtu| mtu >= 1280);
    for &(v6, subnet, host, narrow) in &recipe.addrs {
        let prefix = if narrow {
            if v6 { 128 } else { 32 }
        } else if v6 {
            64
        } else {
            24
        };
        let net = IpNetwork::new(ip(v6, subnet, host), prefix).unwrap();
        let addr = Addr::new(at.name.clone(), net);
        if (can_have_ipv6 || !v6) && !space.addrs.iter().any(|a| same_addr_key(a, &addr)) {
            space.addrs.insert(addr);
        }
    }
    for &(host, mac) in &recipe.neighs {
        let neigh =
            Neigh { link: at.name.clone(), ip: ip(false, 7, host), mac: Mac([2, 1, 1, 1, 1, mac]) };
        if !space.neighs.iter().any(|n| n.link == neigh.link && n.ip == neigh.ip) {
            space.neighs.insert(neigh.clone());
        }
        if let LinkKind::Vxlan(vxlan) = &link.kind {
            let dst = ip(vxlan.local.is_some_and(|ip| ip.is_ipv6()), 30, host);
            space.fdb.insert(Fdb { link: neigh.link, mac: neigh.mac, dst });
        }
    }
}

fn add_route(state: &mut State, recipe: &RouteRecipe) {
    let at = at(recipe.link);
    let min_mtu = if recipe.v6 { 1280 } else { 68 };
    if !state.link(&at).is_some_and(|link| link.up && link.mtu >= Some(min_mtu)) {
        return;
    }
    let space = state.ns_mut(at.ns);
    let of_family: Vec<&Addr> =
        space.addrs.iter().filter(|a| a.net.is_ipv6() == recipe.v6).collect();
    let subnet = of_family
        .iter()
        .find(|a| a.link == at.name && a.net.prefix() < 32 + 64 * u8::from(recipe.v6));
    let via = subnet.filter(|_| recipe.via).map(|a| match a.net.network() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | 250)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | 250)),
    });
    let src = of_family.last().filter(|_| recipe.src).map(|a| a.net.ip());
    let (dst, prefix) = if recipe.v6 {
        (IpAddr::V6(Ipv6Addr::new(0xfd99, u16::from(recipe.dst), 0, 0, 0, 0, 0, 0)), 32)
    } else {
        (IpAddr::V4(Ipv4Addr::new(172, recipe.dst, 0, 0)), 16)
    };
    let scope = if via.is_none() && !recipe.v6 { RouteScope::Link } else { RouteScope::Universe };
    let route = Route {
        via,
        src,
        scope,
        metric: recipe.metric,
        mtu: recipe.mtu,
        ..Route::new(IpNetwork::new(dst, prefix).unwrap(), at.name)
    };
    if !space.routes.iter().any(|r| same_route_key(r, &route)) {
        space.routes.insert(route);
    }
}

fn ip(v6: bool, subnet: u8, host: u8) -> IpAddr {
    if v6 {
        let (subnet, host) = (u16::from(subnet), u16::from(host));
        IpAddr::V6(Ipv6Addr::new(0xfd00, subnet, 0, 0, 0, 0, 0, host))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, subnet, 0, host))
    }
}
