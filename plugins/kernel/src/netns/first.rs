//! Paths as the host's first process sees them. A service manager, and `unshare -m`, give a program mounts of
//! its own; where it does not see those that others make later, a container's path leads nowhere for it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;

use super::NetnsId;

/// The mount namespace of the first process that this one sees. A program in a container with
/// processes of its own sees no other than its own.
pub(super) const MOUNTS: &str = "/proc/1/ns/mnt";

/// That of this program's first thread, which stays where it is.
const OWN: &str = "/proc/self/ns/mnt";

/// Its root directory.
const ROOT: &str = "/proc/1/root";

/// Whether this program has mounts of its own.
pub(super) fn is_apart() -> bool {
    static APART: OnceLock<bool> = OnceLock::new();
    *APART.get_or_init(|| NetnsId::of_file(Path::new(MOUNTS)) != NetnsId::of_file(Path::new(OWN)))
}

/// Opens what is there at an absolute path. Links in it lead from that root, too, as `/var/run` does.
pub(super) fn open_there(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    if !is_apart() || !path.is_absolute() {
        return Err(Errno::NOENT);
    }
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(ROOT, directory, Mode::empty())?;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
}
