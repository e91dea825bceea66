//! The only crate that talks to Linux: rtnetlink, nf_tables, conntrack, namespaces, sysctls.
//!
//! [`Kernel`] is the [`netstate::Datapath`] of a host namespace and, where there is one, of a
//! container's namespace: it observes a scope and applies a plan. It decides nothing: what should
//! be there is decided by crate `drivers`, and what has to be done for it by `netstate`.
//!
//! Everything is synchronous: the kernel answers a netlink request before the system call that
//! sends it returns, so there is nothing to wait for.

mod apply;
mod datapath;
pub mod announce;
pub mod conntrack;
mod error;
pub mod hold;
#[cfg(any(test, feature = "inject"))]
pub mod inject;
mod netlink;
pub mod netns;
pub mod xtables;
mod route;
mod sysctl;

pub use datapath::{Kernel, LinkState};
pub use error::{Error, Kind};
pub use netns::Netns;
