//! Tells the neighbours of a link about its addresses: gratuitous ARP (RFC 5227 section 3) and
//! unsolicited neighbour advertisements (RFC 4861 section 7.2.6), as raw frames.
//!
//! It waits for nothing and hears nothing: whether an address is in use elsewhere is not asked.

mod frame;
mod packet;

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use ipnetwork::IpNetwork;
use netstate::LinkName;

use crate::closing::close_in_background;
use crate::error::{Error, Kind};
use crate::netns::{Netns, NetnsError};

/// Sends one announcement of each address from that link of that namespace, as a host does, not a
/// router. The link must be up; the addresses need not be there yet. On a link without Ethernet
/// addresses there is nobody to tell. Nothing is left behind.
///
/// # Errors
/// The link is not there or down, or sending was refused; then the other addresses have been
/// announced all the same.
pub fn announce(netns: &Netns, link: &LinkName, addrs: &[IpNetwork]) -> Result<(), Error> {
    announce_by(netns, link, addrs, close_in_background)
}

/// The same for who announces on many links, and closes the sockets by `close`: that makes the caller wait, and
/// until then the socket keeps the namespace alive.
///
/// # Errors
/// As [`announce`].
pub fn announce_by(
    netns: &Netns,
    link: &LinkName,
    addrs: &[IpNetwork],
    close: impl FnOnce(OwnedFd),
) -> Result<(), Error> {
    if addrs.is_empty() {
        return Ok(());
    }
    let action = || format!("announce the addresses of {link}");
    let socket = netns
        .with(packet::open)
        .map_err(|e| unreachable(action(), e))?
        .map_err(|e| Error::os(action(), e))?;
    let result = (|| {
        let Some(mac) = packet::bind(&socket, link).map_err(|e| Error::os(action(), e))? else {
            return Ok(());
        };
        let mut result = Ok(());
        for addr in addrs {
            let sent = match addr.ip() {
                IpAddr::V4(ip) => packet::send(&socket, &frame::arp(mac, ip)),
                IpAddr::V6(ip) => packet::send(&socket, &frame::advertisement(mac, ip)),
            };
            let sent = sent.map_err(|e| Error::os(format!("announce {} on {link}", addr.ip()), e));
            result = result.and(sent);
        }
        result
    })();
    close(socket);
    result
}

fn unreachable(action: String, error: NetnsError) -> Error {
    match error {
        NetnsError::Open(_, source) | NetnsError::Enter(source) => Error::io(action, source),
        NetnsError::NotThere(_) | NetnsError::NotNamespace(_) => {
            Error::found(action, Kind::NotFound, error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
