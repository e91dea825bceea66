//! Links, addresses, routes and neighbours. Only what is looked for is read of a message, so that
//! nothing else in it can hide it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use netstate::{LinkName, Mac};

use super::Notice;
use crate::netlink::Received;
use crate::netlink::wire::{Attrs, number};
use crate::route::rtm;

/// `AF_UNSPEC`, `AF_BRIDGE`, `AF_INET`, `AF_INET6`.
const UNSPEC: u8 = 0;
const BRIDGE: u8 = 7;
const INET: u8 = 2;
const INET6: u8 = 10;
/// `NUD_PERMANENT` (`include/uapi/linux/neighbour.h`).
const PERMANENT: u16 = 0x80;
/// `RT_SCOPE_LINK` (`include/uapi/linux/rtnetlink.h`).
const LINK_SCOPE: u8 = 253;

/// What a message tells, if it can matter to whoever makes the routes of a protocol.
pub(super) fn notice(message: Received<'_>, own_protocol: u8) -> Option<Notice> {
    let body = message.body;
    match message.kind {
        rtm::NEWLINK | rtm::DELLINK => link(body),
        rtm::DELADDR => address(body).map(Notice::Address),
        // Every port of a bridge gets a link-local one.
        rtm::NEWADDR if body.get(3).is_none_or(|scope| *scope >= LINK_SCOPE) => None,
        rtm::NEWADDR => address(body).map(Notice::NewAddress),
        // Of its own it knows.
        rtm::NEWROUTE if body.get(5) == Some(&own_protocol) => None,
        rtm::NEWROUTE | rtm::DELROUTE => route(body),
        rtm::DELNSID => Some(Notice::NamespaceGone),
        rtm::NEWNETCONF => forwarding(body),
        rtm::NEWNEIGH => neighbour(body, true),
        rtm::DELNEIGH => neighbour(body, false),
        _ => None,
    }
}

/// `struct ifinfomsg`.
fn link(body: &[u8]) -> Option<Notice> {
    const NAME: u16 = 3; // IFLA_IFNAME
    let name = LinkName::new(Attrs(body.get(16..)?).text(NAME)?).ok()?;
    match *body.first()? {
        UNSPEC => Some(Notice::Link(name)),
        BRIDGE => Some(Notice::Port(name)),
        _ => None,
    }
}

/// `struct netconfmsg`: that of all links together tells (`inet_forward_change()`, `net/ipv4/devinet.c`;
/// `addrconf_fixup_forwarding()`, `net/ipv6/addrconf.c`).
fn forwarding(body: &[u8]) -> Option<Notice> {
    const IFINDEX: u16 = 1; // NETCONFA_IFINDEX
    const FORWARDING: u16 = 2; // NETCONFA_FORWARDING
    const ALL: [u8; 4] = (-1_i32).to_ne_bytes(); // NETCONFA_IFINDEX_ALL
    let attributes = Attrs(body.get(4..)?);
    let is_off = attributes.get(FORWARDING)?.iter().all(|byte| *byte == 0);
    (is_off && attributes.get(IFINDEX)? == ALL).then_some(Notice::NotForwarding)
}

/// `struct ifaddrmsg`.
fn address(body: &[u8]) -> Option<IpAddr> {
    const ADDRESS: u16 = 1; // IFA_ADDRESS: the far end's, where there is one
    const LOCAL: u16 = 2; // IFA_LOCAL
    let attributes = Attrs(body.get(8..)?);
    attributes.get(LOCAL).or_else(|| attributes.get(ADDRESS)).and_then(ip)
}

/// `struct rtmsg`.
fn route(body: &[u8]) -> Option<Notice> {
    const DST: u16 = 1; // RTA_DST
    let dst = match Attrs(body.get(12..)?).get(DST) {
        Some(bytes) => ip(bytes)?,
        None if *body.first()? == INET => Ipv4Addr::UNSPECIFIED.into(),
        None => Ipv6Addr::UNSPECIFIED.into(),
    };
    let net = IpNetwork::new(dst, *body.get(1)?).ok()?;
    // Addresses of hosts come and go with every container.
    (net.prefix() < if net.is_ipv4() { 32 } else { 128 }).then_some(Notice::Route(net))
}

/// `struct ndmsg`.
fn neighbour(body: &[u8], there: bool) -> Option<Notice> {
    const DST: u16 = 1; // NDA_DST
    const LLADDR: u16 = 2; // NDA_LLADDR
    let lasting = there && number(body, 8)? & PERMANENT != 0;
    let attributes = Attrs(body.get(12..)?);
    let to = attributes.get(DST).and_then(ip);
    let mac = attributes.get(LLADDR).and_then(|bytes| bytes.try_into().ok()).map(Mac);
    match *body.first()? {
        BRIDGE => Some(Notice::Forwarding(mac?, to.filter(|_| lasting))),
        INET | INET6 => Some(Notice::Neighbour(to?, mac.filter(|_| lasting))),
        _ => None,
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}
