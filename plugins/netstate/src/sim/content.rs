//! What is on the links of the simulated kernel, policy rules and sysctls.

use std::net::IpAddr;

use super::link::has_ipv6;
use super::tunnel::is_v6;
use super::{Fault, Outcome, Sim, at, exists};
use crate::addr::{Addr, Fdb, Neigh};
use crate::cascade::{link_of, same_addr};
use crate::link::{Link, LinkKind, LinkRef};
use crate::name::{LinkName, Ns, SysctlKey};
use crate::op::{Mode, Op};
use crate::plan::compare::{Rigour, same_addr_key, same_route, same_route_key};
use crate::route::{Route, RouteKind, RouteScope, Rule};
use crate::state::NetState;

/// `RTPROT_BOOT` (`include/uapi/linux/rtnetlink.h`).
const BOOT: u8 = 3;
const NO_IPV6: &str = "the MTU is too small for IPv6";

impl Sim {
    pub(super) fn add_addr(&mut self, ns: &Ns, addr: &Addr, mode: Mode) -> Result<Outcome, Fault> {
        let link = self.link(ns, &addr.link)?;
        if addr.net.is_ipv6() && !has_ipv6(link) {
            return Err(Fault::Invalid(NO_IPV6));
        }
        let space = self.space(ns);
        if let Some(have) = space.addrs.iter().find(|have| same_addr_key(have, addr)) {
            return exists(mode, same_addr(have, addr));
        }
        space.addrs.insert(addr.clone());
        self.addrs.push((ns.clone(), addr.clone()));
        Ok(Outcome::NEW)
    }

    /// Removing the primary IPv4 address of a subnet removes its secondaries.
    pub(super) fn del_addr(&mut self, ns: &Ns, addr: &Addr) -> Outcome {
        let space = self.state.ns_mut(ns.clone());
        if !space.addrs.iter().any(|have| same_addr(have, addr)) {
            return Outcome::SAME;
        }
        let siblings = if addr.net.is_ipv4() { space.siblings(addr) } else { Vec::new() };
        let age =
            |addr: &Addr| self.addrs.iter().position(|(n, have)| n == ns && same_addr(have, addr));
        let is_primary = siblings.iter().all(|sibling| age(addr) < age(sibling));
        space.drop_addr(addr);
        if is_primary {
            siblings.iter().for_each(|sibling| space.drop_addr(sibling));
        }
        self.forget_lost_addrs();
        Outcome::NEW
    }

    pub(super) fn add_route(
        &mut self,
        ns: &Ns,
        route: &Route,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let dev = match route.kind {
            RouteKind::Unicast => Some(self.device_of(ns, route)?),
            _ if route.via.is_some() || route.dev.is_some() => {
                return Err(Fault::Invalid("a route that drops leads nowhere"));
            }
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => None,
        };
        let space = self.space(ns);
        if route.src.is_some_and(|src| !space.has_ip(src)) {
            return Err(Fault::Invalid("the source is no address of this namespace"));
        }
        let rivals: Vec<Route> = at::routes_to(space, route.dst)
            .filter(|have| same_route_key(have, route))
            .cloned()
            .collect();
        if let Some(have) = rivals.first() {
            let same = same_route(have, route, Rigour::Exact);
            let may_go = have.protocol == route.protocol || have.protocol == BOOT;
            if same || mode != Mode::Replace || !may_go {
                return exists(mode, same);
            }
            for rival in &rivals {
                space.routes.remove(rival);
            }
        }
        space.routes.insert(Route { dev, ..route.clone() });
        Ok(Outcome::NEW)
    }

    pub(super) fn del_route(&mut self, ns: &Ns, route: &Route) -> Outcome {
        let space = self.space(ns);
        let have = at::routes_to(space, route.dst)
            .find(|have| same_route(have, route, Rigour::Exact))
            .cloned();
        Outcome::of(have.is_some_and(|have| space.routes.remove(&have)))
    }

    pub(super) fn add_neigh(
        &mut self,
        ns: &Ns,
        neigh: &Neigh,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        self.link(ns, &neigh.link)?;
        let space = self.space(ns);
        if let Some(have) = at::neigh(space, neigh).cloned() {
            if mode != Mode::Replace || have == *neigh {
                return exists(mode, have == *neigh);
            }
            space.neighs.remove(&have);
        }
        space.neighs.insert(neigh.clone());
        Ok(Outcome::NEW)
    }

    pub(super) fn del_neigh(&mut self, ns: &Ns, neigh: &Neigh) -> Outcome {
        let space = self.space(ns);
        let Some(have) = at::neigh(space, neigh).cloned() else { return Outcome::SAME };
        space.neighs.remove(&have);
        Outcome::undone_by(Op::AddNeigh(have))
    }

    pub(super) fn add_fdb(&mut self, ns: &Ns, entry: &Fdb, mode: Mode) -> Result<Outcome, Fault> {
        let link = self.link(ns, &entry.link)?;
        let LinkKind::Vxlan(vxlan) = &link.kind else {
            return Err(Fault::NotSupported("not a VXLAN link"));
        };
        if is_v6(vxlan) != entry.dst.is_ipv6() {
            return Err(Fault::NotSupported("the destination is of another family"));
        }
        let space = self.space(ns);
        if mode == Mode::Replace && !entry.is_list() {
            let others: Vec<Fdb> = at::fdb(space, entry).filter(|e| *e != entry).cloned().collect();
            for other in &others {
                space.fdb.remove(other);
            }
        }
        let is_new = space.fdb.insert(entry.clone());
        if is_new { Ok(Outcome::NEW) } else { exists(mode, true) }
    }

    pub(super) fn add_rule(&mut self, ns: &Ns, rule: &Rule, mode: Mode) -> Result<Outcome, Fault> {
        let is_new = self.space(ns).rules.insert(rule.clone());
        if is_new { Ok(Outcome::NEW) } else { exists(mode, true) }
    }

    pub(super) fn set_sysctl(
        &mut self,
        ns: &Ns,
        key: &SysctlKey,
        value: &str,
        optional: bool,
    ) -> Result<Outcome, Fault> {
        let space = self.space(ns);
        let is_there =
            link_of(key).is_none_or(|name| space.links.keys().any(|link| link.as_str() == name));
        if !is_there {
            return if optional { Ok(Outcome::SAME) } else { Err(Fault::NotFound) };
        }
        let before = space.sysctls.insert(key.clone(), value.to_owned());
        if before.as_deref() == Some(value) {
            return Ok(Outcome::SAME);
        }
        let undo = before.map(|value| Op::SetSysctl { key: key.clone(), value, optional });
        Ok(Outcome { changed: true, undo })
    }

    /// Forgets the age of addresses that are gone.
    pub(super) fn forget_lost_addrs(&mut self) {
        let state = &self.state;
        let is_there = |(ns, addr): &(Ns, Addr)| {
            state.ns(ns).is_some_and(|space| space.addrs.iter().any(|have| same_addr(have, addr)))
        };
        self.addrs.retain(is_there);
    }

    fn link(&self, ns: &Ns, name: &LinkName) -> Result<&Link, Fault> {
        let at = LinkRef { ns: ns.clone(), name: name.clone() };
        self.state.link(&at).ok_or(Fault::NoLink)
    }

    /// The link a new route goes out of: it must be up, and the gateway on it
    /// (`fib_check_nh()`, `net/ipv4/fib_semantics.c`).
    fn device_of(&self, ns: &Ns, route: &Route) -> Result<LinkName, Fault> {
        let named = route.dev.as_ref().map(|dev| self.link(ns, dev)).transpose()?;
        if named.is_some_and(|link| !link.up) {
            return Err(Fault::Down);
        }
        if route.dst.is_ipv6() && named.is_some_and(|link| !has_ipv6(link)) {
            return Err(Fault::Invalid(NO_IPV6));
        }
        let named = named.map(|link| link.name.clone());
        let Some(via) = route.via else {
            return named.ok_or(Fault::Invalid("neither a gateway nor a link"));
        };
        if via.is_ipv4() != route.dst.is_ipv4() {
            return Err(Fault::Invalid("the gateway is of another family"));
        }
        let space = self.state.ns(ns).ok_or(Fault::NoLink)?;
        if space.has_ip(via) {
            return Err(Fault::Invalid("the gateway is this host"));
        }
        let link_local = matches!(via, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if let Some(dev) = named.clone().filter(|_| route.onlink || link_local) {
            return Ok(dev);
        }
        on_link(space, via)
            .find(|dev| named.as_ref().is_none_or(|named| *named == **dev))
            .cloned()
            .ok_or(Fault::Unreachable)
    }
}

/// Links that an address is directly reachable on: by a connected prefix, or a route without a
/// gateway (for IPv4 of a scope within the link).
fn on_link(space: &NetState, ip: IpAddr) -> impl Iterator<Item = &LinkName> {
    let is_up = |name: &LinkName| space.links.get(name).is_some_and(|link| link.up);
    let connected = space.addrs.iter().filter(move |addr| addr.net.contains(ip));
    let routed = space.routes.iter().filter(move |route| {
        route.via.is_none()
            && route.dst.contains(ip)
            && (ip.is_ipv6() || route.scope != RouteScope::Universe)
    });
    connected
        .map(|addr| &addr.link)
        .chain(routed.filter_map(|route| route.dev.as_ref()))
        .filter(move |name| is_up(name))
}
