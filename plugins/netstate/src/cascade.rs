//! What the kernel takes along when something goes.
//!
//! Both sides that foresee a kernel use this: the planner, so that it re-adds what will be gone,
//! and [`crate::sim`]. Routes that the kernel makes by itself (connected prefixes, local and
//! link-local ones) are in no [`State`].

use std::net::IpAddr;

use crate::addr::Addr;
use crate::link::{BridgePort, Link, LinkChange, LinkKind, LinkRef};
use crate::name::{LinkName, Ns, SysctlKey};
use crate::route::Route;
use crate::state::{NetState, State};
use crate::tunnel::Vxlan;
use crate::vlan;

/// Smallest MTU, in bytes, with which a link has IPv6 (RFC 8200, section 5).
pub(crate) const IPV6_MIN_MTU: u32 = 1280;

impl State {
    /// The link, if it is there.
    #[must_use]
    pub fn link(&self, at: &LinkRef) -> Option<&Link> {
        self.ns(&at.ns)?.links.get(&at.name)
    }

    /// All links, by namespace and name.
    pub fn links(&self) -> impl Iterator<Item = (LinkRef, &Link)> {
        self.iter().flat_map(|(ns, state)| {
            let at = |name: &LinkName| LinkRef { ns: ns.clone(), name: name.clone() };
            state.links.iter().map(move |(name, link)| (at(name), link))
        })
    }

    /// The links whose parent is this link.
    pub(crate) fn children_of(&self, at: &LinkRef) -> impl Iterator<Item = (LinkRef, &Link)> {
        self.iter().flat_map(move |(ns, state)| {
            let place = |child: &Link| LinkRef { ns: ns.clone(), name: child.name.clone() };
            let is_child = move |child: &&Link| child.kind.parent() == Some(at);
            state.links.values().filter(is_child).map(move |child| (place(child), child))
        })
    }

    /// The macvlans, ipvlans and VLANs whose parent is this link.
    pub(crate) fn uppers_of(&self, at: &LinkRef) -> impl Iterator<Item = (LinkRef, &Link)> {
        self.children_of(at).filter(|(_, child)| child.kind.lower().is_some())
    }

    /// Takes a link away with all that cannot be without it: what is on it, its ports' membership,
    /// the far end of a veth (`veth_dellink()`, `drivers/net/veth.c`), and the links that it is the
    /// parent of (`NETDEV_UNREGISTER` in `drivers/net/macvlan.c`, `vxlan/vxlan_core.c` and so on),
    /// wherever they are.
    pub(crate) fn drop_link(&mut self, at: &LinkRef) {
        let state = self.ns_mut(at.ns.clone());
        let Some(link) = state.links.remove(&at.name) else { return };
        state.drop_all_on(&at.name);
        for port in state.links.values_mut().filter(|l| l.master.as_ref() == Some(&at.name)) {
            port.master = None;
            port.port = None;
        }
        let mut dying: Vec<LinkRef> = self.children_of(at).map(|(child, _)| child).collect();
        dying.extend(link.kind.peer().filter(|peer| self.is_peer_of(peer, at)).cloned());
        for other in dying {
            self.drop_link(&other);
        }
    }

    /// Whether `end` is a veth whose far end is `of`.
    pub(crate) fn is_peer_of(&self, end: &LinkRef, of: &LinkRef) -> bool {
        self.link(end).and_then(|link| link.kind.peer()) == Some(of)
    }

    /// Makes one change to a link that is there, with its consequences.
    pub(crate) fn change_link(&mut self, at: &LinkRef, change: &LinkChange) {
        match change {
            LinkChange::Up(false) => return self.take_link_down(&at.ns, &at.name),
            LinkChange::Mac(mac) if self.link(at).is_some_and(|l| l.mac != Some(*mac)) => {
                self.forget_neighs(&at.ns, &at.name);
            }
            LinkChange::Mtu(mtu) => self.shrink(at, *mtu),
            LinkChange::Up(true)
            | LinkChange::Mac(_)
            | LinkChange::Master(_)
            | LinkChange::Promisc(_)
            | LinkChange::Alias(_)
            | LinkChange::Local(_)
            | LinkChange::Parent(_)
            | LinkChange::Learning(_)
            | LinkChange::TxChecksum(_)
            | LinkChange::Source(_)
            | LinkChange::ListenPort(_)
            | LinkChange::PrivateKey(_)
            | LinkChange::Hairpin(_)
            | LinkChange::Isolated(_)
            | LinkChange::VlanFiltering(_)
            | LinkChange::AddVlan(_)
            | LinkChange::DelVlan(_) => {}
        }
        if let Some(link) = self.ns_mut(at.ns.clone()).links.get_mut(&at.name) {
            link.change(change);
        }
    }

    /// What a smaller MTU costs: all of IPv6 where it is too small for it, and the same for larger
    /// macvlans on the link (`macvlan_device_event()`, `drivers/net/macvlan.c`), ipvlans and VLANs.
    fn shrink(&mut self, at: &LinkRef, mtu: u32) {
        if mtu < IPV6_MIN_MTU {
            self.lose_ipv6(&at.ns, &at.name);
        }
        let too_large: Vec<LinkRef> = self
            .uppers_of(at)
            .filter(|(_, child)| child.mtu.is_some_and(|have| have > mtu))
            .map(|(child, _)| child)
            .collect();
        for child in too_large {
            self.change_link(&child, &LinkChange::Mtu(mtu));
        }
    }

    /// Takes a link down: its routes go (`fib_disable_ip()`, `net/ipv4/fib_frontend.c`), its IPv6
    /// addresses (`addrconf_ifdown()`, `net/ipv6/addrconf.c`, with `keep_addr_on_down` 0) and its
    /// neighbours, permanent ones too (`neigh_ifdown()`, `net/core/neighbour.c`).
    fn take_link_down(&mut self, ns: &Ns, name: &LinkName) {
        let state = self.ns_mut(ns.clone());
        if let Some(link) = state.links.get_mut(name) {
            link.up = false;
        }
        state.routes.retain(|r| r.dev.as_ref() != Some(name));
        state.neighs.retain(|n| &n.link != name);
        state.drop_ipv6_addrs(name);
    }

    /// What a new link-layer address costs: the neighbours (`neigh_changeaddr()`).
    fn forget_neighs(&mut self, ns: &Ns, name: &LinkName) {
        self.ns_mut(ns.clone()).neighs.retain(|n| &n.link != name);
    }

    /// What an MTU below IPv6's minimum costs: all of IPv6 (`NETDEV_CHANGEMTU` in `net/ipv6/addrconf.c`).
    fn lose_ipv6(&mut self, ns: &Ns, name: &LinkName) {
        let state = self.ns_mut(ns.clone());
        state.routes.retain(|r| r.dev.as_ref() != Some(name) || r.dst.is_ipv4());
        state.neighs.retain(|n| &n.link != name || n.ip.is_ipv4());
        state.drop_ipv6_addrs(name);
    }
}

impl Link {
    /// Makes one change to the link alone.
    fn change(&mut self, change: &LinkChange) {
        match change {
            LinkChange::Up(up) => self.up = *up,
            LinkChange::Mtu(mtu) => self.mtu = Some(*mtu),
            LinkChange::Mac(mac) => self.mac = Some(*mac),
            LinkChange::Master(master) => {
                // Leaving a bridge resets the port, joining one starts anew.
                self.port = master.as_ref().map(|_| BridgePort::as_born());
                self.master.clone_from(master);
            }
            LinkChange::Promisc(on) => self.promisc = *on,
            LinkChange::Alias(alias) => self.alias = Some(alias.clone()).filter(|a| !a.is_empty()),
            LinkChange::VlanFiltering(on) => {
                if let LinkKind::Bridge { vlan_filtering } = &mut self.kind {
                    *vlan_filtering = Some(*on);
                }
            }
            LinkChange::Local(_)
            | LinkChange::Parent(_)
            | LinkChange::Learning(_)
            | LinkChange::TxChecksum(_) => {
                if let LinkKind::Vxlan(vxlan) = &mut self.kind {
                    vxlan.change(change);
                }
            }
            LinkChange::Source(ip) => {
                if let LinkKind::Ipip(ipip) = &mut self.kind {
                    ipip.local = Some(*ip);
                }
            }
            LinkChange::ListenPort(port) => {
                if let LinkKind::WireGuard(own) = &mut self.kind {
                    own.port = Some(*port);
                }
            }
            LinkChange::PrivateKey(key) => {
                if let LinkKind::WireGuard(own) = &mut self.kind {
                    own.key = Some(key.clone());
                }
            }
            LinkChange::Hairpin(on) => self.port_mut().hairpin = Some(*on),
            LinkChange::Isolated(on) => self.port_mut().isolated = Some(*on),
            LinkChange::AddVlan(range) => {
                let port = self.port_mut();
                port.vlans = Some(vlan::with(port.vlans.as_deref().unwrap_or_default(), range));
            }
            LinkChange::DelVlan(range) => {
                let port = self.port_mut();
                port.vlans = Some(vlan::without(port.vlans.as_deref().unwrap_or_default(), range));
            }
        }
    }

    fn port_mut(&mut self) -> &mut BridgePort {
        self.port.get_or_insert_default()
    }
}

impl Vxlan {
    fn change(&mut self, change: &LinkChange) {
        if let LinkChange::Local(ip) = change {
            self.local = Some(*ip);
        }
        if let LinkChange::Parent(parent) = change {
            self.parent = Some(parent.clone());
        }
        if let LinkChange::Learning(on) = change {
            self.learning = *on;
        }
        if let LinkChange::TxChecksum(on) = change {
            self.tx_checksum = Some(*on);
        }
    }
}

impl NetState {
    /// Takes an address away, and routes that prefer it as their source: IPv4 routes go
    /// (`fib_sync_down_addr()`), IPv6 routes lose the preference (`rt6_remove_prefsrc()`). With its
    /// last IPv4 address a link loses all its IPv4 routes and neighbours (`fib_inetaddr_event()`).
    pub(crate) fn drop_addr(&mut self, addr: &Addr) {
        self.addrs.retain(|a| !same_addr(a, addr));
        self.forget_source(addr.net.ip());
        let has_ipv4 = self.addrs_on(&addr.link).any(|a| a.net.is_ipv4());
        if addr.net.is_ipv4() && !has_ipv4 {
            self.routes.retain(|r| r.dev.as_ref() != Some(&addr.link) || r.dst.is_ipv6());
            self.neighs.retain(|n| n.link != addr.link || n.ip.is_ipv6());
        }
    }

    /// The other IPv4 addresses of the link in the subnet of this one. Where it was there before
    /// them, removing it removes them (`__inet_del_ifa()`, `net/ipv4/devinet.c`, with
    /// `promote_secondaries` 0).
    pub(crate) fn siblings(&self, addr: &Addr) -> Vec<Addr> {
        let same_subnet = |a: &&Addr| {
            a.net.is_ipv4()
                && a.net != addr.net
                && a.net.prefix() == addr.net.prefix()
                && a.net.network() == addr.net.network()
        };
        self.addrs_on(&addr.link).filter(same_subnet).cloned().collect()
    }

    /// Whether an address of the namespace is this one.
    pub(crate) fn has_ip(&self, ip: IpAddr) -> bool {
        self.addrs.iter().any(|a| a.net.ip() == ip)
    }

    fn drop_all_on(&mut self, name: &LinkName) {
        let addrs: Vec<Addr> = self.addrs_on(name).cloned().collect();
        self.routes.retain(|r| r.dev.as_ref() != Some(name));
        self.neighs.retain(|n| &n.link != name);
        self.fdb.retain(|e| &e.link != name);
        self.wg_peers.retain(|_, p| &p.link != name);
        self.sysctls.retain(|key, _| link_of(key) != Some(name.as_str()));
        for addr in &addrs {
            self.drop_addr(addr);
        }
    }

    fn drop_ipv6_addrs(&mut self, name: &LinkName) {
        let gone: Vec<Addr> = self.addrs_on(name).filter(|a| a.net.is_ipv6()).cloned().collect();
        for addr in &gone {
            self.drop_addr(addr);
        }
    }

    fn forget_source(&mut self, ip: IpAddr) {
        if self.has_ip(ip) {
            return;
        }
        let users: Vec<Route> = self.routes.iter().filter(|r| r.src == Some(ip)).cloned().collect();
        for route in users {
            self.routes.remove(&route);
            if route.dst.is_ipv6() {
                self.routes.insert(Route { src: None, ..route });
            }
        }
    }
}

/// Whether both are one address; detection of duplicates is a matter of how it was made.
pub(crate) fn same_addr(a: &Addr, b: &Addr) -> bool {
    a.link == b.link && a.net == b.net
}

/// The link a sysctl belongs to: it comes and goes with it.
pub(crate) fn link_of(key: &SysctlKey) -> Option<&str> {
    let mut parts = key.as_str().split('/').skip(2);
    let is_per_link = matches!(parts.next(), Some("conf" | "neigh"));
    parts.next().filter(|name| is_per_link && !matches!(*name, "all" | "default"))
}
