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
    fn socket(&self) -> Result<PathBuf, OptionsError> {
        Ok(self.dir.read(&environment())?.join(SOCKET))
    }
}
