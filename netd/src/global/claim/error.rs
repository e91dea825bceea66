//! Why a host gets no address.

use std::net::IpAddr;

use crate::store::Error;

/// Why a host gets no address of a network.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Somebody has removed it.
    #[error("the network is not in etcd any more")]
    Gone,
    /// Hosts have all blocks.
    #[error(
        "hosts have all {family} addresses of it in blocks: {hosts}; a block is free again some minutes after \
         its last container; make the network with a larger --subnet"
    )]
    Exhausted {
        /// "IPv4" or "IPv6".
        family: &'static str,
        /// Which have how many.
        hosts: String,
    },
    /// The address is another container's.
    #[error("{ip} is in use by container {container} on host {host}")]
    InUse {
        /// The address.
        ip: IpAddr,
        /// Whose.
        container: String,
        /// Where.
        host: String,
    },
    /// The address is that of a container on a host that is down, which may run.
    #[error(
        "{ip} is in use by container {container} on host {host}, which gives no sign of life, but may run: it \
         is free when the host has given none for 24 h; if the host is dead, free it at once (netd network \
         disconnect -f NETWORK {container})"
    )]
    Down {
        /// The address.
        ip: IpAddr,
        /// Whose.
        container: String,
        /// Where.
        host: String,
    },
    /// A host that is down may be giving it out.
    #[error(
        "{ip} is host {host}'s to give out, which gives no sign of life, but may run, and have given it to a \
         container: use another address, or wait until the host has given none for 24 h; if it is dead, free the \
         address at once (netd network disconnect -f NETWORK {ip})"
    )]
    Away {
        /// The address.
        ip: IpAddr,
        /// Whose.
        host: String,
    },
    /// The address is another host's.
    #[error("{ip} is claimed by host {host}: use another address, or remove its container there")]
    Claimed {
        /// The address.
        ip: IpAddr,
        /// Whose.
        host: String,
    },
    /// The host whose block the address is of may be giving it out.
    #[error(
        "{ip} is of a block of host {host}, which does not say that it gives it to nobody else: is it cut off \
         from etcd? Use another address, or try again when it answers"
    )]
    Silent {
        /// The address.
        ip: IpAddr,
        /// Whose.
        host: String,
    },
    /// Others may believe that this host is gone.
    #[error(
        "etcd has not confirmed lately that this host may give out addresses{}: attach again when it answers",
        because(reason)
    )]
    Unconfirmed {
        /// Why not, where that is known.
        reason: Option<String>,
    },
    /// The store.
    #[error("claim addresses in etcd")]
    Store(#[source] Error),
}

impl From<Error> for ClaimError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn because(reason: &Option<String>) -> String {
    reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
}
