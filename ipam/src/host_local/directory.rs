//! The files of one network, under its lock.
//!
//! Knows names, contents and modes of the files, and how to change them so that neither we nor
//! the reference ever sees a half-written one. Which address to take is not its matter.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use super::error::Error;
use super::lock::{self, Lock};
use super::owner;

/// The reference's lock file.
const LOCK: &str = "lock";
/// Where a reservation is written when the file system has no unnamed files. To the reference
/// a file like any other whose name is not an address.
const DRAFT: &str = ".netd-draft";

/// How often the directory may vanish between two steps (or be a link to nowhere) before that is
/// an error.
const ATTEMPTS: u32 = 100;
/// Mode of a reservation.
const RESERVATION: Mode = Mode::from_raw_mode(0o600);

/// A network's directory, locked until dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    dir: OwnedFd,
    found: Stamp,
    _lock: Lock,
}

/// What tells whether a directory is the one it was, and unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The inode's number.
    pub(super) inode: u64,
    /// Time of the last change: seconds since 1970.
    pub(super) seconds: i64,
    /// Nanoseconds within the second.
    pub(super) nanoseconds: u64,
}

/// What a name that is an address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A reservation; its content without white space around it.
    Reserved(Vec<u8>),
    /// A reservation that names nobody, and why.
    Void(String),
    /// Not a file: the address cannot be reserved, and nobody has it.
    Foreign,
}

impl Directory {
    /// Opens and locks the directory, which is made if there is none.
    pub(super) fn open_or_create(path: &Path, timeout: Duration) -> Result<Self, Error> {
        for _ in 0..ATTEMPTS {
            match Self::open(path, timeout)? {
                Some(dir) => return Ok(dir),
                None => make(path)?,
            }
        }
        Err(Error::io("create directory", path, Errno::NOENT))
    }

    /// Opens and locks the directory; `None` if there is none.
    pub(super) fn open(path: &Path, timeout: Duration) -> Result<Option<Self>, Error> {
        for _ in 0..ATTEMPTS {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = match rustix::fs::open(path, flags, Mode::empty()) {
                Ok(dir) => dir,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(Error::io("open directory", path, errno)),
            };
            let lock_path = path.join(LOCK);
            let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC;
            let lock = match rustix::fs::openat(&dir, LOCK, flags, Mode::from_raw_mode(0o750)) {
                Ok(file) => lock::acquire(file, &lock_path, timeout)?,
                // The directory was removed since it was opened.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(Error::io("open lock", &lock_path, errno)),
            };
            let stat = rustix::fs::fstat(&dir)
                .map_err(|errno| Error::io("inspect directory", path, errno))?;
            // The lock of a directory that was removed while we waited protects nothing.
            if stat.st_nlink > 0 {
                let found = Stamp {
                    inode: stat.st_ino,
                    seconds: stat.st_mtime,
                    nanoseconds: stat.st_mtime_nsec,
                };
                return Ok(Some(Self { path: path.to_owned(), dir, found, _lock: lock }));
            }
        }
        Err(Error::io("lock directory", path, Errno::NOENT))
    }

    /// The path of the directory, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file of the directory, for errors.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory as it was when it was locked.
    pub(super) fn found(&self) -> Stamp {
        self.found
    }

    /// Sets the time of the last change, in seconds since 1970; `None` is now.
    pub(super) fn set_changed(&self, seconds: Option<i64>) -> Result<(), Errno> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let last_modification = seconds.map_or(now, |tv_sec| Timespec { tv_sec, tv_nsec: 0 });
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        rustix::fs::futimens(&self.dir, &Timestamps { last_access, last_modification })
    }

    /// Opens a file of the directory.
    pub(super) fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, name, flags | OFlags::CLOEXEC, mode)
    }

    /// Reads a file, in one system call if it is as small as reservations are.
    pub(super) fn read_small(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = self.open_at(name, flags, Mode::empty())?;
        let mut content = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer))?;
            content.extend(buffer.iter().take(count));
            if count < buffer.len() {
                return Ok(content);
            }
        }
    }

    /// All entries whose name is an address as the reference writes it. The remains of an
    /// operation that was killed are removed on the way.
    pub(super) fn scan(&self) -> Result<Vec<(IpAddr, Entry)>, Error> {
        let failed = |errno: Errno| Error::io("read directory", &self.path, errno);
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == DRAFT {
                self.remove_name(DRAFT)?;
            }
            let Some(address) = name.parse::<IpAddr>().ok().filter(|ip| ip.to_string() == name)
            else {
                continue;
            };
            let found = match entry.file_type() {
                FileType::RegularFile | FileType::Unknown => self.read(address)?,
                FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::Directory
                | FileType::CharacterDevice
                | FileType::BlockDevice => Some(Entry::Foreign),
            };
            entries.extend(found.map(|found| (address, found)));
        }
        Ok(entries)
    }

    /// The entry of `address`, if there is one.
    pub(super) fn read(&self, address: IpAddr) -> Result<Option<Entry>, Error> {
        let name = address.to_string();
        // A second try, before an error of the device costs someone the address.
        let content = match self.read_small(&name) {
            Err(Errno::IO) => self.read_small(&name),
            content => content,
        };
        match content {
            Ok(content) => Ok(Some(match owner::trim(&content) {
                Some(trimmed) => Entry::Reserved(trimmed.to_owned()),
                None => Entry::Void("it names no container".to_owned()),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::ISDIR | Errno::LOOP | Errno::NXIO) => Ok(Some(Entry::Foreign)),
            // Damaged on disk. Other errors are ours (no memory, no rights), not the file's.
            Err(errno @ (Errno::IO | Errno::UCLEAN)) => {
                Ok(Some(Entry::Void(format!("it cannot be read: {}", io::Error::from(errno)))))
            }
            Err(errno) => Err(Error::io("read reservation", &self.path.join(name), errno)),
        }
    }

    /// Makes the file for `address`, complete or not at all. `false`: the name is in use.
    pub(super) fn place(&self, address: IpAddr, content: &[u8]) -> Result<bool, Error> {
        let name = address.to_string();
        let failed = |errno| Error::io("create reservation", &self.path.join(&name), errno);
        // Not every file system has unnamed files, and giving them a name takes /proc.
        let placed = match self.unnamed(&name, content) {
            placed @ (Ok(()) | Err(Errno::EXIST)) => placed,
            Err(_) => self.draft(&name, content),
        };
        match placed {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Removes the file for `address`; it may be gone already.
    pub(super) fn remove(&self, address: IpAddr) -> Result<(), Error> {
        self.remove_name(&address.to_string())
    }

    fn remove_name(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io("remove reservation", &self.path.join(name), errno)),
        }
    }

    /// By a file without a name: gone, should we be killed before it has one.
    fn unnamed(&self, name: &str, content: &[u8]) -> Result<(), Errno> {
        let file = self.open_at(".", OFlags::TMPFILE | OFlags::WRONLY, RESERVATION)?;
        write_all(&file, content)?;
        // The descriptor itself: allowed to CAP_DAC_READ_SEARCH, from Linux 6.10 on to all who opened it.
        match rustix::fs::linkat(&file, "", &self.dir, name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT | Errno::PERM | Errno::ACCESS) => {}
            linked => return linked,
        }
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, source, &self.dir, name, AtFlags::SYMLINK_FOLLOW)
    }

    /// By a file with another name. Should we be killed, the next operation sees that the
    /// directory has changed, reads all of it, and removes that file.
    fn draft(&self, name: &str, content: &[u8]) -> Result<(), Errno> {
        let _ = rustix::fs::unlinkat(&self.dir, DRAFT, AtFlags::empty());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
        let file = self.open_at(DRAFT, flags, RESERVATION)?;
        let linked = write_all(&file, content)
            .and_then(|()| rustix::fs::linkat(&self.dir, DRAFT, &self.dir, name, AtFlags::empty()));
        rustix::fs::unlinkat(&self.dir, DRAFT, AtFlags::empty()).and(linked)
    }
}

/// Makes the directory and those above it, with mode 0755 whatever the umask: the store must
/// be readable by whoever runs plugins.
fn make(path: &Path) -> Result<(), Error> {
    match make_one(path) {
        Err(Errno::NOENT) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            // Once more only: below some directories, like /proc, nothing can ever be made.
            let made = parent.map_or(Ok(()), make).map(|()| make_one(path))?;
            made.map_err(|errno| Error::io("create directory", path, errno))
        }
        made => made.map_err(|errno| Error::io("create directory", path, errno)),
    }
}

fn make_one(path: &Path) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o755);
    match rustix::fs::mkdir(path, mode) {
        Ok(()) => rustix::fs::chmod(path, mode),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn write_all(file: impl AsFd, mut content: &[u8]) -> Result<(), Errno> {
    while !content.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::write(&file, content))?;
        content = content.get(count..).unwrap_or_default();
    }
    Ok(())
}
