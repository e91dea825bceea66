//! What is said of the host's subnet.

use serde::{Deserialize, Serialize};

use crate::SubnetEnv;

/// The host's subnet as netd has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// How it stands with the lease.
    pub lease: Lease,
    /// Whether a container could be attached now: the lease is held, and its network is up.
    pub ready: bool,
    /// The subnet, once it is known; it may be known and not ready.
    pub env: Option<SubnetEnv>,
    /// Why it is not ready, as a sentence for people; empty if it is.
    pub reason: String,
}

/// How it stands with a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lease {
    /// There is none yet.
    #[default]
    None,
    /// It is this host's.
    Held,
    /// It was this host's: attached containers may not reach others.
    Lost,
}
