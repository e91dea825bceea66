//! Why a word means no container.

use std::path::PathBuf;

use kernel::netns::NetnsError;

/// Why a word means no container. Texts are Docker's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The word makes no sense.
    #[error("invalid container name or ID {text:?}: {why}")]
    Word {
        /// The word.
        text: String,
        /// What is wrong with it, with the remedy.
        why: &'static str,
    },
    /// There is none.
    #[error("No such container: {0}")]
    Absent(String),
    /// Several are meant.
    #[error(
        "Multiple containers found with {word}: {}: write the whole id, or pid: and the number of a \
         process",
        meant.join(", ")
    )]
    Ambiguous {
        /// What was written.
        word: String,
        /// Which are meant, each with its runtime.
        meant: Vec<String>,
    },
    /// It has no namespace.
    #[error("Container {0} is not running: start it first")]
    NotRunning(String),
    /// It is in the host's namespace.
    #[error(
        "container sharing network namespace with another container or host cannot be connected to \
         any other network"
    )]
    OfHost,
    /// Its namespace cannot be opened.
    #[error("open the network namespace {}", path.display())]
    Netns {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: NetnsError,
    },
}
