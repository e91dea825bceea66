//! The messages of `attach.sock`, and the client of it, which needs no runtime.
//!
//! A client sends one request and gets one reply, each a frame: its length in bytes as 32 bits in
//! network order, then JSON. Both name the version of what they speak; a newer netd answers what
//! older clients ask. Keys that are not known are ignored.
//!
//! ```text
//! -> {"version": 1, "request": "subnet"}
//! <- {"version": 1, "subnet": {"lease": "held", "ready": true, "env": "FLANNEL_...", "reason": ""}}
//! <- {"version": 1, "error": "why there is no answer"}
//! ```

mod client;
mod error;
mod message;

pub use client::subnet;
pub use error::Error;
pub use message::{Lease, Reply, Request, Subnet};

/// Where netd listens.
pub const SOCKET: &str = "/run/netd/attach.sock";

/// The version of these messages.
pub const VERSION: u32 = 1;

/// The longest frame either side reads, in bytes without its length.
pub const LONGEST: u32 = 64 << 10;

#[cfg(test)]
mod tests;
