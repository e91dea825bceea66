//! Questions that plugins ask beside observing a scope.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netstate::{Addr, BridgePort, Link, LinkName, Ns, TABLE_MAIN};

use super::Kernel;
use crate::error::{Error, Refusal};
use crate::netlink::Batch;
use crate::route::{RawLink, brief, by_index, local_query, read_route, routes_in, rtm};
use rustix::io::Errno;

/// A link with what the model leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// The link; MTU is always there, the link-layer address where it has one of 48 bits.
    pub link: Link,
    /// Interface index.
    pub index: u32,
    /// Operational state as `ip` writes it, in lower case (`up`, `lowerlayerdown`, `unknown`).
    pub operstate: String,
}

impl Kernel {
    /// A link by its name, in one request (and one for each link it names).
    ///
    /// # Errors
    /// Where it cannot be asked; a link that is not there is `None`.
    pub fn link_by_name(&mut self, ns: &Ns, name: &LinkName) -> Result<Option<LinkState>, Error> {
        let raw = self.raw_link(ns, name)?;
        raw.map_or(Ok(None), |raw| self.link_state(ns, &raw))
    }

    /// The bridge of which a link is a port, and the port's settings; `None` for what is no port,
    /// or not there.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn bridge_port(
        &mut self,
        ns: &Ns,
        name: &LinkName,
    ) -> Result<Option<(LinkName, BridgePort)>, Error> {
        let raw = self.raw_link(ns, name)?;
        let Some((master, port)) = raw.and_then(|raw| Some((raw.master?, raw.port?))) else {
            return Ok(None);
        };
        Ok(self.name_at(ns, master)?.map(|bridge| (bridge, port)))
    }

    /// The addresses of a link; empty where there is no such link. The link-local address that
    /// the kernel makes is not among them.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn addrs_of(&mut self, ns: &Ns, name: &LinkName) -> Result<Vec<Addr>, Error> {
        match self.index(ns, name)? {
            Some(index) => self.addrs_on(ns, name, index),
            None => Ok(Vec::new()),
        }
    }

    /// The link of the default route of lowest metric in the main table.
    ///
    /// # Errors
    /// Where it cannot be asked; no default route is `None`.
    pub fn default_route_link(&mut self, ns: &Ns, ipv6: bool) -> Result<Option<LinkName>, Error> {
        let family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let action = || "look for a default route".to_owned();
        let query = routes_in(family, TABLE_MAIN);
        let defaults = self.listed(ns, rtm::GETROUTE, &query, &action, |body| {
            let (index, route) = read_route(body)?;
            (route.dst.prefix() == 0).then_some((route.metric.unwrap_or(0), index?))
        })?;
        match defaults.into_iter().min_by_key(|(metric, _)| *metric) {
            Some((_, index)) => self.name_at(ns, index),
            None => Ok(None),
        }
    }

    /// The link by which a packet to an address would leave.
    ///
    /// # Errors
    /// Where it cannot be asked; an unreachable address is `None`.
    pub fn route_get(&mut self, ns: &Ns, to: IpAddr) -> Result<Option<LinkName>, Error> {
        let action = || format!("look up the route to {to}");
        let mut batch = Batch::default();
        batch.push(rtm::GETROUTE, 0, &local_query(to));
        let replies = self.route(ns)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        match replies.first_refusal() {
            Some((_, refusal)) if is_unreachable(refusal) => return Ok(None),
            Some((_, refusal)) => return Err(Error::refused(action(), refusal.clone())),
            None => {}
        }
        match replies.data.iter().find_map(|(_, _, body)| crate::route::read_oif(body)) {
            Some(index) => self.name_at(ns, index),
            None => Ok(None),
        }
    }

    /// The links whose `ifalias` begins so. It is a dump: for garbage collection only.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn links_by_alias_prefix(
        &mut self,
        ns: &Ns,
        prefix: &str,
    ) -> Result<Vec<LinkState>, Error> {
        let action = || "list links".to_owned();
        let raws = self.listed(ns, rtm::GETLINK, &brief(by_index(0)), &action, |body| {
            RawLink::parse(body).filter(|l| l.alias.as_ref().is_some_and(|a| a.starts_with(prefix)))
        })?;
        let mut links = Vec::new();
        for raw in raws {
            links.extend(self.link_state(ns, &raw)?);
        }
        Ok(links)
    }

    fn link_state(&mut self, ns: &Ns, raw: &RawLink) -> Result<Option<LinkState>, Error> {
        let link = self.modelled(ns, raw)?;
        Ok(link.map(|link| LinkState { link, index: raw.index, operstate: raw.operstate.clone() }))
    }

    pub(crate) fn name_at(&mut self, ns: &Ns, index: u32) -> Result<Option<LinkName>, Error> {
        if let Some((name, _)) = self.space(ns)?.indexes.iter().find(|(_, known)| **known == index)
        {
            return Ok(Some(name.clone()));
        }
        let name = match self.route(ns)?.interface_name(index) {
            Ok(name) => LinkName::new(name).ok(),
            Err(Errno::NODEV | Errno::NXIO) => None,
            Err(e) => return Err(Error::os(format!("look up link number {index}"), e)),
        };
        if let Some(name) = &name {
            self.remember(ns, name, index)?;
        }
        Ok(name)
    }
}

pub(super) fn is_unreachable(refusal: &Refusal) -> bool {
    [
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
        Errno::SRCH,
        Errno::NETDOWN,
        Errno::INVAL,
        Errno::ACCESS,
    ]
    .into_iter()
    .any(|errno| refusal.is(errno))
}
