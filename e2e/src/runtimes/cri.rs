//! Pods by the Kubernetes runtime interface (CRI), served by containerd.

use std::net::IpAddr;

use anyhow::{Context as _, Result};

use crate::host::Host;
use crate::image;
use crate::place::Place as _;
use crate::plugin_set::CNI_BIN;
use crate::runtimes::Containerd;

const CLIENT: &str = include_str!("../../assets/cri.py");
const CLIENT_PATH: &str = "/opt/e2e/cri.py";
const SOCKET: &str = "/run/containerd/containerd.sock";

/// containerd's CRI service and a client of it.
#[derive(Debug)]
pub struct Cri {
    host: Host,
    containerd: Containerd,
}

impl Cri {
    /// Starts the service; it takes the first network of `/etc/cni/net.d`. The one container of a
    /// pod is its sandbox, a server on [`image::PORT`].
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn start(host: &Host) -> Result<Self> {
        // No CAP_SYS_RESOURCE: a lower oom_score_adj would be refused.
        let config = format!(
            r#"
            [plugins."io.containerd.grpc.v1.cri"]
            sandbox_image = "{}"
            disable_apparmor = true
            restrict_oom_score_adj = true
            stream_server_address = "127.0.0.1"
            [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "{CNI_BIN}"
            conf_dir = "/etc/cni/net.d"
            "#,
            image::IMAGE
        );
        let containerd = Containerd::with_cri(host, &config)?;
        containerd.import("k8s.io")?;
        host.write_file(CLIENT_PATH, CLIENT)?;
        Ok(Self { host: host.clone(), containerd })
    }

    /// Runs a pod and returns its id; `ports` are `HOSTPORT:CONTAINERPORT`.
    ///
    /// # Errors
    ///
    /// When the service refuses it, as it does when a plugin fails.
    pub fn run_pod(&self, name: &str, ports: &[&str]) -> Result<String> {
        let cgroup = format!("/{}", self.host.cgroup());
        let mut words = vec!["run", name, &cgroup];
        words.extend(ports);
        self.call(&words)
    }

    /// The pod's address; the service knows it from the plugins' result.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn address(&self, pod: &str) -> Result<IpAddr> {
        let address = self.call(&["address", pod])?;
        address.parse().with_context(|| format!("the address {address:?} of a pod"))
    }

    /// Stops a pod: its container ends, its network is deleted.
    ///
    /// # Errors
    ///
    /// When the service refuses.
    pub fn stop_pod(&self, pod: &str) -> Result<()> {
        self.call(&["stop", pod]).map(drop)
    }

    /// Removes a stopped pod; the network is deleted again, without its namespace.
    ///
    /// # Errors
    ///
    /// When the service refuses.
    pub fn remove_pod(&self, pod: &str) -> Result<()> {
        self.call(&["remove", pod]).map(drop)
    }

    /// What the daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.containerd.log()
    }

    fn call(&self, words: &[&str]) -> Result<String> {
        let output = self.host.command(&["python3", CLIENT_PATH, SOCKET]).args(words).run()?;
        Ok(output.stdout.trim().to_owned())
    }
}
