//! containerd with runc, used through `ctr`.

use anyhow::Result;

use crate::command::Command;
use crate::host::Host;
use crate::image;
use crate::place::Place as _;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// Snapshotters that this machine has no file system for.
const ABSENT: &str = r#""io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper""#;

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    host: Host,
    daemon: Process,
}

impl Containerd {
    /// Starts it without its CRI service, and loads the test image.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn start(host: &Host) -> Result<Self> {
        let off = format!(r#"{ABSENT}, "io.containerd.grpc.v1.cri""#);
        let containerd = Self::with_config(host, &off, "")?;
        containerd.import("default")?;
        Ok(containerd)
    }

    /// Starts it with the CRI service, set up by `plugin` (the table of its plugin).
    pub(crate) fn with_cri(host: &Host, plugin: &str) -> Result<Self> {
        Self::with_config(host, ABSENT, plugin)
    }

    /// A `ctr` command of these words.
    #[must_use]
    pub fn ctr(&self, words: &[&str]) -> Command {
        self.host.command(&["ctr"]).args(words)
    }

    /// `ctr run --rm --cni` in the foreground: runs `command` in the new container `name`, whose
    /// id for plugins is `default-NAME`.
    #[must_use]
    pub fn run_in_foreground(&self, name: &str, command: &[&str]) -> Command {
        self.run(&["--rm"], name, command)
    }

    /// `ctr run --detach --cni`: the same in the background, where nobody deletes its network.
    #[must_use]
    pub fn run_in_background(&self, name: &str, command: &[&str]) -> Command {
        self.run(&["--detach"], name, command)
    }

    /// As [`Self::run_in_foreground`], with this file of the host as its `resolv.conf`: `ctr` writes none.
    #[must_use]
    pub fn run_with_resolv_conf(&self, file: &str, name: &str, command: &[&str]) -> Command {
        let mount = format!("type=bind,src={file},dst=/etc/resolv.conf,options=rbind:ro");
        self.run(&["--rm", "--mount", &mount], name, command)
    }

    /// Loads the test image into a namespace of containerd.
    ///
    /// # Errors
    ///
    /// When it cannot be built or loaded.
    pub fn import(&self, namespace: &str) -> Result<()> {
        let archive = image::put(&self.host)?;
        self.ctr(&["--namespace", namespace, "images", "import", archive]).run().map(drop)
    }

    /// What the daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    fn run(&self, how: &[&str], name: &str, command: &[&str]) -> Command {
        let cgroup = format!("--cgroup=/{}/{name}", self.host.cgroup());
        self.ctr(&["run", "--cni", &cgroup]).args(how).args([image::IMAGE, name]).args(command)
    }

    fn with_config(host: &Host, disabled: &str, rest: &str) -> Result<Self> {
        let config = format!("version = 2\ndisabled_plugins = [{disabled}]\n{rest}\n");
        host.write_file("/etc/containerd/config.toml", config)?;
        let daemon = host.spawn("containerd", &["containerd"])?;
        let containerd = Self { host: host.clone(), daemon };
        wait_until("containerd answers", PATIENCE, || containerd.ctr(&["version"]).run().is_ok())?;
        Ok(containerd)
    }
}
