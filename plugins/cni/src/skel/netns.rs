//! Whether CNI_NETNS is the namespace this process runs in.

use super::env::Env;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::ffi::c_void;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The namespace of the main thread (proc_pid_ns(5)), the only one of a plugin. The way by
/// `/proc/thread-self` is as long again.
const OWN: &str = "/proc/self/ns/net";

/// Device and inode number of a namespace's file.
type Identity = (u64, u64);

/// Whether CNI_NETNS_OVERRIDE switches the check off.
pub(super) fn is_overridden(env: &Env) -> bool {
    let value = env.text("CNI_NETNS_OVERRIDE");
    value == "1" || value.eq_ignore_ascii_case("true")
}

/// Whether `path` is the namespace of this process. A path that does not exist is not.
pub(super) fn is_own(path: &Path) -> bool {
    let Some(other) = identity(path) else { return false };
    own_by_socket().or_else(|| identity(Path::new(OWN))) == Some(other)
}

fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok()
}

/// A socket knows its namespace, and is quicker than `/proc`, which makes its files of a process
/// when it is asked for them and throws them away when the process ends.
fn own_by_socket() -> Option<Identity> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).ok()?;
    #[expect(unsafe_code, reason = "no safe binding of this ioctl")]
    // SAFETY: SIOCGSKNS reads and writes no memory of ours.
    let own = unsafe { rustix::ioctl::ioctl(&socket, NamespaceOf) }.ok()?;
    rustix::fs::fstat(&own).map(|file| (file.st_dev, file.st_ino)).ok()
}

/// `SIOCGSKNS` (`net/socket.c`, since 4.10): a new descriptor of the namespace a socket is in, for
/// who may administer that. Closed on exec.
struct NamespaceOf;

#[expect(unsafe_code, reason = "no safe binding of this ioctl")]
// SAFETY: the operation takes no argument, and answers by a descriptor that nobody else has.
unsafe impl Ioctl for NamespaceOf {
    type Output = OwnedFd;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        0x894c
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(fd: IoctlOutput, _: *mut c_void) -> Result<OwnedFd, Errno> {
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
