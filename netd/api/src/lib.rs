//! What netd's clients and netd say to each other.
//!
//! [`SubnetEnv`] is the file by which flannel, and netd in its place, tells a host its subnet;
//! [`attach`] is how plugins ask netd itself. Nothing here knows how a subnet is leased, nor what
//! a plugin does with it.

pub mod attach;
pub mod endpoints;
pub mod file;
pub mod subnet_env;

pub use subnet_env::{Previous, SubnetEnv};

/// Whether connecting to a socket failed because nobody listens there.
#[must_use]
pub fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}
