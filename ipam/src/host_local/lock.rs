//! The lock on a network's directory: `flock(2)` on its file `lock`, as the reference takes it.
//!
//! The reference waits for ever; we wait for a bounded time. The wait is one blocking `flock` on
//! a thread of its own, not a poll: waiters are served in order and without delay. The thread is
//! only started when the lock is not free at once.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use super::error::Error;

/// The lock, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: OwnedFd,
}

/// Locks `file` exclusively. `path` is its name, for errors.
///
/// # Errors
/// [`Error::LockTimeout`] after `timeout`. The waiting thread may outlive the call; should it
/// get the lock after all, it gives it back at once.
pub(super) fn acquire(file: OwnedFd, path: &Path, timeout: Duration) -> Result<Lock, Error> {
    match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(Lock { file }),
        Err(Errno::WOULDBLOCK) => wait(file, path, timeout),
        Err(errno) => Err(Error::io("lock", path, errno)),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do, were it not for forks of this process that still have the file open.
        // Nothing to do about an error: the close that follows unlocks as well.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn wait(file: OwnedFd, path: &Path, timeout: Duration) -> Result<Lock, Error> {
    let failed = |source: io::Error| Error::io("wait for lock", path, source);
    // A duplicate shares the open file, and with it the lock.
    let waiting = file.try_clone().map_err(failed)?;
    let (done, outcome) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("host-local lock".to_owned())
        .spawn(move || {
            let locked = retry_on_intr(|| flock(&waiting, FlockOperation::LockExclusive));
            drop(waiting);
            // Nobody listens any more after a timeout.
            let _ = done.send(locked);
        })
        .map_err(failed)?;
    match outcome.recv_timeout(timeout) {
        Ok(locked) => locked.map_err(|errno| failed(errno.into())).map(|()| Lock { file }),
        Err(_) => Err(Error::LockTimeout { path: path.to_owned(), waited: timeout }),
    }
}
