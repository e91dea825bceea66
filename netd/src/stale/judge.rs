//! Whether an attachment's namespace is gone.
//!
//! A record of this boot knows the namespace's device and inode and decides alone. Of a record of
//! another boot only this is certain: its namespace is gone; but the cache may know of a later
//! ADD. The cache knows a path. It is gone when no network namespace is there: an empty file that
//! an unclean end left behind is none. A path below `/proc` may belong to another process by now:
//! see [`super::process`].

use std::io;
use std::path::Path;

use attach::{Namespace, Store};
use cni::runtime::{CachedAttachment, Runtime};
use cni::{Error, ErrorChain};
use kernel::Netns;
use kernel::netns::NetnsError;

use super::known::Known;
use super::process;

/// Whether the namespace of an attachment is gone for certain.
///
/// # Errors
/// Code 8 where that cannot be found out.
pub(super) fn is_gone(known: &Known, runtime: &Runtime, store: &Store) -> Result<bool, Error> {
    let current: Vec<_> =
        known.records.iter().filter(|record| store.is_of_this_boot(record)).collect();
    let mut recorded = current.iter().filter_map(|record| record.netns.as_ref()).peekable();
    if recorded.peek().is_some() {
        for namespace in recorded {
            if is_there(namespace)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    match &known.cached {
        Some(cached) => is_cached_gone(cached, runtime),
        // A record of this boot that names no namespace gives nothing to judge by.
        None => Ok(!known.records.is_empty() && current.is_empty()),
    }
}

/// Whether the namespace is the one behind its path.
fn is_there(namespace: &Namespace) -> Result<bool, Error> {
    let Some(netns) = open(&namespace.path)? else { return Ok(false) };
    let id = netns.id().map_err(|e| failed(&e))?;
    Ok((id.dev, id.ino) == (namespace.dev, namespace.ino))
}

fn is_cached_gone(cached: &CachedAttachment, runtime: &Runtime) -> Result<bool, Error> {
    // Without a namespace of its own (network type `host`), or by a path that meant something to
    // the runtime in the directory it was in.
    let Some(path) = cached.container.netns.as_deref().filter(|path| path.is_absolute()) else {
        return Ok(false);
    };
    match open(path)? {
        None => Ok(true),
        Some(netns) => process::is_another(cached, path, &netns, runtime),
    }
}

/// The namespace at a path; `None` where nothing or something else is there.
fn open(path: &Path) -> Result<Option<Netns>, Error> {
    match Netns::open(path) {
        Ok(netns) => Ok(Some(netns)),
        Err(NetnsError::NotThere(_) | NetnsError::NotNamespace(_)) => Ok(None),
        Err(NetnsError::Open(_, error)) if has_died(&error) => Ok(None),
        Err(error @ (NetnsError::Open(..) | NetnsError::Enter(_))) => Err(failed(&error)),
    }
}

/// ESRCH: the process of `/proc/PID/ns/net` ended between look-up and opening.
fn has_died(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.raw_os_error() == Some(ESRCH)
}

fn failed(error: &NetnsError) -> Error {
    Error::netns(ErrorChain(error).to_string())
}
