//! Why there is no lease.

use super::SubnetKey;
use super::choose::Exhausted;
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
    /// All subnets are taken, and leases take more than one.
    #[error(
        "all {total} subnets of {network} are taken, {wide}: release what no host has \
         (`netd lease list`, `netd lease release`), or make Network larger"
    )]
    Covered {
        /// The network.
        network: String,
        /// How many there are.
        total: u128,
        /// Which leases, and how many each takes.
        wide: String,
    },
    /// Containers have addresses of the host's subnet, and it is not the host's any more.
    #[error("containers have addresses of {subnet}, and {by}")]
    Taken {
        /// The subnet.
        subnet: SubnetKey,
        /// Who has it, or what overlaps it.
        by: String,
    },
    /// Another host was faster, again and again.
    #[error("other hosts were faster {attempts} times at taking a subnet of {network}")]
    Outrun {
        /// The network.
        network: String,
        /// How often.
        attempts: u32,
    },
    /// A running host says that it is this one.
    #[error(
        "the host {host} at {public_ip} has the same machine id {machine_id} and was alive in the \
         last 30 s: if it was this host before a reboot, under that name and address, wait; else give each its own \
         (remove /etc/machine-id and run systemd-machine-id-setup)"
    )]
    Twin {
        /// Of both.
        machine_id: String,
        /// The other's name.
        host: String,
        /// Where it is reached.
        public_ip: std::net::Ipv4Addr,
    },
    /// Somebody else has it, or nobody.
    #[error("the lease of {0} is not this host's at present")]
    NotOurs(SubnetKey),
    /// The store does not do it.
    #[error("lease a subnet")]
    Store(#[source] store::Error),
}

/// How many leases that take more than one subnet are named.
const NAMED: usize = 3;

impl AcquireError {
    pub(super) fn exhausted(why: &Exhausted) -> Self {
        let (network, total) = (why.network.to_string(), why.total);
        if why.wide.is_empty() {
            return Self::Exhausted { network, total };
        }
        let named = why.wide.iter().take(NAMED);
        let mut named: Vec<String> =
            named.map(|(subnet, width)| format!("{width} by the lease {subnet}")).collect();
        if why.wide.len() > NAMED {
            named.push(format!("more by {} others", why.wide.len() - NAMED));
        }
        Self::Covered { network, total, wide: named.join(", ") }
    }
}
