//! Commands that ask the agent on this host, through its socket.

pub(super) mod plan;
pub(super) mod status;

use std::path::PathBuf;

use super::options::environment;
use crate::api::status::SOCKET;
use crate::config::options::{OptionsError, RunDirFlags};

/// Where the agent listens, by the options it is run with.
#[derive(Debug, clap::Args)]
pub(super) struct Agent {
    #[command(flatten)]
    dir: RunDirFlags,
}

impl Agent {
    /// # Errors
    /// At the first option of any place that makes no sense.
    pub(super) fn socket(&self) -> Result<PathBuf, OptionsError> {
        self.path(SOCKET)
    }

    /// Where it takes containers, by the same options.
    ///
    /// # Errors
    /// At the first option of any place that makes no sense.
    pub(super) fn attach_socket(&self) -> Result<PathBuf, OptionsError> {
        self.path(crate::api::attach::SOCKET)
    }

    fn path(&self, name: &str) -> Result<PathBuf, OptionsError> {
        Ok(self.dir.read(&environment())?.join(name))
    }
}
