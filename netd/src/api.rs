//! netd's sockets.

pub mod attach;
pub mod containers;
pub mod networks;
pub mod socket;
pub mod status;
