//! The messages of `attach.sock`, and the client of it, which needs no runtime.
//!
//! A client sends one request and gets one reply, each a frame: its length in bytes as 32 bits in
//! network order, then JSON. Both name the version of what they speak; a newer netd answers what
//! older clients ask. Keys that are not known are ignored.
//!
//! ```text
//! -> {"version": 1, "request": "subnet"}
//! -> {"version": 1, "request": "subnet", "network": "blue"}      (of several networks, one)
//! <- {"version": 1, "subnet": {"lease": "held", "ready": true, "env": "FLANNEL_...", "reason": ""}}
//!
//! -> {"version": 1, "request": "attach", "network": "app", "container": "ID", "ifname": "eth0",
//!     "netns": "/run/netns/x", "names": ["web"], "ips": ["172.30.0.9"], "mac": "02:...", "gwPriority": 0,
//!     "ports": [{"hostIP": "", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
//!     "live": false}                                             (and the namespace)
//! <- {"version": 1, "attached": {"cniVersion": "1.1.0", "interfaces": [...], "ips": [...]}}
//! -> {"version": 1, "request": "detach", "network": "app", "container": "ID", "ifname": "eth0"}
//! <- {"version": 1, "done": {}}
//! -> {"version": 1, "request": "check", "network": "app", "container": "ID", "ifname": "eth0"}
//!                                                                (and the namespace)
//! <- {"version": 1, "missing": ["ip addr add ..."]}
//! -> {"version": 1, "request": "status", "network": "app"}
//! <- {"version": 1, "done": {}}
//! -> {"version": 1, "request": "gc", "network": "app", "keep": [{"container": "ID", "ifname": "eth0"}]}
//! <- {"version": 1, "collected": {"removed": ["ID/eth0"], "kept": ["ID2/eth0: its namespace lives"]}}
//!
//! <- {"version": 1, "error": "why there is no answer", "code": 7}     (without a code: 11)
//! ```
//!
//! The namespace is a file descriptor that goes with the frame's first bytes (`SCM_RIGHTS`): the
//! client opens it, with its own rights, and netd keeps it no longer than the request. Codes are
//! those of the CNI specification.

mod client;
mod endpoint;
mod error;
mod message;
pub mod pass;
mod subnet;

pub use client::{attach, check, detach, gc, status, subnet};
pub use endpoint::{Attach, Check, Collected, Detach, Gc, Kept, Port, Status};
pub use error::Error;
pub use message::{Reply, Request};
pub use subnet::{Lease, Subnet};

/// Where netd listens.
pub const SOCKET: &str = "/run/netd/attach.sock";

/// The version of these messages.
pub const VERSION: u32 = 1;

/// The longest frame either side reads, in bytes without its length: a list of what a runtime has
/// of some thousand containers.
pub const LONGEST: u32 = 1 << 20;

#[cfg(test)]
mod tests;
