//! Docker's daemon, with a bridge of its own.

use anyhow::Result;

use crate::command::{Command, Output};
use crate::host::Host;
use crate::image;
use crate::place::Place as _;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// The daemon on one host.
#[derive(Debug)]
pub struct Docker {
    host: Host,
    _daemon: Process,
}

impl Docker {
    /// Starts it with the options that variable `variable` of the environment file `file` holds, as
    /// a unit of systemd does, and loads the test image.
    ///
    /// # Errors
    ///
    /// When it does not answer, or the image cannot be built or loaded.
    pub fn with_environment_file(host: &Host, file: &str, variable: &str) -> Result<Self> {
        let script = format!(
            "set -a; . {file}; exec dockerd --exec-opt native.cgroupdriver=cgroupfs \
             --cgroup-parent=/{} ${variable}",
            host.cgroup()
        );
        let daemon = host.spawn("dockerd", &["bash", "-euc", &script])?;
        let docker = Self { host: host.clone(), _daemon: daemon };
        wait_until("dockerd answers", PATIENCE, || docker.run(&["version"]).is_ok())?;
        let archive = image::put(host)?;
        docker.run(&["load", "--quiet", "--input", archive])?;
        Ok(docker)
    }

    /// A `docker` command of these words.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        // Debian's, of the same version as the daemon: another may come first in the path.
        self.host.command(&["/usr/bin/docker"]).args(words)
    }

    /// Runs `docker` with these words.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        self.command(words).run()
    }
}
