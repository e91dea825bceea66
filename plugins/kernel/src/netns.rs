//! Network namespaces: opening, comparing, entering.
//!
//! Only this module changes the namespace of a thread, and always brings it back.

mod first;
mod pins;

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use pins::{PinError, Pins};

/// `NSFS_MAGIC` and `PROC_SUPER_MAGIC` (`include/uapi/linux/magic.h`): a namespace file is on one
/// of them, the second on kernels before 3.19.
const NAMESPACE_FILE_SYSTEMS: [i64; 2] = [0x6e73_6673, 0x9fa0];

/// The calling thread's own namespace.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// Why a namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// Nothing is there: the namespace is gone, or never was.
    #[error("network namespace {} does not exist", .0.display())]
    NotThere(PathBuf),
    /// The file is something else: on another file system, or another kind of namespace.
    #[error("{} is not a network namespace", .0.display())]
    NotNamespace(PathBuf),
    /// It could not be opened or looked at.
    #[error("open network namespace {}", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// The thread could not be moved; it is where it was.
    #[error("enter network namespace")]
    Enter(#[source] io::Error),
}

/// What makes a namespace the same as another: device and inode number of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetnsId {
    /// Device.
    pub dev: u64,
    /// Inode number, unique while the namespace exists and reused after.
    pub ino: u64,
}

impl NetnsId {
    /// What is behind the path of a namespace, if anything is: for this program, or else for the host's first
    /// process.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        // Processes are the same for both.
        if first::is_apart()
            && !path.starts_with("/proc")
            && let Ok(netns) = Netns::open(path)
        {
            return netns.id().ok();
        }
        Self::of_file(path)
    }

    fn of_file(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        Some(Self { dev: file.dev(), ino: file.ino() })
    }
}

/// A network namespace, held open: it lives at least as long as this value.
#[derive(Debug, Clone)]
pub struct Netns(Arc<OwnedFd>);

/// The calling thread is in another namespace until this is dropped. It cannot be sent to
/// another thread.
#[derive(Debug)]
pub struct Entered<'a> {
    home: &'a Netns,
    _not_send: PhantomData<*const ()>,
}

impl Netns {
    /// Opens a namespace by the path of its file.
    ///
    /// # Errors
    /// [`NetnsError::NotThere`] and [`NetnsError::NotNamespace`] as told apart by the reference
    /// plugins, [`NetnsError::Open`] for the rest.
    pub fn open(path: &Path) -> Result<Self, NetnsError> {
        // Without NONBLOCK a FIFO in that place would block for ever.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Self::checked(fd, path),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(NetnsError::NotThere(path.to_owned())),
            Err(e) => Err(NetnsError::Open(path.to_owned(), e.into())),
        };
        match opened {
            // The file is for all who share the directory; what is mounted on it need not be.
            Err(NetnsError::NotThere(_) | NetnsError::NotNamespace(_)) => {
                let there = first::open_there(path, flags).ok();
                there.and_then(|fd| Self::checked(fd, path).ok()).map_or(opened, Ok)
            }
            Ok(_) | Err(_) => opened,
        }
    }

    /// The calling thread's namespace.
    ///
    /// # Errors
    /// [`NetnsError::Open`], as without `/proc`.
    pub fn current() -> Result<Self, NetnsError> {
        // What it is needs no checking.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match rustix::fs::open(CURRENT, flags, Mode::empty()) {
            Ok(fd) => Ok(Self(Arc::new(fd))),
            Err(e) => Err(NetnsError::Open(PathBuf::from(CURRENT), e.into())),
        }
    }

    /// Takes a descriptor that came from elsewhere, as by a socket; `name` is for messages.
    ///
    /// # Errors
    /// [`NetnsError::NotNamespace`] if it is something else.
    pub fn from_fd(fd: OwnedFd, name: &Path) -> Result<Self, NetnsError> {
        Self::checked(fd, name)
    }

    /// A descriptor that the kernel gave for a network namespace. It is closed on exec.
    pub(crate) fn of_kernel(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }

    /// What makes it the same as another.
    ///
    /// # Errors
    /// [`NetnsError::Open`] if it cannot be looked at.
    pub fn id(&self) -> Result<NetnsId, NetnsError> {
        let stat = rustix::fs::fstat(self.0.as_fd())
            .map_err(|e| NetnsError::Open(PathBuf::from("(open file)"), e.into()))?;
        Ok(NetnsId { dev: stat.st_dev, ino: stat.st_ino })
    }

    /// A number that no other namespace has, or will have, in this run of the kernel (`SO_NETNS_COOKIE`, since
    /// Linux 5.14); none where the kernel has no such numbers.
    ///
    /// # Errors
    /// [`NetnsError::Enter`].
    pub fn cookie(&self) -> Result<Option<u64>, NetnsError> {
        self.with(|| {
            let kind = (AddressFamily::UNIX, SocketType::DGRAM);
            let socket = socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None).ok()?;
            cookie_of(socket.as_fd())
        })
    }

    /// Whether both are one namespace.
    ///
    /// # Errors
    /// As [`Netns::id`].
    pub fn is_same(&self, other: &Self) -> Result<bool, NetnsError> {
        Ok(self.id()? == other.id()?)
    }

    /// Moves the calling thread here; it is moved to `home` when the guard is dropped. `home`
    /// must be where it is now.
    ///
    /// # Errors
    /// [`NetnsError::Enter`].
    pub fn enter<'a>(&self, home: &'a Self) -> Result<Entered<'a>, NetnsError> {
        self.set()?;
        Ok(Entered { home, _not_send: PhantomData })
    }

    /// Runs `f` in the namespace and comes back.
    ///
    /// # Errors
    /// [`NetnsError::Enter`] before `f` has run.
    pub fn with<T>(&self, f: impl FnOnce() -> T) -> Result<T, NetnsError> {
        let home = Self::current()?;
        let _inside = self.enter(&home)?;
        Ok(f())
    }

    /// The number to name the namespace by in a message (`IFLA_NET_NS_FD`).
    pub(crate) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    fn set(&self) -> Result<(), NetnsError> {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| NetnsError::Enter(e.into()))
    }

    fn checked(fd: OwnedFd, path: &Path) -> Result<Self, NetnsError> {
        let other = |e: Errno| NetnsError::Open(path.to_owned(), e.into());
        let fs = rustix::fs::fstatfs(&fd).map_err(other)?;
        let known =
            NAMESPACE_FILE_SYSTEMS.iter().any(|magic| i128::from(fs.f_type) == (*magic).into());
        if known && is_network(fd.as_fd()) {
            Ok(Self(Arc::new(fd)))
        } else {
            Err(NetnsError::NotNamespace(path.to_owned()))
        }
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.home.set().is_err() {
            // Going on would change the wrong namespace. It cannot happen while the descriptor is
            // held and capabilities stay.
            std::process::abort();
        }
    }
}

/// That of the namespace that a socket is in (`include/uapi/asm-generic/socket.h`).
fn cookie_of(socket: BorrowedFd<'_>) -> Option<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let mut cookie = 0_u64;
    let mut length: libc::socklen_t = 8;
    #[expect(unsafe_code, reason = "no safe binding of this option")]
    // SAFETY: the kernel writes at most the eight bytes that `length` names, and its length.
    let told = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            std::ptr::from_mut(&mut cookie).cast(),
            &raw mut length,
        )
    };
    (told == 0).then_some(cookie)
}

/// `ioctl(NS_GET_NSTYPE)` (`include/uapi/linux/nsfs.h`).
fn is_network(fd: BorrowedFd<'_>) -> bool {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    #[expect(unsafe_code, reason = "no safe binding of this ioctl")]
    // SAFETY: NS_GET_NSTYPE takes no argument and answers by its return value; on any other kind
    // of file it fails.
    let kind = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    kind == libc::CLONE_NEWNET
}

#[cfg(test)]
mod tests;
