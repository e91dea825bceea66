//! Network namespaces without processes: each lives by a mount of its file (network_namespaces(7)).
//!
//! The mounts are made in the mount namespace of the host's first process. A service manager gives a
//! program one of its own, and a namespace that is pinned there alone ends with the program.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::{Netns, NetnsError, first};

/// Why a namespace is not pinned, or not found.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// None could be made.
    #[error("make a network namespace")]
    New(#[source] io::Error),
    /// The mounts, or the files below them.
    #[error("{action} network namespace {}", .path.display())]
    Change {
        /// What was attempted.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It cannot be opened or looked at.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}

/// A directory of pinned namespaces. Copies are the same.
#[derive(Debug, Clone)]
pub struct Pins {
    dir: PathBuf,
    /// The mount namespace that it is in, if it is not this program's own.
    mounts: Option<Arc<OwnedFd>>,
}

impl Pins {
    /// A directory as the host's first process sees it. It need not be there.
    #[must_use]
    pub fn of_host(dir: PathBuf) -> Self {
        // Whoever may not look there has no rights to mount anything there either.
        let first = File::open(first::MOUNTS).ok().filter(|_| first::is_apart());
        Self::within(dir, first.map(OwnedFd::from))
    }

    /// A directory in another mount namespace, or in this thread's own.
    #[must_use]
    pub fn within(dir: PathBuf, mounts: Option<OwnedFd>) -> Self {
        Self { dir, mounts: mounts.map(Arc::new) }
    }

    /// Where one of a name is, in that mount namespace.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a namespace and pins it.
    ///
    /// # Errors
    /// [`PinError::New`], [`PinError::Change`]; nothing is left then.
    pub fn make(&self, name: &str) -> Result<Netns, PinError> {
        let netns = thread(|| {
            unshare(UnshareFlags::NEWNET).map_err(PinError::New)?;
            Ok::<_, PinError>(Netns::current()?)
        })?;
        self.pin(name, &netns)?;
        Ok(netns)
    }

    /// Pins a namespace, in the place of whatever is pinned there.
    ///
    /// # Errors
    /// [`PinError::Change`].
    pub fn pin(&self, name: &str, netns: &Netns) -> Result<(), PinError> {
        let path = self.path(name);
        self.change("pin", &path, || {
            free(&path)?;
            fs::create_dir_all(&self.dir)?;
            File::create(&path)?;
            // Descriptors are the process's, in whichever mount namespace a thread is.
            let file = format!("/proc/thread-self/fd/{}", netns.as_fd().as_raw_fd());
            mount_bind(file, &path).inspect_err(|_| drop(fs::remove_file(&path)))?;
            Ok(())
        })
    }

    /// Opens one; `None` where no namespace is pinned.
    ///
    /// # Errors
    /// [`PinError::Netns`].
    pub fn open(&self, name: &str) -> Result<Option<Netns>, PinError> {
        let path = self.path(name);
        let opened = thread(|| {
            self.enter().map_err(|source| NetnsError::Open(path.clone(), source))?;
            Ok::<_, PinError>(Netns::open(&path)?)
        });
        match opened {
            Ok(netns) => Ok(Some(netns)),
            Err(PinError::Netns(NetnsError::NotThere(_) | NetnsError::NotNamespace(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a namespace free: it ends when nothing else has it open. None there is fine.
    ///
    /// # Errors
    /// [`PinError::Change`].
    pub fn remove(&self, name: &str) -> Result<(), PinError> {
        let path = self.path(name);
        self.change("unpin", &path, || free(&path))
    }

    /// The names there are.
    ///
    /// # Errors
    /// [`PinError::Change`], where the directory cannot be read; one that is not there has none.
    pub fn names(&self) -> Result<Vec<String>, PinError> {
        self.change("list", &self.dir, || {
            let entries = match fs::read_dir(&self.dir) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let name = |entry: io::Result<fs::DirEntry>| {
                entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
            };
            entries.map(name).collect()
        })
    }

    fn change<T: Send>(
        &self,
        action: &'static str,
        path: &Path,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, PinError> {
        let done = thread(|| self.enter().and_then(|()| work()));
        done.map_err(|source| PinError::Change { action, path: path.to_owned(), source })
    }

    /// Moves the thread to the mount namespace. It must end there.
    fn enter(&self) -> io::Result<()> {
        let Some(mounts) = &self.mounts else { return Ok(()) };
        // A mount namespace is entered by who shares root and working directory with nobody.
        unshare(UnshareFlags::FS)?;
        Ok(move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?)
    }
}

/// Takes a mount and the file below it away.
fn free(path: &Path) -> io::Result<()> {
    match unmount(path, UnmountFlags::DETACH) {
        // Nothing is there, or nothing is mounted.
        Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(errno.into()),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Does something on a thread that ends with it.
fn thread<T: Send, E: Send + From<Ended>>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netd-pins".to_owned());
        let started = thread.spawn_scoped(scope, work).map_err(Ended)?;
        started.join().unwrap_or_else(|_| Err(Ended(ErrorKind::Other.into()).into()))
    })
}

/// A thread that could not be started.
struct Ended(io::Error);

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        ended.0
    }
}

impl From<Ended> for PinError {
    fn from(ended: Ended) -> Self {
        Self::New(ended.0)
    }
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the only way to make a namespace, and to be alone with a root")]
    // SAFETY: descriptors stay shared; the thread is one of `thread`, and ends soon.
    let left = unsafe { unshare_unsafe(flags) };
    Ok(left?)
}

#[cfg(test)]
mod tests;
