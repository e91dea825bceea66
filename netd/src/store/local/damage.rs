//! A file that is damaged: what it held is lost, and must not keep the host down.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Local;
use crate::store::{Error, Fault};

/// A damaged file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Where it is now.
    pub aside: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Local {
    /// As [`Self::open`]; a file that is damaged is set aside, and an empty one made in its place.
    ///
    /// # Errors
    /// As [`Self::open`], and when it cannot be set aside.
    pub fn open_or_anew(path: &Path) -> Result<(Self, Option<Damaged>), Error> {
        Self::or_anew(path, aside(path))
    }

    /// As [`Self::open_or_anew`], and what was set aside before stays: the files are numbered.
    ///
    /// # Errors
    /// As [`Self::open_or_anew`].
    pub fn open_or_anew_beside_others(path: &Path) -> Result<(Self, Option<Damaged>), Error> {
        Self::or_anew(path, free_aside(path))
    }

    fn or_anew(path: &Path, aside: PathBuf) -> Result<(Self, Option<Damaged>), Error> {
        let damaged = match Self::opened(path) {
            Ok(store) => return Ok((store, None)),
            Err(error) if is(&error) => set_aside(path, aside, &error)?,
            Err(_) => return Self::open(path).map(|store| (store, None)),
        };
        Ok((Self::open(path)?, Some(damaged)))
    }
}

/// Where a damaged file is set aside: beside itself, one generation.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".damaged");
    name.into()
}

/// The same for one more: `.damaged`, or `.damaged.1` and so on where that is there.
fn free_aside(path: &Path) -> PathBuf {
    let first = aside(path);
    let numbered = (1_u32..).map(|number| {
        let mut name = OsString::from(&first);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    let mut all = std::iter::once(first.clone()).chain(numbered);
    all.find(|path| path.symlink_metadata().is_err()).unwrap_or(first)
}

/// Whether an error says that the file is no store, or not a whole one. Where the disk fails or is
/// full, and where another process has the file, it may be fine.
pub(super) fn is(error: &redb::Error) -> bool {
    use redb::Error as E;
    if let E::Io(error) = error {
        return matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
    }
    matches!(
        error,
        E::Corrupted(_)
            | E::UpgradeRequired(_)
            | E::TableTypeMismatch { .. }
            | E::TableIsMultimap(_)
            | E::TypeDefinitionChanged { .. }
    )
}

/// Moves the file away; one that is there already is replaced.
fn set_aside(path: &Path, aside: PathBuf, error: &redb::Error) -> Result<Damaged, Error> {
    std::fs::rename(path, &aside).map_err(|failed| {
        let reason = format!("{error}; it is damaged, and cannot be set aside: {failed}");
        Error::new(format_args!("open {}", path.display()), Fault::File(reason))
    })?;
    Ok(Damaged { aside, reason: error.to_string() })
}
