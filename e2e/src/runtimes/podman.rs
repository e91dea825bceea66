//! Podman 4 with its CNI back end and runc.

use anyhow::Result;
use serde_json::json;

use crate::command::{Command, Output};
use crate::host::Host;
use crate::image;
use crate::place::Place as _;
use crate::plugin_set::CNI_BIN;

/// Podman on one host; it has no daemon.
#[derive(Debug)]
pub struct Podman {
    host: Host,
}

impl Podman {
    /// Configures it and loads the test image.
    ///
    /// # Errors
    ///
    /// When the image cannot be built or loaded.
    pub fn new(host: &Host) -> Result<Self> {
        // No CAP_SYS_RESOURCE: its default limits would be refused. crun refuses hybrid cgroups.
        let config = format!(
            r#"
            [containers]
            default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "file"
            runtime = "runc"
            [network]
            network_backend = "cni"
            cni_plugin_dirs = ["{CNI_BIN}"]
            network_config_dir = "/etc/cni/net.d"
            "#
        );
        host.write_file("/etc/containers/containers.conf", config)?;
        let trust = json!({"default": [{"type": "insecureAcceptAnything"}]});
        host.write_file("/etc/containers/policy.json", trust.to_string())?;
        let storage = "[storage]\ndriver = \"overlay\"\nrunroot = \"/run/containers/storage\"\n\
                       graphroot = \"/var/lib/containers/storage\"\n";
        host.write_file("/etc/containers/storage.conf", storage)?;
        let podman = Self { host: host.clone() };
        let archive = image::put(host)?;
        podman.run(&["load", "--quiet", "--input", archive])?;
        Ok(podman)
    }

    /// Leaves published ports to the plugins from now on.
    ///
    /// # Errors
    ///
    /// When that cannot be written.
    pub fn reserve_no_ports(&self) -> Result<()> {
        let setting = "[engine]\nenable_port_reservation = false\n";
        self.host.write_file("/etc/containers/containers.conf.d/netd.conf", setting)
    }

    /// A `podman` command of these words.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        self.host.command(&["podman"]).args(words)
    }

    /// Runs `podman` with these words.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        self.command(words).run()
    }

    /// Starts container `name` in the background with these options: a server on [`image::PORT`].
    ///
    /// # Errors
    ///
    /// When podman or a plugin fails.
    pub fn start(&self, name: &str, options: &[&str]) -> Result<()> {
        let cgroup = format!("--cgroup-parent=/{}", self.host.cgroup());
        self.command(&["run", "--detach", "--name", name, &cgroup])
            .args(options)
            .arg(image::IMAGE)
            .run()
            .map(drop)
    }

    /// Removes a container, killing what runs in it.
    ///
    /// # Errors
    ///
    /// When podman or a plugin fails.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.run(&["rm", "--force", "--time", "0", name]).map(drop)
    }

    /// Runs a shell script in a container.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn exec(&self, name: &str, script: &str) -> Result<Output> {
        self.run(&["exec", name, "sh", "-euc", script])
    }
}
