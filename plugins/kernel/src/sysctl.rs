//! Sysctls, through `/proc/sys/net`, which shows the namespace of the thread that opens a file.

use std::path::PathBuf;

use netstate::SysctlKey;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// The longest value there is: `net/ipv4/ip_local_reserved_ports` may have more, others have not.
const LONGEST: usize = 4096;

/// What writing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// It had the value.
    Same,
    /// It had another.
    Changed {
        /// The value before, or nothing where it could not be read.
        before: Option<String>,
    },
}

/// The value without its newline; `None` where there is no such sysctl.
pub(crate) fn read(key: &SysctlKey) -> Result<Option<String>, Errno> {
    match open(path(key), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => content(&file).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a value where it differs: a read-only `/proc/sys` is not in the way of what is right
/// already.
pub(crate) fn write(key: &SysctlKey, value: &str) -> Result<Written, Errno> {
    let file = match open(path(key), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(e @ (Errno::ROFS | Errno::ACCESS | Errno::PERM)) => return unwritable(key, value, e),
        Err(e) => return Err(e),
    };
    let before = content(&file)?;
    if same(&before, value) {
        return Ok(Written::Same);
    }
    #[cfg(feature = "inject")]
    if let Some(errno) = crate::inject::next(crate::inject::Kind::Sysctl, false) {
        return Err(Errno::from_raw_os_error(errno));
    }
    let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&file, value.as_bytes(), 0))?;
    if written < value.len() {
        return Err(Errno::INVAL);
    }
    Ok(Written::Changed { before: Some(before) })
}

/// Whether two values mean the same: several numbers in one file are set apart by blanks or tabs.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

fn unwritable(key: &SysctlKey, value: &str, why: Errno) -> Result<Written, Errno> {
    match read(key) {
        Ok(Some(there)) if same(&there, value) => Ok(Written::Same),
        Ok(_) => Err(why),
        Err(_) => write_only(key, value, why),
    }
}

/// Some, as `net/ipv4/route/flush`, can only be written.
fn write_only(key: &SysctlKey, value: &str, why: Errno) -> Result<Written, Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = open(path(key), flags, Mode::empty()).map_err(|_| why)?;
    rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))?;
    Ok(Written::Changed { before: None })
}

fn content(file: &std::os::fd::OwnedFd) -> Result<String, Errno> {
    let mut bytes: Vec<u8> = Vec::with_capacity(LONGEST);
    rustix::io::retry_on_intr(|| {
        rustix::io::read(file, rustix::buffer::spare_capacity(&mut bytes))
    })?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}

fn path(key: &SysctlKey) -> PathBuf {
    ["/proc/sys", key.as_str()].iter().collect()
}
