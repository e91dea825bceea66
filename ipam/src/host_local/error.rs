//! What can go wrong with a store, and what was wrong but did no harm.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Owner;

/// Why an operation on the store failed. Texts of refusals are the reference's, with the detail
/// behind them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address of a range set is free.
    #[error(
        "failed to allocate for range {range_set}: no IP addresses available in range set: {ranges}"
    )]
    Full {
        /// Position of the range set.
        range_set: usize,
        /// Its ranges, `first-last[,first-last]`.
        ranges: String,
    },
    /// The owner already has an address of a range set: ADD repeated without DEL.
    #[error(
        "failed to allocate for range {range_set}: {ip} has been allocated to {}, duplicate \
         allocation is not allowed (interface {})", owner.container_id, owner.ifname)]
    Duplicate {
        /// Position of the range set.
        range_set: usize,
        /// The address it has.
        ip: IpAddr,
        /// The owner that asked.
        owner: Owner,
    },
    /// A requested address is someone else's.
    #[error(
        "failed to allocate for range {range_set}: requested IP address {ip} is not \
         available in range set {ranges}: {holder}"
    )]
    RequestedTaken {
        /// Position of the range set.
        range_set: usize,
        /// The requested address.
        ip: IpAddr,
        /// Who has it.
        holder: Holder,
        /// The ranges of the set.
        ranges: String,
    },
    /// Requested addresses that lie in no range set, or are a second one for a set.
    #[error(
        "failed to allocate all requested IPs: {ips:?}: one address per range set can be requested, \
         the range sets are {sets:?}"
    )]
    RequestedOutside {
        /// The addresses left over.
        ips: Vec<IpAddr>,
        /// The range sets, each as `first-last[,first-last]`.
        sets: Vec<String>,
    },
    /// The gateway was requested.
    #[error("failed to allocate for range {range_set}: requested ip {ip} is subnet's gateway")]
    RequestedIsGateway {
        /// Position of the range set.
        range_set: usize,
        /// The requested address.
        ip: IpAddr,
    },
    /// Someone else kept the lock for too long. Nothing was changed; trying again later may work.
    #[error(
        "lock {}: held by another process for more than {} s",
        path.display(), waited.as_secs_f32()
    )]
    LockTimeout {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// The network's name is not usable as the name of a directory.
    #[error("network name '{network}' is not usable as the name of a directory")]
    NetworkName {
        /// The name.
        network: String,
    },
    /// A reservation cannot name this owner: empty container id or interface name, or a line
    /// break in one.
    #[error(
        "container id '{}' and interface name '{}' cannot own an address",
        owner.container_id.escape_debug(), owner.ifname.escape_debug()
    )]
    OwnerName {
        /// The owner.
        owner: Owner,
    },
    /// A file operation failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was attempted, e.g. `create reservation`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.to_owned(), source: source.into() }
    }
}

/// Who has an address, as far as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An attachment.
    Owner(Owner),
    /// A container, without interface: written by an old version of the reference.
    Container(String),
    /// Something that is not a reservation file, such as a directory of that name.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => {
                write!(f, "held by container {}, interface {}", owner.container_id, owner.ifname)
            }
            Self::Container(id) => write!(f, "held by container {id}"),
            Self::Unknown => f.write_str("its name in the directory is in use"),
        }
    }
}

/// Something the store put right, or could not use, on the way. For the log; the operation
/// did what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A reservation that names no owner (crash or power loss of the reference plugin while
    /// writing) was removed; its address is free.
    #[error("removed reservation {}: {reason}", path.display())]
    VoidReservation {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// A file that cannot be used was left in place; its address counts as taken.
    #[error("cannot remove void reservation {}: {reason}", path.display())]
    StuckReservation {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The marker of the last reserved address could not be used: round robin starts anew.
    #[error("marker {}: {reason}", path.display())]
    Marker {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// The index could not be written: the next operation reads all files.
    #[error("index {} could not be written: {reason}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}
