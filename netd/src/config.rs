//! What netd is told: the cluster's network configuration, and where the cluster's store is.

pub mod network;
pub mod store;
