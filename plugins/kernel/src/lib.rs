//! The only crate that talks to Linux: rtnetlink, nf_tables, conntrack, namespaces, sysctls.
//!
//! [`Kernel`] is the [`netstate::Datapath`] of a host namespace and, where there is one, of a
//! container's namespace: it observes a scope and applies a plan. It decides nothing: what should
//! be there is decided by crate `drivers`, and what has to be done for it by `netstate`.
//!
//! Everything is synchronous: the kernel answers a netlink request before the system call that
//! sends it returns, so there is nothing to wait for.

pub mod announce;
mod apply;
pub mod closing;
pub mod conntrack;
mod datapath;
mod error;
mod ethtool;
pub mod events;
mod generic;
#[cfg(any(test, feature = "inject"))]
pub mod inject;
mod netlink;
pub mod netns;
mod nft;
mod route;
mod settle;
mod sysctl;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tun;
mod wireguard;
pub mod xtables;

pub use datapath::{ChainState, Destination, Kernel, LinkState, Policy, Uplink, UplinkAddr, Way};
pub use error::{Error, Kind};
pub use netns::{Netns, NetnsError, NetnsId, PinError, Pins};
pub use nft::ForeignRule;
