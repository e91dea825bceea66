//! Endpoints on disk: below the run directory, so they die with the host's run. No fsync: what a crash of
//! the host leaves is void.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use netd_api::endpoints;
use netd_api::file::draft;

use crate::endpoint::{Endpoint, EndpointError};
use crate::network::Id;

/// The files: `<dir>/<network id>/<container>-<ifname>.json`.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    /// Those below a directory, which need not be there.
    pub(super) fn new(run_dir: &Path) -> Self {
        Self { dir: run_dir.join(endpoints::DIR) }
    }

    /// Where they are.
    pub(super) fn dir(&self) -> String {
        self.dir.to_string_lossy().into_owned()
    }

    /// Writes an endpoint: the old file or the new one is there, never half of one.
    pub(super) fn write(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let path = self.path(&endpoint.network, &endpoint.key());
        let bytes = cni::json::compact(endpoint);
        let draft = draft(&path);
        let write = || match fs::write(&draft, &bytes) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(&draft, &bytes)
            }
            written => written,
        };
        write().and_then(|()| fs::rename(&draft, &path)).map_err(|source| {
            let _ = fs::remove_file(&draft);
            EndpointError::File { action: "write", path, source }
        })
    }

    /// Forgets an endpoint. Gone already is fine.
    pub(super) fn remove(&self, network: &Id, key: &str) -> Result<(), EndpointError> {
        let path = self.path(network, key);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(EndpointError::File { action: "remove", path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether there is any of a network.
    pub(super) fn are_there(&self, network: &Id) -> bool {
        !entries(&self.dir.join(network.as_str())).is_empty()
    }

    /// Forgets the directory of a network, which is gone with all its endpoints.
    pub(super) fn forget(&self, network: &Id) {
        // One that is not empty says so by itself at the next start.
        let _ = fs::remove_dir(self.dir.join(network.as_str()));
    }

    /// All endpoints; what is no endpoint is told in the log and removed, as nobody could make
    /// anything of it: its record says what there is to undo.
    pub(super) fn load(&self) -> Vec<Endpoint> {
        let mut all = Vec::new();
        for dir in entries(&self.dir) {
            for path in entries(&dir) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    // A draft of a writer that was killed: what it was to replace is true.
                    let _ = fs::remove_file(&path);
                    continue;
                }
                match read(&path) {
                    Ok(endpoint) => all.push(endpoint),
                    Err(error) => {
                        tracing::warn!(
                            file = %path.display(), %error, "no endpoint; the file is removed"
                        );
                        let _ = fs::remove_file(&path);
                    }
                }
            }
        }
        all
    }

    fn path(&self, network: &Id, key: &str) -> PathBuf {
        self.dir.join(network.as_str()).join(endpoints::file(key))
    }
}

fn read(path: &Path) -> io::Result<Endpoint> {
    let bytes = fs::read(path)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
