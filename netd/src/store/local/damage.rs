//! A file that is damaged: what it held is lost, and must not keep the host down.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::store::{Error, Fault};

/// A damaged file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Where it is now.
    pub aside: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Where a damaged file is set aside: beside itself, one generation.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".damaged");
    name.into()
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

/// Moves the file away; one that was set aside before is replaced.
pub(super) fn set_aside(path: &Path, error: &redb::Error) -> Result<Damaged, Error> {
    let aside = aside(path);
    std::fs::rename(path, &aside).map_err(|failed| {
        let reason = format!("{error}; it is damaged, and cannot be set aside: {failed}");
        Error::new(format_args!("open {}", path.display()), Fault::File(reason))
    })?;
    Ok(Damaged { aside, reason: error.to_string() })
}
