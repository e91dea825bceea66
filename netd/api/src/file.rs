//! Small files that are replaced as a whole.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How a file and the directory it is in are made, whatever the umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Of the file.
    pub file: u32,
    /// Of its directory, where that is missing.
    pub dir: u32,
}

/// Puts `bytes` at `path`: whoever reads sees the old file or the new one, also after a crash of
/// the host. The new one is written under the name [`draft`] first, and a writer that is killed
/// leaves it there for the next one to overwrite; two must not write at the same time.
///
/// # Errors
/// The first call that failed. The old file is as it was, unless that call was the last: to have
/// the directory's change on disk.
pub fn replace(path: &Path, bytes: &[u8], modes: Modes) -> io::Result<()> {
    let dir = directory(path);
    make_dir(dir, modes.dir)?;
    let draft = draft(path);
    let written = write(&draft, bytes, modes.file).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    File::open(dir)?.sync_all()
}

/// `.NAME.new` beside a file.
#[must_use]
pub fn draft(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a directory, and those above it, unless it is there.
fn make_dir(dir: &Path, mode: u32) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(mode))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut open = OpenOptions::new();
    let mut file = open.write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}
