//! Networks that have a namespace on this host, as files in the run directory. What is known of the cluster is
//! written down a moment after it is heard, and an agent that is killed in between must know at its next
//! start what its containers are on.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use netd_api::file::{Modes, replace};

use crate::network::{Id, Network};

/// The directory in the run directory.
const DIR: &str = "overlays";

const MODES: Modes = Modes { file: 0o600, dir: 0o755 };

/// The files: `<dir>/<network id>.json`.
#[derive(Debug)]
pub(super) struct Written(PathBuf);

impl Written {
    /// Those below a run directory. None need be there.
    pub(super) fn new(run_dir: &Path) -> Self {
        Self(run_dir.join(DIR))
    }

    /// Writes a network.
    pub(super) fn keep(&self, network: &Network) -> io::Result<()> {
        // Its keys are text, so there is a JSON form.
        let bytes = serde_json::to_vec(network).unwrap_or_default();
        replace(&self.path(&network.id), &bytes, MODES)
    }

    /// Forgets a network. Gone already is fine.
    pub(super) fn forget(&self, id: &Id) {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(network = id.short(), %error, "the file of an overlay stays");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// All. What cannot be read is none: its containers are taken back.
    pub(super) fn all(&self) -> Vec<Network> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok();
        entries
            .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
            .filter_map(read)
            .collect()
    }

    fn path(&self, id: &Id) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }
}
