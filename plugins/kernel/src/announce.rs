//! Tells the neighbours of a link about its addresses: gratuitous ARP (RFC 5227 section 3) and
//! unsolicited neighbour advertisements (RFC 4861 section 7.2.6), as raw frames.
//!
//! It waits for nothing and hears nothing: whether an address is in use elsewhere is not asked.

use ipnetwork::IpNetwork;
use netstate::LinkName;

use crate::Netns;
use crate::error::{Error, Kind};

/// Sends one announcement of each address from that link of that namespace. The link must be up.
///
/// # Errors
/// The link is not there or down, or sending was refused; the other addresses were announced.
pub fn announce(netns: &Netns, link: &LinkName, addrs: &[IpNetwork]) -> Result<(), Error> {
    let _ = (netns, addrs);
    Err(Error::found(
        format!("announce the addresses of {link}"),
        Kind::Unsupported,
        "being written",
    ))
}
