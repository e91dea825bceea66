//! What the kernel tells of changes: the multicast groups of rtnetlink and nf_tables.
//!
//! Nothing is decided here; what cannot matter to whoever keeps routes, neighbours and one table is
//! left out.

mod route;
mod rules;
mod sieve;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipnetwork::IpNetwork;
use netstate::nft::{ChainId, TableId};
use netstate::{LinkName, Mac};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with,
};

use crate::netlink::Messages;
use rules::Heard;

/// `RTNLGRP_LINK`, `_NEIGH`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`
/// (`include/uapi/linux/rtnetlink.h`).
const ROUTE_GROUPS: [u32; 6] = [1, 3, 5, 7, 9, 11];
/// Of these, those of links and addresses.
const LINK_GROUPS: [u32; 3] = [1, 5, 9];
/// Of these, those of links, addresses and routes; `RTNLGRP_IPV4_NETCONF`, `RTNLGRP_IPV6_NETCONF`,
/// `RTNLGRP_NSID`.
const KEPT_GROUPS: [u32; 8] = [1, 5, 7, 9, 11, 24, 25, 28];
/// `NFNLGRP_NFTABLES` (`include/uapi/linux/netfilter/nfnetlink.h`).
const RULES_GROUPS: [u32; 1] = [7];

/// Bytes of events that may wait: at the default of 208 KiB, the end of a device with a thousand
/// peers is lost.
const QUEUE: usize = 4 << 20;
/// Messages that are told at once, at most.
const TOGETHER: usize = 1024;
/// The kernel puts up to a page of notifications into one datagram (`NLMSG_GOODSIZE`), at most
/// 64 KiB.
pub(crate) const LARGEST: usize = 64 << 10;

/// Where the kernel's state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Perhaps anywhere: events were lost.
    Anywhere,
    /// A link of this name is new, changed or gone.
    Link(LinkName),
    /// A setting of a bridge's port may have changed.
    Port(LinkName),
    /// An address of some link is gone.
    Address(IpAddr),
    /// An address that others can know is new on some link, or is another kind of address now.
    NewAddress(IpAddr),
    /// A route to this network is gone, or another is there; the default route's has length 0.
    Route(IpNetwork),
    /// A permanent neighbour of this address is gone, or has another link-layer address.
    Neighbour(IpAddr, Option<Mac>),
    /// A forwarding entry for this link-layer address is gone, or leads elsewhere.
    Forwarding(Mac, Option<IpAddr>),
    /// Somebody else changed the table.
    Table,
    /// An element of the table is gone that had this comment; see [`Own::elements`].
    Element(String),
    /// Somebody else changed one of the chains of others, or took a rule out of it.
    Chain,
    /// The host does not forward any more, by IPv4 or by IPv6.
    NotForwarding,
    /// A namespace is gone that this one knew: that of a veth's far end, or as of
    /// [`crate::Kernel::acquaint`].
    NamespaceGone,
}

/// What the listener makes itself.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Protocol of its routes: those that come are not told of.
    pub route_protocol: u8,
    /// The table that is listened for.
    pub table: TableId,
    /// Chains of others in which its rules are.
    pub chains: Vec<ChainId>,
    /// The table's elements are many owners': of those that come nothing is told, and those that go are
    /// told one by one.
    pub elements: bool,
    /// A chain of the table whose rules are the administrator's: nothing is told of them.
    pub free_chain: &'static str,
    /// How the names of the threads begin that change the table, 15 bytes at most: their changes are not told of.
    pub threads: &'static str,
}

impl Own {
    /// Whether a thread of this name is one of them; none is where no name is given.
    fn is_by(&self, thread: &str) -> bool {
        !self.threads.is_empty() && thread.starts_with(self.threads)
    }
}

/// Hears of changes in the namespace in which it was opened.
#[derive(Debug)]
pub struct Events {
    route: OwnedFd,
    rules: OwnedFd,
    /// Something was to be heard of rules at the end of the last wait.
    rules_wait: bool,
    own: Own,
    heard: Heard,
    buffer: Vec<u8>,
}

impl Events {
    /// Listens in the calling thread's network namespace. When this returns, nothing that happens
    /// afterwards is missed.
    ///
    /// # Errors
    /// Where a netlink socket cannot be opened.
    pub fn open(own: Own) -> io::Result<Self> {
        Self::of(own, &ROUTE_GROUPS, &RULES_GROUPS)
    }

    /// As [`Self::open`], for whoever has links and addresses only: it is told of nothing else, and
    /// sleeps through it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_links() -> io::Result<Self> {
        Self::of(Own::default(), &LINK_GROUPS, &[])
    }

    /// As [`Self::of_links`], and of forwarding, namespaces that go, the table and all routes but those of the listener's
    /// protocol, whose coming and going wakes nobody: for whoever keeps networks and what is on them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_networks(own: Own) -> io::Result<Self> {
        let protocol = own.route_protocol;
        let events = Self::of(own, &KEPT_GROUPS, &RULES_GROUPS)?;
        sieve::without_routes_of(&events.route, protocol)?;
        Ok(events)
    }

    fn of(own: Own, route: &[u32], rules: &[u32]) -> io::Result<Self> {
        Ok(Self {
            route: join(None, route)?,
            rules: join(Some(netlink::NETFILTER), rules)?,
            rules_wait: false,
            own,
            heard: Heard::default(),
            buffer: Vec::with_capacity(LARGEST),
        })
    }

    /// Waits until something is to be heard, `also` can be read, or the time is over. Gives whether
    /// `also` can be read.
    pub fn wait(&mut self, also: BorrowedFd<'_>, pause: Duration) -> bool {
        let mut all = [also, self.route.as_fd(), self.rules.as_fd()]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        // A pause that no timespec holds lasts for ever. An interrupted wait is over.
        let waited = poll(&mut all, Timespec::try_from(pause).ok().as_ref());
        let [also, _, rules] = all.map(|fd| waited.is_ok() && !fd.revents().is_empty());
        self.rules_wait = rules;
        also
    }

    /// What is to be heard by now, a part of it where it is much. Of links, addresses, routes and
    /// neighbours without another wait; of the table as of the last one.
    pub fn notices(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.read_route(&mut notices);
        if std::mem::take(&mut self.rules_wait) {
            self.read_rules(&mut notices);
        }
        notices
    }

    fn read_route(&mut self, notices: &mut Vec<Notice>) {
        for _ in 0..TOGETHER {
            match receive(&self.route, &mut self.buffer) {
                Ok(true) => notices.extend(
                    Messages(&self.buffer)
                        .filter_map(|message| route::notice(message, self.own.route_protocol)),
                ),
                Ok(false) => return,
                Err(_) => notices.push(Notice::Anywhere),
            }
        }
    }

    fn read_rules(&mut self, notices: &mut Vec<Notice>) {
        for _ in 0..TOGETHER {
            match receive(&self.rules, &mut self.buffer) {
                Ok(true) => {
                    let touched = self.heard.take(&self.buffer, &self.own);
                    notices.extend(touched.table.then_some(Notice::Table));
                    notices.extend(touched.chain.then_some(Notice::Chain));
                    notices.extend(touched.elements.into_iter().map(Notice::Element));
                }
                Ok(false) => return,
                Err(_) => notices.push(Notice::Anywhere),
            }
        }
    }
}

/// Waits until `fd` can be read, or the time is over. Gives whether it can.
#[must_use]
pub fn ready(fd: BorrowedFd<'_>, pause: Duration) -> bool {
    let mut one = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut one, Timespec::try_from(pause).ok().as_ref()).is_ok_and(|ready| ready > 0)
}

/// A socket that hears of these groups.
pub(crate) fn join(protocol: Option<Protocol>, groups: &[u32]) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    // Beyond the system's limit where we may (`SO_RCVBUFFORCE` needs CAP_NET_ADMIN).
    set_socket_recv_buffer_size_force(&fd, QUEUE)
        .or_else(|_| set_socket_recv_buffer_size(&fd, QUEUE))?;
    let groups = groups.iter().fold(0, |mask, group| mask | 1 << (group - 1));
    bind(&fd, &SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}

/// Reads the next datagram into the buffer; false if there is none. An error (`ENOBUFS`) means that
/// some were lost.
pub(crate) fn receive(fd: &OwnedFd, buffer: &mut Vec<u8>) -> Result<bool, Errno> {
    loop {
        buffer.clear();
        match recv(fd, rustix::buffer::spare_capacity(buffer), RecvFlags::empty()) {
            Ok(_) => return Ok(true),
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
