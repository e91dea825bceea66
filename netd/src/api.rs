//! netd's sockets.

pub mod attach;
pub mod status;
