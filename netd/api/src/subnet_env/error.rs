//! What can be wrong with the file.

use std::io;
use std::path::{Path, PathBuf};

/// Reading or writing the file failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is there, but is no `subnet.env`.
    #[error("{} {fault}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; it goes on after the file's name.
        fault: Fault,
    },
}

impl Error {
    /// Whether there is no such file, yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// What is wrong with the text, as the rest of a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Keys that are not there; a pair of families stands for either.
    #[error("is missing {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// A value that is not what the key wants.
    #[error("line {line}: {key}={value}: expected {expected}")]
    Value {
        /// The line's number, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// What is there.
        value: String,
        /// What should be there.
        expected: &'static str,
    },
    /// A key without `=`.
    #[error("line {line}: {key}: expected \"{key}=VALUE\"")]
    NoValue {
        /// The line's number, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
}

pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

pub(super) fn content(path: &Path) -> impl FnOnce(Fault) -> Error {
    let path = path.to_owned();
    move |fault| Error::Content { path, fault }
}
