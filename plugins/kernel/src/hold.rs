//! Leaves the closing of a netfilter socket to a child process.
//!
//! Closing such a socket after anyone's delete in its namespace waits 8 to 18 ms for RCU grace
//! periods. A process that has nothing else to wait for forks a child that only holds the socket.

use std::os::fd::OwnedFd;

use crate::error::{Error, Kind};

/// Hands the socket to a child process that closes it and exits. The child is nobody's zombie,
/// keeps no other descriptor open, and is not waited for. Call it last.
///
/// # Errors
/// The process could not fork; the socket has then been closed here.
pub fn hold_in_child(socket: impl Into<OwnedFd>) -> Result<(), Error> {
    drop(socket.into());
    Err(Error::found(
        "hand a netfilter socket to a child process",
        Kind::Unsupported,
        "being written",
    ))
}
