//! Questions about a whole namespace. They are dumps: for network types that have no links of
//! their own on the host, and for what happens once and not for each container.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netstate::{LinkName, Ns, SysctlKey};

use super::Kernel;
use crate::error::Error;
use crate::route::{RawLink, addrs_of, brief, by_index, read_addr, read_route, routes_by, rtm};
use crate::sysctl;

/// Routes learnt from routers (`RTPROT_RA`, `include/uapi/linux/rtnetlink.h`).
const PROTOCOL_RA: u8 = 9;

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

    /// The value of a sysctl without its newline; `None` where there is no such sysctl.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn sysctl(&mut self, ns: &Ns, key: &SysctlKey) -> Result<Option<String>, Error> {
        let value = self.inside(ns, || sysctl::read(key))?;
        value.map_err(|e| Error::os(format!("read sysctl {key}"), e))
    }
}
