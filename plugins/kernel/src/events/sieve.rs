//! Routes that are not told to who would pass over them: the kernel drops them before they wake anybody.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::route::rtm;

// `include/uapi/linux/bpf_common.h`.
const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const JUMP_IF: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// `nlmsg_type` of `struct nlmsghdr`.
const KIND: u32 = 4;
/// `rtm_protocol` of `struct rtmsg`, behind the header.
const PROTOCOL: u32 = 16 + 5;

/// Lets a socket hear nothing of the routes of a protocol.
///
/// # Errors
/// What the system says.
pub(super) fn without_routes_of(socket: &OwnedFd, protocol: u8) -> io::Result<()> {
    // A load turns what is in the host's order into that of the network, and back.
    let kind = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    let mut program = [
        step(LOAD_HALF, 0, 0, KIND),
        step(JUMP_IF, 1, 0, kind(rtm::NEWROUTE)),
        step(JUMP_IF, 0, 3, kind(rtm::DELROUTE)),
        step(LOAD_BYTE, 0, 0, PROTOCOL),
        step(JUMP_IF, 0, 1, u32::from(protocol)),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: 7, filter: program.as_mut_ptr() };
    let length = libc::socklen_t::try_from(size_of_val(&filter)).unwrap_or(0);
    #[expect(unsafe_code, reason = "no safe binding of SO_ATTACH_FILTER")]
    // SAFETY: the pointers and lengths are those of live values, which the kernel only reads.
    let result = unsafe {
        let (socket, filter) = (socket.as_raw_fd(), (&raw const filter).cast());
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, filter, length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}
