//! Forgets UDP flows: deletes conntrack entries by their original destination port.
//!
//! A UDP client that keeps sending from one port keeps its conntrack entry, and with it the
//! translation of a container that is gone, or none (plugins#123, plugins#1190). Which ports that
//! concerns is decided by others.

use std::net::IpAddr;

use crate::error::{Error, Kind};

/// Deletes the conntrack entries of the calling thread's namespace that are of protocol UDP, of
/// that family, and whose original destination is `host_port` (and `host_ip`, where given).
/// Returns how many went. Without conntrack in the kernel there is nothing to do.
///
/// # Errors
/// The dump or a deletion was refused; what was deleted before stays deleted.
pub fn flush_udp(ipv4: bool, host_ip: Option<IpAddr>, host_port: u16) -> Result<usize, Error> {
    let action = format!("flush udp conntrack {ipv4} {host_ip:?} {host_port}");
    Err(Error::found(action, Kind::Unsupported, "being written"))
}
