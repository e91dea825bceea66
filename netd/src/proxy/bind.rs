//! A published port's socket.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{Forward, Protocol};

/// How many connections wait to be accepted; the kernel's limit is what counts.
const BACKLOG: i32 = 4096;

/// An open port.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Bound {
    /// Opens a port, without waiting ever after; that of every IPv6 address for IPv4 too where
    /// `is_for_both`.
    ///
    /// # Errors
    /// What bind(2) says: `EADDRINUSE` where another program has it, `EADDRNOTAVAIL` where the address
    /// is none of this host's.
    pub(super) fn open(forward: &Forward, is_for_both: bool) -> io::Result<Self> {
        let address = forward.listen;
        let kind = match forward.protocol {
            Protocol::Tcp => Type::STREAM,
            Protocol::Udp => Type::DGRAM,
        };
        let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), None)?;
        if address.is_ipv6() {
            socket.set_only_v6(!is_for_both)?;
        }
        if forward.protocol == Protocol::Tcp {
            // Connections of before, in TIME_WAIT, keep nobody from the port.
            socket.set_reuse_address(true)?;
        }
        socket.bind(&SockAddr::from(address))?;
        Ok(match forward.protocol {
            Protocol::Udp => Self::Udp(socket.into()),
            Protocol::Tcp => {
                socket.listen(BACKLOG)?;
                Self::Tcp(socket.into())
            }
        })
    }

    /// Where it is.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        }
    }
}
