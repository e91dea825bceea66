//! One agent per state directory.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::AgentError;

/// Held as long as the process lives; the kernel lets go of it, however that ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Makes the directory, and takes the lock in it.
    pub(super) fn take(dir: &Path) -> Result<Self, AgentError> {
        let failed = |source| AgentError::Lock { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(dir.join("lock"))
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(Errno::WOULDBLOCK) => Err(AgentError::AnotherRuns(dir.to_owned())),
            Err(errno) => Err(failed(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_told_of_the_first_and_one_that_has_ended_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let first = Lock::take(&dir).unwrap();
        let error = Lock::take(&dir).unwrap_err();
        assert!(error.to_string().contains("another netd runs"), "{error}");
        drop(first);
        Lock::take(&dir).unwrap();
    }
}
