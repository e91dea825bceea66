//! The files for others stay as they were written, whoever removes or changes them.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netd_api::file::replace;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::announce::READABLE;

/// At most so often, where another program writes the same files.
const PAUSE: Duration = Duration::from_millis(20);
/// Between lines of the log about it.
const QUIET: Duration = Duration::from_secs(10);

/// A file, and what it is to hold.
pub(super) type Wanted = (PathBuf, Vec<u8>);

/// Guards these files until dropped.
pub(super) fn files(wanted: Vec<Wanted>) -> JoinSet<()> {
    let mut task = JoinSet::new();
    let guarding = async move {
        if let Err(error) = guard(&wanted).await {
            tracing::warn!(%error, "files for others are not guarded: a change of theirs stays");
        }
    };
    task.spawn(guarding.in_current_span());
    task
}

async fn guard(wanted: &[Wanted]) -> io::Result<()> {
    #[expect(deprecated, reason = "the new name is unsafe; an OwnedFd keeps its descriptor")]
    let events = AsyncFd::new(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?)?;
    let dirs: BTreeSet<&Path> = wanted.iter().filter_map(|(path, _)| path.parent()).collect();
    let mut said = None;
    loop {
        // A directory that is gone is made, then watched; what happened in between is seen.
        for _ in 0..2 {
            wanted.iter().for_each(|file| put_back(file, &mut said));
            for dir in &dirs {
                watch(&events, dir);
            }
        }
        tokio::time::sleep(PAUSE).await;
        let mut ready = events.readable().await?;
        drain(&events)?;
        ready.clear_ready();
    }
}

fn put_back((path, bytes): &Wanted, said: &mut Option<Instant>) {
    if std::fs::read(path).is_ok_and(|there| there == *bytes) {
        return;
    }
    let written = replace(path, bytes, READABLE);
    if said.is_none_or(|said| said.elapsed() >= QUIET) {
        *said = Some(Instant::now());
        match written {
            Ok(()) => tracing::warn!(file = %path.display(), "was changed or removed; put back"),
            Err(error) => tracing::error!(file = %path.display(), %error, "cannot be put back"),
        }
    }
}

/// The same directory again is one watch; one that cannot be made is tried at the next event.
fn watch(events: &AsyncFd<OwnedFd>, dir: &Path) {
    let flags = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF;
    if let Err(error) = inotify::add_watch(events.get_ref(), dir, flags) {
        tracing::warn!(dir = %dir.display(), %error, "a directory cannot be watched");
    }
}

/// Takes all events there are; which they are does not matter.
fn drain(events: &AsyncFd<OwnedFd>) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(events.get_ref(), &mut buffer);
    loop {
        match reader.next() {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(path: &Path, text: &str) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while std::fs::read_to_string(path).ok().as_deref() != Some(text) {
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap();
    }

    #[tokio::test]
    async fn a_file_is_back_when_it_or_its_directory_is_removed_or_it_is_changed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("flannel");
        let path = dir.join("subnet.env");
        let _guard = files(vec![(path.clone(), b"right".to_vec())]);
        until(&path, "right").await;
        for _ in 0..3 {
            std::fs::remove_file(&path).unwrap();
            until(&path, "right").await;
            std::fs::write(&path, "wrong").unwrap();
            until(&path, "right").await;
            std::fs::remove_dir_all(&dir).unwrap();
            until(&path, "right").await;
        }
    }
}
