//! That GC does not run beside ADD and DEL of the same network.

use super::{Runtime, cache::make_dir};
use crate::error::Error;
use rustix::fs::{FlockOperation, Timespec, flock};
use rustix::io::Errno;
use rustix::thread::nanosleep;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

/// How often a held lock is tried again: flock(2) itself waits without a bound.
const STEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// A held lock; it is released when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub(super) struct NetworkLock {
    _file: File,
}

impl Runtime {
    /// Takes part in what may run side by side: ADD, DEL, CHECK.
    pub(super) fn lock_shared(&self, network: &str) -> Result<NetworkLock, Error> {
        self.lock(network, FlockOperation::NonBlockingLockShared)
    }

    /// Waits until nobody else works on the network: GC.
    pub(super) fn lock_exclusive(&self, network: &str) -> Result<NetworkLock, Error> {
        self.lock(network, FlockOperation::NonBlockingLockExclusive)
    }

    /// The file stays: to remove it would let two holders lock two files of one name.
    fn lock(&self, network: &str, operation: FlockOperation) -> Result<NetworkLock, Error> {
        let path = self.cache_dir.join("locks").join(network);
        let failed = |error: io::Error| Error::io(format!("lock {}: {error}", path.display()));
        make_dir(self.cache_dir.join("locks")).map_err(failed)?;
        let mut open = OpenOptions::new();
        let file = open
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let begun = Instant::now();
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(NetworkLock { _file: file }),
                Err(Errno::WOULDBLOCK) if begun.elapsed() < self.lock_wait => {
                    let _ = nanosleep(&STEP);
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::try_again(format!(
                        "network {network:?} is busy: waited {:?} for {}",
                        self.lock_wait,
                        path.display()
                    )));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
    }
}
