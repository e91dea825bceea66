//! What netd is told: the agent's options, the cluster's network configuration, and where the
//! cluster's store is.

pub mod network;
pub mod options;
pub mod store;
