//! What keeps the agent from running.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::backend::InvalidBackend;
use crate::lease::{InvalidPrefix, UnknownHost};
use crate::store;
use crate::underlay::Unsuitable;

/// What keeps the agent from running.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Two agents would undo each other's work.
    #[error(
        "another netd runs with state directory {}: stop it, or give this one another with \
         --state-dir and --run-dir",
        .0.display()
    )]
    AnotherRuns(PathBuf),
    /// The state directory.
    #[error("lock the state directory {}", dir.display())]
    Lock {
        /// Where.
        dir: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An option for etcd.
    #[error("use the options for etcd")]
    StoreOptions(#[source] store::Error),
    /// The prefixes.
    #[error("use the prefixes of keys")]
    Prefix(#[source] InvalidPrefix),
    /// This host has no name that lasts.
    #[error("tell this host from others")]
    Host(#[source] UnknownHost),
    /// The store on this host.
    #[error("use this host's own store")]
    Local(#[source] store::Error),
    /// The key for WireGuard.
    #[error(
        "use {} as the file of this host's WireGuard key: it holds 32 bytes in base64, as of \
         `wg genkey`, or is not there",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A command of backend `extension`.
    #[error("run Backend.{key}")]
    Hook {
        /// Which.
        key: &'static str,
        /// Why not, with what it has printed.
        #[source]
        source: io::Error,
    },
    /// The data path of backend `udp`.
    #[error(
        "carry packets by UDP: device flannel0 and the port must be free, so flanneld be stopped"
    )]
    Path(#[source] io::Error),
    /// Signal handlers.
    #[error("handle signals")]
    Signals(#[source] io::Error),
    /// The health port.
    #[error("serve /healthz, /readyz and /metrics on {at}")]
    Health {
        /// Where.
        at: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A socket for plugins or administrators.
    #[error("listen on {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The host's network cannot be read.
    #[error("look at this host's network")]
    Look(#[source] kernel::Error),
    /// No interface.
    #[error("choose the interface between hosts")]
    Underlay(#[source] Unsuitable),
    /// The backend cannot be used on this host.
    #[error("prepare the backend")]
    Backend(#[source] InvalidBackend),
    /// The networks of this host.
    #[error("serve the networks of this host")]
    Networks(#[source] crate::registry::OpenError),
    /// What the kernel tells of changes.
    #[error("listen to the kernel's events")]
    Events(#[source] io::Error),
    /// The loop's thread.
    #[error("start the thread that changes the kernel")]
    Thread(#[source] io::Error),
}

impl AgentError {
    /// Whether what the user has written is wrong, and not the host or the cluster.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::StoreOptions(_) | Self::Prefix(_))
    }
}
