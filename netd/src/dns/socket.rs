//! The sockets of one listener.

use std::io;
use std::net::SocketAddr;

use kernel::{Netns, NetnsError};
use netstate::LinkName;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;

/// Connections that wait to be let in.
const BACKLOG: i32 = 64;

/// The number of a device in a namespace, or the host's.
pub(super) fn index(inside: Option<&Netns>, device: &LinkName) -> Option<u32> {
    within(inside, || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        Ok(name_to_index(any, device.as_str())?)
    })
    .ok()
}

/// Listens at an address on a device, in a namespace or the host's: who is not behind the device is not heard, but for this host
/// (`ip_route_output_key_hash_rcu()` of Linux names the address's device, not lo). The address need not
/// be there yet, nor ready for use (IPv6).
///
/// # Errors
/// Where the device is not there, or the port is taken.
pub(super) fn open(
    runtime: &Handle,
    inside: Option<&Netns>,
    device: &LinkName,
    at: SocketAddr,
) -> io::Result<(UdpSocket, TcpListener)> {
    let (datagrams, streams) = within(inside, || {
        let datagrams = bound(device, at, Type::DGRAM, Protocol::UDP)?;
        let streams = bound(device, at, Type::STREAM, Protocol::TCP)?;
        streams.listen(BACKLOG)?;
        Ok((datagrams, streams))
    })?;
    let _entered = runtime.enter();
    Ok((UdpSocket::from_std(datagrams.into())?, TcpListener::from_std(streams.into())?))
}

/// A socket stays in the namespace in which it was made.
fn within<T>(inside: Option<&Netns>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match inside {
        Some(netns) => netns.with(make).map_err(|error: NetnsError| io::Error::other(error))?,
        None => make(),
    }
}

fn bound(device: &LinkName, at: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), kind.nonblocking(), Some(protocol))?;
    // Connections of an earlier server may still end. For datagrams it lets a program be that takes
    // the port on all addresses and says so too: the kernel prefers who names address and device.
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(device.as_str().as_bytes()))?;
    if at.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    socket.bind(&at.into())?;
    Ok(socket)
}
