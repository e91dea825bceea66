//! What lies on one link, by dumps that the kernel filters (strict checking).

use ipnetwork::IpNetwork;
use netlink_packet_core::Emitable;
use netlink_packet_route::AddressFamily;
use netstate::{Addr, Fdb, LinkName, Neigh, Ns, Route, Rule, VlanRange};
use rustix::io::Errno;

use super::Kernel;
use crate::error::{Error, Refusal};
use crate::netlink::Batch;
use crate::route::{
    PortVlans, addrs_of, match_query, neighs_of, read_addr, read_fdb, read_neigh, read_route,
    read_routes, read_rule, read_vlans, routes_by, routes_in, routes_of, rtm, rules_of,
};

/// IPv4 and IPv6.
const FAMILIES: [AddressFamily; 2] = [AddressFamily::Inet, AddressFamily::Inet6];
/// `RTPROT_KERNEL` (`include/uapi/linux/rtnetlink.h`): routes that come with addresses.
const BY_KERNEL: u8 = 2;

impl Kernel {
    /// The addresses of a link, but for the link-local one that the kernel makes; empty where the
    /// link is gone.
    pub(crate) fn addrs_on(
        &mut self,
        ns: &Ns,
        name: &LinkName,
        index: u32,
    ) -> Result<Vec<Addr>, Error> {
        let query = addrs_of(index, AddressFamily::Unspec);
        let action = || format!("list addresses of {name}");
        self.listed(ns, rtm::GETADDR, &query, &action, |body| {
            read_addr(body, name).filter(|(i, _)| *i == index).map(|(_, addr)| addr)
        })
    }

    /// The unicast routes through a link that somebody made.
    pub(crate) fn routes_on(
        &mut self,
        ns: &Ns,
        name: &LinkName,
        index: u32,
    ) -> Result<Vec<Route>, Error> {
        let mut routes = Vec::new();
        for family in FAMILIES {
            let action = || format!("list routes through {name}");
            let query = routes_of(family, index);
            let found = self.listed(ns, rtm::GETROUTE, &query, &action, |body| {
                Some(read_routes(body)).filter(|hops| !hops.is_empty())
            })?;
            let ours = |(oif, route): (Option<u32>, Route)| {
                (oif == Some(index) && route.protocol != BY_KERNEL)
                    .then(|| Route { dev: Some(name.clone()), ..route })
            };
            routes.extend(found.into_iter().flatten().filter_map(ours));
        }
        Ok(routes)
    }

    /// The routes made by a protocol number, with the index of their link.
    pub(crate) fn routes_made_by(
        &mut self,
        ns: &Ns,
        protocol: u8,
    ) -> Result<Vec<(Option<u32>, Route)>, Error> {
        let mut routes = Vec::new();
        for family in FAMILIES {
            let action = || format!("list routes of protocol {protocol}");
            let query = routes_by(family, protocol);
            routes.extend(self.listed(ns, rtm::GETROUTE, &query, &action, |body| {
                read_route(body).filter(|(_, route)| route.protocol == protocol)
            })?);
        }
        Ok(routes)
    }

    /// The routes to a destination in a table, with the names of their links.
    pub(crate) fn routes_to(
        &mut self,
        ns: &Ns,
        dst: IpNetwork,
        table: u32,
    ) -> Result<Vec<Route>, Error> {
        let family = if dst.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let action = || format!("list routes to {dst}");
        let found = self.listed(ns, rtm::GETROUTE, &routes_in(family, table), &action, |body| {
            read_route(body).filter(|(_, route)| route.dst == dst && route.table == table)
        })?;
        let mut routes = Vec::new();
        for (index, mut route) in found {
            if let Some(index) = index {
                route.dev = self.name_at(ns, index)?;
            }
            routes.push(route);
        }
        Ok(routes)
    }

    /// The routes where a route would be put: of its destination, table and metric. Unless one of a
    /// longer prefix decides about the base address, it costs the same however many there are.
    pub(crate) fn routes_at(&mut self, ns: &Ns, wanted: &Route) -> Result<Vec<Route>, Error> {
        let is_rival = |route: &Route| {
            (route.dst, route.table, route.metric) == (wanted.dst, wanted.table, wanted.metric)
        };
        let mut batch = Batch::default();
        batch.push(rtm::GETROUTE, 0, &match_query(wanted.dst.ip()));
        let action = || format!("look up the route to {}", wanted.dst);
        let replies = self.route(ns)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        let found = replies.data.iter().find_map(|(_, _, body)| read_route(body));
        if let Some((index, mut route)) = found.filter(|(_, route)| is_rival(route)) {
            if let Some(index) = index {
                route.dev = self.name_at(ns, index)?;
            }
            return Ok(vec![route]);
        }
        let mut routes = self.routes_to(ns, wanted.dst, wanted.table)?;
        routes.retain(is_rival);
        Ok(routes)
    }

    /// The permanent neighbours of a link.
    pub(crate) fn neighs_on(
        &mut self,
        ns: &Ns,
        name: &LinkName,
        index: u32,
    ) -> Result<Vec<Neigh>, Error> {
        let query = neighs_of(index, AddressFamily::Unspec);
        let action = || format!("list neighbours of {name}");
        self.listed(ns, rtm::GETNEIGH, &query, &action, |body| {
            read_neigh(body, name).filter(|(i, _)| *i == index).map(|(_, neigh)| neigh)
        })
    }

    /// The permanent forwarding entries of a VXLAN link.
    pub(crate) fn fdb_on(
        &mut self,
        ns: &Ns,
        name: &LinkName,
        index: u32,
    ) -> Result<Vec<Fdb>, Error> {
        let query = neighs_of(index, AddressFamily::Bridge);
        let action = || format!("list forwarding entries of {name}");
        self.listed(ns, rtm::GETNEIGH, &query, &action, |body| {
            read_fdb(body, name).filter(|(i, _)| *i == index).map(|(_, fdb)| fdb)
        })
    }

    /// The VLANs of a port of a bridge that filters.
    pub(crate) fn vlans_of(&mut self, ns: &Ns, index: u32) -> Result<Vec<VlanRange>, Error> {
        let action = || format!("list VLANs of port number {index}");
        let query = PortVlans(index);
        let lists =
            self.listed(ns, rtm::GETVLAN, &query, &action, |body| Some(read_vlans(body)))?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// The policy rules that look a table up and that the model has words for.
    pub(crate) fn rules_to(&mut self, ns: &Ns, table: u32) -> Result<Vec<Rule>, Error> {
        let mut rules = Vec::new();
        for family in FAMILIES {
            let action = || format!("list policy rules for table {table}");
            rules.extend(self.listed(ns, rtm::GETRULE, &rules_of(family), &action, |body| {
                read_rule(body).filter(|rule| rule.table == table)
            })?);
        }
        Ok(rules)
    }

    /// Dumps, and keeps what `read` makes of each message. What is not there is an empty list.
    pub(crate) fn listed<T>(
        &mut self,
        ns: &Ns,
        kind: u16,
        query: &impl Emitable,
        action: &dyn Fn() -> String,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let socket = self.route(ns)?;
        let listed: Result<Vec<T>, Refusal> =
            socket.dump(kind, query, |list: &mut Vec<T>, _, body| list.extend(read(body)));
        match listed {
            Err(refusal) if refusal.is(Errno::NODEV) || refusal.is(Errno::NOENT) => Ok(Vec::new()),
            // Without IPv6 in the kernel there is nothing of it.
            Err(refusal) if refusal.is(Errno::OPNOTSUPP) => Ok(Vec::new()),
            other => other.map_err(|refusal| Error::refused(action(), refusal)),
        }
    }
}
