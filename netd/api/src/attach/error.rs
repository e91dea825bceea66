//! Why there is no answer.

use std::io;
use std::path::PathBuf;

use super::LONGEST;

/// Asking netd failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there: netd does not run.
    #[error("connect to {}", socket.display())]
    Absent {
        /// The socket.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// netd is there, and something went wrong on the way.
    #[error("{action} {}", socket.display())]
    Socket {
        /// `connect to`, `write to` or `read from`.
        action: &'static str,
        /// The socket.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A reply that is longer than any.
    #[error("a reply of {0} bytes, and at most {LONGEST} are read")]
    TooLong(u32),
    /// A request that netd would not read.
    #[error("a request of {0} bytes, and netd reads at most {LONGEST}")]
    RequestTooLong(usize),
    /// A reply that is none.
    #[error("a reply that cannot be read: {0}")]
    Reply(String),
    /// netd does not answer such a request, or cannot do what was asked.
    #[error("netd refuses: {text}")]
    Refused {
        /// Why, as a sentence.
        text: String,
        /// The CNI specification's number for it.
        code: cni::Code,
    },
}
