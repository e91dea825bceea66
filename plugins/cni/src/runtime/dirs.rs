//! Finding network lists in directories.

use super::Runtime;
use super::list::{NetworkList, PluginConf};
use crate::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

impl Runtime {
    /// The network `name`: in the first directory that has it, `.conflist` before `.conf` and
    /// `.json`, by file name. Files that cannot be read are passed over while another has it.
    ///
    /// # Errors
    /// Code 7 when there is none; the first unreadable file's error when there was one.
    pub fn network(&self, name: &str) -> Result<NetworkList, Error> {
        let (networks, errors) = self.networks();
        if let Some(network) = networks.into_iter().find(|network| network.name == name) {
            return Ok(network);
        }
        let dirs: Vec<_> = self.conf_dirs.iter().map(|dir| dir.display().to_string()).collect();
        let missing = || {
            Error::config(format!("no net configuration with name {name:?} in {}", dirs.join(" ")))
        };
        Err(errors.into_iter().next().unwrap_or_else(missing))
    }

    /// All networks in the order of [`Self::network`], and what could not be read. Of several with
    /// one name the first counts.
    #[must_use]
    pub fn networks(&self) -> (Vec<NetworkList>, Vec<Error>) {
        let (mut networks, mut errors) = (Vec::new(), Vec::new());
        for dir in &self.conf_dirs {
            for extensions in [&["conflist"][..], &["conf", "json"]] {
                match files(dir, extensions) {
                    Err(error) => errors.push(error),
                    Ok(files) => {
                        for file in files {
                            match load(&file) {
                                Ok(network) => networks.push(network),
                                Err(error) => errors.push(error),
                            }
                        }
                    }
                }
            }
        }
        (networks, errors)
    }
}

impl NetworkList {
    /// Reads a list from a file, and unless it says `loadOnlyInlinedPlugins` the plugins in
    /// `NAME/*.conf` beside it.
    ///
    /// # Errors
    /// Code 5 when a file cannot be read; as [`Self::parse`]; each with the file's name.
    pub fn from_file(file: &Path) -> Result<Self, Error> {
        let mut list = Self::parse(read(file)?).map_err(|error| in_file(file, error))?;
        if !list.load_only_inlined_plugins {
            for extra in files(&file.with_file_name(&list.name), &["conf"])? {
                let plugin =
                    PluginConf::parse(&read(&extra)?).map_err(|error| in_file(&extra, error))?;
                list.append(plugin)?;
            }
        }
        if list.plugins.is_empty() {
            return Err(in_file(file, Error::config("no plugin configs found")));
        }
        Ok(list)
    }
}

fn load(file: &Path) -> Result<NetworkList, Error> {
    if file.extension().is_some_and(|extension| extension == "conflist") {
        return NetworkList::from_file(file);
    }
    NetworkList::of_single(&read(file)?).map_err(|error| in_file(file, error))
}

/// The files of a directory with one of these extensions, by name; a missing directory has none.
fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let failed = |error: std::io::Error| Error::io(format!("read {}: {error}", dir.display()));
    let entries = match std::fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| extensions.contains(&extension)) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::io(format!("read {}: {error}", file.display())))
}

fn in_file(file: &Path, error: Error) -> Error {
    error.context(file.display())
}
