//! Whether a process of the host listens on a port that is to be published: it would not be
//! reached any more from outside.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cni::Error;
use drivers::ports::{Mapping, Transport};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};

/// Tries to take the ports, and lets go of them.
///
/// # Errors
/// Code 7 where one is taken and `refuse` is set; otherwise that is a warning on stderr.
pub(super) fn check(mappings: &[Mapping], refuse: bool) -> Result<(), Error> {
    for mapping in mappings.iter().filter(|m| m.transport != Transport::Sctp) {
        if !is_taken(mapping) {
            continue;
        }
        let text = format!(
            "a process on this host listens on port {}/{}: it will not be reached from outside \
             while the port is published",
            mapping.host_port,
            mapping.transport.name()
        );
        if refuse {
            return Err(Error::config(format!("{text} (hostPortConflict is \"error\")")));
        }
        let _ = writeln!(std::io::stderr(), "portmap: {text}");
    }
    Ok(())
}

/// Only "in use" counts: an address the host does not have (yet) can be published all the same.
fn is_taken(mapping: &Mapping) -> bool {
    let any: IpAddr = if mapping.container_ip.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let address = SocketAddr::new(mapping.host_ip.unwrap_or(any), mapping.host_port);
    matches!(try_bind(address, mapping.transport), Err(Errno::ADDRINUSE))
}

fn try_bind(address: SocketAddr, transport: Transport) -> Result<(), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, protocol) = match transport {
        Transport::Udp => (SocketType::DGRAM, ipproto::UDP),
        Transport::Tcp | Transport::Sctp => (SocketType::STREAM, ipproto::TCP),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
    if transport == Transport::Tcp {
        // Connections that linger do not matter, a listener still does.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)
}
