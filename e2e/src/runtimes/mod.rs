//! Real container runtimes on hosts of the lab.
//!
//! Each starts on one host with its state in that host's private directories, ends with it, and
//! uses the plugins in [`CNI_BIN`](crate::CNI_BIN). What the modules set beside defaults is what a
//! machine without `CAP_SYS_RESOURCE`, cgroup version 2 and systemd needs.

mod containerd;
mod cri;
mod docker;
mod podman;

pub use containerd::Containerd;
pub use cri::Cri;
pub use docker::Docker;
pub use podman::Podman;
