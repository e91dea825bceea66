//! A packet socket (packet(7)) that only sends.

use std::os::fd::{AsRawFd, OwnedFd};

use netstate::{LinkName, Mac};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netdevice, socket_with};

/// `ARPHRD_ETHER` (`include/uapi/linux/if_arp.h`).
const ETHERNET: u16 = 1;

/// Opens a socket in the calling thread's namespace. Without a protocol it receives nothing.
pub(super) fn open() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
}

/// Makes the link the one frames go to, and gives its address; nothing where it has no Ethernet
/// address.
pub(super) fn bind(socket: &OwnedFd, link: &LinkName) -> Result<Option<Mac>, Errno> {
    let index = netdevice::name_to_index(socket, link.as_str())?;
    let mut address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(|_| Errno::AFNOSUPPORT)?,
        sll_protocol: 0,
        sll_ifindex: i32::try_from(index).map_err(|_| Errno::NODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let size = libc::socklen_t::try_from(size_of_val(&address)).map_err(|_| Errno::INVAL)?;
    #[expect(unsafe_code, reason = "no safe binding of packet addresses")]
    // SAFETY: the pointer and length are those of a live sockaddr_ll, which the kernel only reads.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) };
    succeeded(bound)?;
    let mut length = size;
    #[expect(unsafe_code, reason = "no safe binding of packet addresses")]
    // SAFETY: the kernel writes at most `length` bytes, the size of the live sockaddr_ll; any
    // bytes make a valid one.
    let named = unsafe {
        libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length)
    };
    succeeded(named)?;
    let [a, b, c, d, e, f, ..] = address.sll_addr;
    let ethernet = address.sll_hatype == ETHERNET && address.sll_halen == 6;
    Ok(ethernet.then_some(Mac([a, b, c, d, e, f])))
}

/// Sends a frame to the link.
pub(super) fn send(socket: &OwnedFd, frame: &[u8]) -> Result<(), Errno> {
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::send(socket, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    })?;
    if sent == frame.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
}

fn succeeded(result: libc::c_int) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
