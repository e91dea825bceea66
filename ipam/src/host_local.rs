//! The store of the reference plugin `host-local`: one file per reserved address.
//!
//! `<data dir>/<network>/` (0755) holds `lock` (`flock`, exclusive, for every operation), one
//! file per reserved address, named by it, with `<container id>\r\n<ifname>` in it (0600), and
//! `last_reserved_ip.<range set>`. Both programs may use one directory at the same time
//! (`plugins/ipam/host-local/backend/disk`).
//!
//! What the reference gets wrong is put right here: a reservation appears complete or not at
//! all, files that name nobody count as free, the lock is waited for with a bound, a failed
//! allocation gives back only what it took itself, and a requested address is refused to an
//! owner that has one already.

mod directory;
mod error;
mod index;
mod ledger;
mod lock;
mod marker;
mod owner;
mod pages;
mod session;
mod table;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnetwork::IpNetwork;

use crate::allocator::{self, RequestError};
use crate::range_set::RangeSet;

pub use error::{Error, Holder, Warning};
pub use owner::Owner;

use session::{Reserved, Session};

/// The reference's default for `dataDir`.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";

/// How long an operation waits for the lock unless told otherwise. The reference reads every
/// file while it holds it, which takes seconds in a directory with many.
pub const DEFAULT_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The store of one network. Holds no lock and no open file between operations.
#[derive(Debug)]
pub struct HostLocal {
    path: PathBuf,
    lock_timeout: Duration,
    warnings: Vec<Warning>,
}

/// An address that was given to an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The address with the prefix length of its subnet.
    pub address: IpNetwork,
    /// The gateway of its range.
    pub gateway: IpAddr,
    /// Position of its range set.
    pub range_set: usize,
}

impl HostLocal {
    /// The store of `network` under `data_dir`. Touches no file: the directory is made by the
    /// first allocation.
    ///
    /// # Errors
    /// [`Error::NetworkName`] if the name is empty, is `.` or `..`, or holds a `/` or a NUL.
    pub fn open(data_dir: impl AsRef<Path>, network: &str) -> Result<Self, Error> {
        if matches!(network, "" | "." | "..") || network.contains(['/', '\0']) {
            return Err(Error::NetworkName { network: network.to_owned() });
        }
        let path = data_dir.as_ref().join(network);
        Ok(Self { path, lock_timeout: DEFAULT_LOCK_TIMEOUT, warnings: Vec::new() })
    }

    /// The same store with another bound for the wait for its lock.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// What was put right since the last call, for the log.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Reserves one address of each range set for `owner`; of `requested`, each set takes the
    /// first one it holds.
    ///
    /// # Errors
    /// [`Error`]. Nothing is left reserved by this call; what the owner had before stays. (If
    /// even the removal fails, a reservation stays under the owner's name, for its release.)
    pub fn allocate(
        &mut self,
        sets: &[RangeSet],
        owner: &Owner,
        requested: &[IpAddr],
    ) -> Result<Vec<Allocation>, Error> {
        let content = owner.content()?;
        let assigned = allocator::assign_requested(sets, requested)
            .map_err(|error| request_error(error, sets))?;
        self.create(|session| {
            refuse_duplicate(session, sets, owner)?;
            let mut made = Vec::with_capacity(sets.len());
            let outcome = reserve_all(session, sets, &assigned, &content, &mut made);
            if outcome.is_err() {
                session.undo(&made, &content);
            }
            outcome.map(|()| made.iter().enumerate().map(allocation).collect())
        })
    }

    /// Releases all addresses of `owner`, whatever the ranges are by now; if it has none, those
    /// that its container has without interface (old versions of the reference). Returns them, in
    /// order; none is fine.
    ///
    /// # Errors
    /// [`Error::LockTimeout`], [`Error::OwnerName`] or [`Error::Io`].
    pub fn release(&mut self, owner: &Owner) -> Result<Vec<IpAddr>, Error> {
        let content = owner.content()?;
        self.existing(Vec::new, |session| {
            let released = session.release(&content)?;
            match released.is_empty() {
                true => session.release(owner.legacy_content()),
                false => Ok(released),
            }
        })
    }

    /// The addresses of `owner`, in order (CHECK: compare with those of prevResult).
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn holds(&mut self, owner: &Owner) -> Result<Vec<IpAddr>, Error> {
        owner.content()?;
        self.existing(Vec::new, |session| session.held(owner))
    }

    /// Releases every address whose owner is not in `valid`, and returns them. A reservation
    /// that names a container alone stays if any attachment of that container is valid.
    ///
    /// # Errors
    /// As [`release`](Self::release), after all others have been tried.
    pub fn gc(&mut self, valid: &BTreeSet<Owner>) -> Result<Vec<(IpAddr, Holder)>, Error> {
        let mut keep: BTreeSet<Vec<u8>> = BTreeSet::new();
        for owner in valid {
            keep.insert(owner.content()?);
            keep.insert(owner.legacy_content().to_vec());
        }
        self.existing(Vec::new, |session| session.sweep(|content| keep.contains(content)))
    }

    /// Whether every range set has an address left (STATUS).
    ///
    /// # Errors
    /// [`Error::LockTimeout`] or [`Error::Io`].
    pub fn has_free(&mut self, sets: &[RangeSet]) -> Result<bool, Error> {
        let empty = || sets.iter().all(has_free_when_empty);
        self.existing(empty, |session| {
            for set in sets {
                if !session.has_free(set)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Runs an operation on the directory, which is made if there is none.
    fn create<T>(
        &mut self,
        operation: impl FnOnce(&mut Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut session =
            Session::open_or_create(&self.path, self.lock_timeout, &mut self.warnings)?;
        let outcome = operation(&mut session);
        session.finish();
        outcome
    }

    /// Runs an operation on the directory; without one, the answer is `absent`.
    fn existing<T>(
        &mut self,
        absent: impl FnOnce() -> T,
        operation: impl FnOnce(&mut Session<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match Session::open(&self.path, self.lock_timeout, &mut self.warnings)? {
            Some(mut session) => {
                let outcome = operation(&mut session);
                session.finish();
                outcome
            }
            None => Ok(absent()),
        }
    }
}

fn refuse_duplicate(
    session: &mut Session<'_>,
    sets: &[RangeSet],
    owner: &Owner,
) -> Result<(), Error> {
    let held = session.held(owner)?;
    for (range_set, set) in sets.iter().enumerate() {
        if let Some(ip) = held.iter().copied().find(|ip| set.contains(*ip)) {
            return Err(Error::Duplicate { range_set, ip, owner: owner.clone() });
        }
    }
    Ok(())
}

fn reserve_all<'s>(
    session: &mut Session<'_>,
    sets: &'s [RangeSet],
    wishes: &[Option<IpAddr>],
    content: &[u8],
    made: &mut Vec<Reserved<'s>>,
) -> Result<(), Error> {
    for (range_set, (set, wish)) in sets.iter().zip(wishes).enumerate() {
        made.push(session.reserve(range_set, set, *wish, content)?);
    }
    made.iter_mut().try_for_each(|reserved| session.mark(reserved))
}

fn allocation((range_set, reserved): (usize, &Reserved<'_>)) -> Allocation {
    let candidate = reserved.candidate;
    Allocation {
        address: candidate.range.with_prefix(candidate.address),
        gateway: candidate.range.gateway(),
        range_set,
    }
}

fn has_free_when_empty(set: &RangeSet) -> bool {
    let Ok(free) = allocator::next_free(set, None, &mut BTreeSet::new());
    free.is_some()
}

fn request_error(error: RequestError, sets: &[RangeSet]) -> Error {
    match error {
        RequestError::Outside { addresses } => Error::RequestedOutside {
            ips: addresses,
            sets: sets.iter().map(ToString::to_string).collect(),
        },
        RequestError::Gateway { address, range_set } => {
            Error::RequestedIsGateway { range_set, ip: address }
        }
    }
}

#[cfg(test)]
mod tests;
