//! Questions about a whole namespace. They are dumps: for network types that have no links of
//! their own on the host, and for what happens once and not for each container.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netstate::{LinkName, Ns, SysctlKey, TABLE_MAIN};
use rustix::io::Errno;

use super::Kernel;
use crate::error::Error;
use crate::netlink::{Batch, flag};
use crate::route::{
    RawLink, addrs_of, brief, by_index, read_addr, read_destination, read_route, routes_by,
    routes_in, rtm, without_parent,
};
use crate::sysctl;

/// Routes learnt from routers (`RTPROT_RA`, `include/uapi/linux/rtnetlink.h`).
const PROTOCOL_RA: u8 = 9;
/// `RTPROT_KERNEL`.
const PROTOCOL_KERNEL: u8 = 2;

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// To which network.
    pub net: IpNetwork,
    /// By which link, where it is one.
    pub link: Option<u32>,
}

impl Kernel {
    /// The names of all links.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn link_names(&mut self, ns: &Ns) -> Result<Vec<LinkName>, Error> {
        let action = || "list links".to_owned();
        self.listed(ns, rtm::GETLINK, &brief(by_index(0)), &action, |body| {
            RawLink::parse(body).and_then(|l| LinkName::new(l.name).ok())
        })
    }

    /// The VXLAN devices on a UDP port, each with its VNI.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn tunnels_at(&mut self, ns: &Ns, port: u16) -> Result<Vec<(LinkName, u32)>, Error> {
        let action = || "list VXLAN devices".to_owned();
        self.listed(ns, rtm::GETLINK, &brief(by_index(0)), &action, |body| {
            let raw = RawLink::parse(body)?;
            let vxlan = raw.vxlan.filter(|vxlan| vxlan.port == Some(port))?;
            Some((LinkName::new(raw.name).ok()?, vxlan.id))
        })
    }

    /// Whether the kernel has links of a kind that are on others, as `macvlan` and `ipvlan`. Their module is
    /// loaded where there is one.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn has_links_of(&mut self, kind: &str) -> Result<bool, Error> {
        let mut batch = Batch::default();
        batch.push(rtm::NEWLINK, flag::CREATE | flag::EXCL | flag::ACK, &without_parent(kind));
        let action = || format!("look whether there is {kind}");
        let replies = self.route(&Ns::Host)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        Ok(!replies.first_refusal().is_some_and(|(_, refusal)| refusal.is(Errno::OPNOTSUPP)))
    }

    /// The addresses of all links that have any, in order of name.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn addresses_by_link(
        &mut self,
        ns: &Ns,
    ) -> Result<BTreeMap<LinkName, Vec<IpNetwork>>, Error> {
        let action = || "list addresses".to_owned();
        let query = addrs_of(0, AddressFamily::Unspec);
        let all = self.listed(ns, rtm::GETADDR, &query, &action, |body| {
            read_addr(body, &LinkName::lo()).map(|(index, addr)| (index, addr.net))
        })?;
        let mut by_link: BTreeMap<LinkName, Vec<IpNetwork>> = BTreeMap::new();
        for (index, net) in all {
            if let Some(name) = self.name_at(ns, index)? {
                by_link.entry(name).or_default().push(net);
            }
        }
        Ok(by_link)
    }

    /// The host's links by which it reaches containers with addresses of a network: ports of a bridge
    /// that bears an address of it, and links to which somebody's route to a part of it leads, in order
    /// of name.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn users_of(&mut self, network: IpNetwork) -> Result<Vec<LinkName>, Error> {
        let query = addrs_of(0, AddressFamily::Unspec);
        let action = || "list addresses".to_owned();
        let mut gateways = self.listed(&Ns::Host, rtm::GETADDR, &query, &action, |body| {
            let (index, addr) = read_addr(body, &LinkName::lo())?;
            network.contains(addr.net.ip()).then_some(index)
        })?;
        gateways.sort_unstable();
        let action = || "list links".to_owned();
        let query = brief(by_index(0));
        let mut users = self.listed(&Ns::Host, rtm::GETLINK, &query, &action, |body| {
            let link = RawLink::parse(body)?;
            gateways.binary_search(&link.master?).ok()?;
            LinkName::new(link.name).ok()
        })?;
        let family = if network.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let action = || format!("list routes to parts of {network}");
        let query = routes_in(family, TABLE_MAIN);
        let parts = self.listed(&Ns::Host, rtm::GETROUTE, &query, &action, |body| {
            let (index, route) = read_route(body)?;
            // A tunnel end's own address brings one of the kernel's.
            let is_part =
                route.dst.prefix() > network.prefix() && route.protocol != PROTOCOL_KERNEL;
            index.filter(|_| is_part && network.contains(route.dst.ip()))
        })?;
        for index in parts {
            users.extend(self.name_at(&Ns::Host, index)?);
        }
        users.sort_unstable();
        users.dedup();
        Ok(users)
    }

    /// The host's links by which it learnt IPv6 routes from routers.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn links_with_router_routes(&mut self) -> Result<Vec<LinkName>, Error> {
        let action = || "list routes learnt from routers".to_owned();
        let query = routes_by(AddressFamily::Inet6, PROTOCOL_RA);
        let mut indexes = self.listed(&Ns::Host, rtm::GETROUTE, &query, &action, |body| {
            let (index, route) = read_route(body)?;
            index.filter(|_| route.protocol == PROTOCOL_RA)
        })?;
        indexes.sort_unstable();
        indexes.dedup();
        let mut names = Vec::new();
        for index in indexes {
            names.extend(self.name_at(&Ns::Host, index)?);
        }
        Ok(names)
    }

    /// Where all routes of the host lead, of every table and type, in the kernel's order; without the
    /// default routes.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn destinations(&mut self) -> Result<Vec<Destination>, Error> {
        let action = || "list routes".to_owned();
        let mut all = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let query = routes_by(family, 0);
            all.extend(self.listed(&Ns::Host, rtm::GETROUTE, &query, &action, read_destination)?);
        }
        Ok(all)
    }

    /// The name of the host's link of an index, if it is there.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn link_at(&mut self, index: u32) -> Result<Option<LinkName>, Error> {
        self.name_at(&Ns::Host, index)
    }

    /// The value of a sysctl without its newline; `None` where there is no such sysctl.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn sysctl(&mut self, ns: &Ns, key: &SysctlKey) -> Result<Option<String>, Error> {
        let value = self.inside(ns, || sysctl::read(key))?;
        value.map_err(|e| Error::os(format!("read sysctl {key}"), e))
    }
}

#[cfg(test)]
mod tests;
