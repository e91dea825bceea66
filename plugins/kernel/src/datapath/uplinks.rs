//! What an agent asks about the way to other hosts: links with their addresses, and routes to one
//! destination.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netstate::{LinkName, Ns};

use super::Kernel;
use crate::error::Error;
use crate::netlink::Batch;
use crate::route::{
    RawLink, addrs_of, brief, by_index, local_query, read_uplink_addr, read_way, rtm,
};

/// A link by which other hosts may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Its name.
    pub name: LinkName,
    /// Interface index.
    pub index: u32,
    /// MTU in bytes.
    pub mtu: u32,
    /// Its addresses, in the kernel's order.
    pub addrs: Vec<UplinkAddr>,
}

/// An address with what tells a lasting one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkAddr {
    /// Address and prefix length.
    pub net: IpNetwork,
    /// Its scope is "global" or "site": others can know it.
    pub global: bool,
    /// Its scope is "host": of use to this host only.
    pub host: bool,
    /// `IFA_F_DEPRECATED`: not for new connections.
    pub deprecated: bool,
    /// `IFA_F_PERMANENT`: without an end.
    pub permanent: bool,
    /// `IFA_F_TEMPORARY` of an IPv6 address (RFC 8981); of an IPv4 address the same bit says that
    /// it is not the first of its network.
    pub temporary: bool,
}

/// The way that a packet would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The link it leaves by.
    pub link: LinkName,
    /// The next hop; none where the destination is on the link.
    pub via: Option<IpAddr>,
    /// The source address it would have.
    pub src: Option<IpAddr>,
}

impl Kernel {
    /// The host's links with all their addresses, in the kernel's order.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn uplinks(&mut self) -> Result<Vec<Uplink>, Error> {
        let action = || "list links".to_owned();
        let mut links: Vec<Uplink> =
            self.listed(&Ns::Host, rtm::GETLINK, &brief(by_index(0)), &action, |body| {
                let raw = RawLink::parse(body)?;
                let name = LinkName::new(raw.name).ok()?;
                Some(Uplink { name, index: raw.index, mtu: raw.mtu, addrs: Vec::new() })
            })?;
        let query = addrs_of(0, AddressFamily::Unspec);
        let action = || "list addresses".to_owned();
        let all = self.listed(&Ns::Host, rtm::GETADDR, &query, &action, read_uplink_addr)?;
        for (index, addr) in all {
            if let Some(link) = links.iter_mut().find(|link| link.index == index) {
                link.addrs.push(addr);
            }
        }
        Ok(links)
    }

    /// The way a packet from this host to an address would go.
    ///
    /// # Errors
    /// Where it cannot be asked; an unreachable address is `None`.
    pub fn way_to(&mut self, to: IpAddr) -> Result<Option<Way>, Error> {
        let action = || format!("look up the route to {to}");
        let mut batch = Batch::default();
        batch.push(rtm::GETROUTE, 0, &local_query(to));
        let replies = self.route(&Ns::Host)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        match replies.first_refusal() {
            Some((_, refusal)) if super::reads::is_unreachable(refusal) => return Ok(None),
            Some((_, refusal)) => return Err(Error::refused(action(), refusal.clone())),
            None => {}
        }
        let Some((index, via, src)) = replies.data.iter().find_map(|(_, _, body)| read_way(body))
        else {
            return Ok(None);
        };
        Ok(self.name_at(&Ns::Host, index)?.map(|link| Way { link, via, src }))
    }
}

#[cfg(test)]
mod tests;
