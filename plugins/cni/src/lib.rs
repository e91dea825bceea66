//! The Container Network Interface protocol: both sides of it.
//!
//! The plugin side turns the environment and stdin into a [`Request`], asks a
//! [`Plugin`] and prints what the specification wants ([`skel`]); a plugin that
//! needs another one executes it ([`delegate`]). The runtime side ([`runtime`])
//! reads network lists and runs their chains.
//!
//! The crate knows no link, no address allocator and no firewall: it decides what
//! was asked and how the answer looks, never what happens to the network.
//!
//! A whole plugin:
//!
//! ```no_run
//! use cni::{AddResult, Error, Info, NetnsRule, Plugin, Request, Version};
//!
//! /// Passes on what the plugins before it made.
//! struct Pass;
//!
//! impl Plugin for Pass {
//!     fn info(&self) -> Info {
//!         Info { name: "pass", build: "v1", versions: Version::ALL, netns: NetnsRule::Container }
//!     }
//!
//!     fn add(&self, request: &Request) -> Result<AddResult, Error> {
//!         let result = request.prev_result.clone();
//!         result.ok_or_else(|| Error::config("must be called as a chained plugin"))
//!     }
//!
//!     fn del(&self, _: &Request) -> Result<(), Error> {
//!         Ok(())
//!     }
//!
//!     fn check(&self, _: &Request) -> Result<(), Error> {
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cni::skel::run(&Pass)
//! }
//! ```
//!
//! Source: CNI specification 1.1.0, and libcni 1.3 where the specification is silent.

pub mod addr;
pub mod conf;
pub mod delegate;
pub mod error;
pub mod json;
pub mod result;
pub mod runtime;
pub mod skel;
pub mod version;

pub use addr::IpNet;
pub use conf::{Args, Attachment, NetConf};
pub use error::{Code, Error, ErrorChain};
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use skel::{Env, Info, NetnsRule, Plugin, Request, Verb};
pub use version::Version;

#[cfg(test)]
mod shell;
