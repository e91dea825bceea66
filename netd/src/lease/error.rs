//! Why there is no lease.

use crate::config::network::InvalidConfig;
use crate::store;

/// Why there is no network configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nobody wrote one.
    #[error("there is no network configuration at {key}: write one with `netd config set`")]
    Absent {
        /// Where it was looked for.
        key: String,
    },
    /// It cannot be used.
    #[error("the network configuration at {key} cannot be used")]
    Invalid {
        /// Where it is.
        key: String,
        /// What is wrong.
        #[source]
        source: InvalidConfig,
    },
    /// The store does not say.
    #[error("read the network configuration")]
    Store(#[source] store::Error),
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// All subnets are taken.
    #[error(
        "all {total} subnets of {network} are leased: release one that is not needed \
         (`netd lease list`, `netd lease release`), or make Network or SubnetLen larger"
    )]
    Exhausted {
        /// The network.
        network: String,
        /// How many there are.
        total: u128,
    },
    /// Another host was faster, again and again.
    #[error("other hosts were faster {attempts} times at taking a subnet of {network}")]
    Outrun {
        /// The network.
        network: String,
        /// How often.
        attempts: u32,
    },
    /// The store does not do it.
    #[error("lease a subnet")]
    Store(#[source] store::Error),
}
