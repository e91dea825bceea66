//! What netd's clients and netd say to each other.
//!
//! [`SubnetEnv`] is the file by which flannel, and netd in its place, tells a host its subnet;
//! [`attach`] is how plugins ask netd itself. Nothing here knows how a subnet is leased, nor what
//! a plugin does with it.

pub mod attach;
pub mod file;
pub mod subnet_env;

pub use subnet_env::{Previous, SubnetEnv};
