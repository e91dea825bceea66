//! Namespaces of containers, as cheap as they can be made: thousands are needed.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// The container id of container `number`.
#[must_use]
pub fn id(number: u32) -> String {
    format!("c{number:04}")
}

/// The path of its namespace.
#[must_use]
pub fn path(number: u32) -> PathBuf {
    PathBuf::from("/run/netns").join(id(number))
}

/// Makes the namespace of a container, unless it is there.
///
/// # Errors
///
/// When it cannot be made.
pub fn make(number: u32) -> Result<()> {
    let path = path(number);
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all("/run/netns")?;
    File::create(&path).with_context(|| format!("make {}", path.display()))?;
    let pinned = std::thread::spawn(move || {
        #[expect(unsafe_code, reason = "the only way to make a namespace")]
        // SAFETY: descriptors stay shared, and the thread ends with its namespace.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("make a namespace")?;
        mount_bind("/proc/thread-self/ns/net", &path).context("pin a namespace")
    });
    pinned.join().map_err(|_| anyhow!("the thread that makes a namespace panicked"))?
}

/// Removes the namespace of a container.
///
/// # Errors
///
/// When there is none.
pub fn remove(number: u32) -> Result<()> {
    let path = path(number);
    unmount(&path, UnmountFlags::DETACH).with_context(|| format!("unmount {}", path.display()))?;
    std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
}
