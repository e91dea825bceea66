//! Persistent TUN devices: packets of a link in the hands of a process (`drivers/net/tun.c`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netstate::LinkName;
use rustix::fs::{Mode, OFlags, open};

/// `include/uapi/linux/if_tun.h`.
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETPERSIST: libc::Ioctl = 0x4004_54cb;
const IFF_TUN: u16 = 0x0001;
const IFF_NO_PI: u16 = 0x1000;

/// `struct ifreq`: a name, flags, and room for the rest of its union.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Takes hold of a device, in the calling thread's network namespace; makes it where it is not there.
/// It stays when the descriptor is closed, with all that is on it; packets are dropped meanwhile.
/// Reads and writes are whole IP packets, and do not wait.
///
/// # Errors
/// Where another process has it (`EBUSY`), a link of that name is no such device (`EINVAL`), or this
/// kernel has none.
pub fn hold(name: &LinkName) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = open("/dev/net/tun", flags, Mode::empty())?;
    let mut request = Request { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    // A name has at most 15 bytes.
    for (place, byte) in request.name.iter_mut().zip(name.as_str().bytes()) {
        *place = byte;
    }
    #[expect(unsafe_code, reason = "no safe binding of ioctl(TUNSETIFF)")]
    // SAFETY: the pointer is that of a live `struct ifreq`, which is all the kernel reads and writes.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETIFF, &raw mut request) })?;
    #[expect(unsafe_code, reason = "no safe binding of ioctl(TUNSETPERSIST)")]
    // SAFETY: the argument is a number.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETPERSIST, 1) })?;
    Ok(fd)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{in_new_host, sh};

    #[test]
    fn a_device_stays_when_nobody_holds_it_and_one_process_holds_it_at_a_time() {
        in_new_host(|| {
            let name = LinkName::fixed("flannel0");
            let first = hold(&name).unwrap();
            assert!(hold(&name).is_err(), "it is held");
            sh("ip addr add 10.5.1.0/32 dev flannel0; ip link set flannel0 up");
            drop(first);
            assert!(sh("ip addr show flannel0").contains("10.5.1.0/32"));
            assert!(hold(&name).is_ok());
            sh("ip link add br0 type bridge");
            assert!(hold(&LinkName::fixed("br0")).is_err());
        });
    }
}
