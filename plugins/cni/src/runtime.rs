//! The runtime's side of CNI: reading network lists and running their chains, as libcni does.
//!
//! A [`Runtime`] is three places: where lists are, where plugins are, and where results are kept
//! between ADD and DEL (in libcni's own format, so that libcni and netd can take over from each
//! other). It decides order and hand-over, never what a plugin does.
//!
//! ADD and DEL of one network may run beside each other; a GC runs alone (a lock below the cache
//! directory, shared by the former and exclusive for the latter; waiting for it is bounded). That
//! no two calls for one container run at the same time is the caller's duty.
//!
//! Source: CNI specification 1.1.0 sections 3 and 5, libcni 1.3.

pub mod cnitool;

mod cache;
mod chain;
mod dirs;
mod list;
mod lock;
mod sweep;

pub use cache::CachedAttachment;
pub use list::{NetworkList, PluginConf};

use crate::error::Error;
use crate::json::Object;
use std::path::PathBuf;
use std::time::Duration;

/// Where runtimes look for network lists, unless told otherwise.
pub const CONF_DIR: &str = "/etc/cni/net.d";

/// Where lists, plugins and results are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Directories of network lists, the first one first.
    pub conf_dirs: Vec<PathBuf>,
    /// Directories of plugins: CNI_PATH.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where results and locks are kept. It is made on demand.
    pub cache_dir: PathBuf,
    /// How long ADD, DEL and CHECK wait for a GC of the same network to end, and GC for them.
    pub lock_wait: Duration,
}

impl Runtime {
    /// libcni's directories: `/etc/cni/net.d`, `/opt/cni/bin`, `/var/lib/cni`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            conf_dirs: vec![PathBuf::from(CONF_DIR)],
            plugin_dirs: vec![PathBuf::from("/opt/cni/bin")],
            cache_dir: PathBuf::from("/var/lib/cni"),
            lock_wait: Duration::from_secs(30),
        }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

/// A container's side of an attachment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its network namespace; DEL may come without.
    pub netns: Option<PathBuf>,
    /// The interface's name in it.
    pub ifname: String,
    /// CNI_ARGS.
    pub args: Vec<(String, String)>,
    /// What the runtime has to say per capability; a plugin is told what its configuration declares.
    pub capability_args: Object,
}

/// What names an attachment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentKey {
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container_id: String,
    /// The interface's name in the container.
    pub ifname: String,
}

impl AttachmentKey {
    /// The key of a container's attachment to a network.
    #[must_use]
    pub fn new(network: &str, container: &Container) -> Self {
        Self {
            network: network.to_owned(),
            container_id: container.id.clone(),
            ifname: container.ifname.clone(),
        }
    }

    /// The name of its file in the cache.
    fn file_name(&self) -> String {
        format!("{}-{}-{}", self.network, self.container_id, self.ifname)
    }
}

/// One error for all that went wrong; its code is the first one's.
fn all_or_nothing(mut errors: Vec<Error>) -> Result<(), Error> {
    let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
    match (errors.pop(), errors.first()) {
        (None, _) => Ok(()),
        (Some(only), None) => Err(only),
        (Some(_), Some(first)) => Err(Error::new(first.code, texts.join("; "))),
    }
}

#[cfg(test)]
mod tests;
