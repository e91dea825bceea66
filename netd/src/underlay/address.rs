//! Which of an interface's addresses is the one to use.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kernel::{Uplink, UplinkAddr};

/// Whether the interface has the address, of whatever kind.
pub(super) fn owns(link: &Uplink, ip: IpAddr) -> bool {
    link.addrs.iter().any(|addr| addr.net.ip() == ip)
}

/// The addresses that others can send to, best first: global before link-local, lasting before
/// not, main before temporary; else the kernel's order.
pub(super) fn usable(link: &Uplink) -> impl Iterator<Item = IpAddr> {
    let mut addrs: Vec<&UplinkAddr> = link.addrs.iter().filter(|a| is_usable(a)).collect();
    addrs.sort_by_key(|a| (Reverse(is_global(a)), Reverse(a.permanent), a.temporary));
    addrs.into_iter().map(|addr| addr.net.ip())
}

pub(super) fn first_v4(link: &Uplink) -> Option<Ipv4Addr> {
    usable(link).find_map(super::as_v4)
}

pub(super) fn first_v6(link: &Uplink) -> Option<Ipv6Addr> {
    usable(link).find_map(super::as_v6)
}

fn is_usable(addr: &UplinkAddr) -> bool {
    let ip = addr.net.ip();
    !addr.deprecated && !addr.host && !ip.is_loopback() && !ip.is_multicast()
}

fn is_global(addr: &UplinkAddr) -> bool {
    let link_local = match addr.net.ip() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    addr.global && !link_local
}
