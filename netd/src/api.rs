//! netd's sockets.

pub mod attach;
