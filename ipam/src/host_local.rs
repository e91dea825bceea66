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
mod ledger;
mod lock;
mod marker;
mod owner;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnetwork::IpNetwork;

use crate::allocator::{self, Candidate, RequestError};
use crate::range_set::RangeSet;

pub use error::{Error, Holder, Warning};
pub use owner::Owner;

use directory::{Directory, Entry};
use ledger::Ledger;

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
        let Some(mut session) = self.session(true)? else { return Ok(Vec::new()) };
        session.refuse_duplicate(sets, owner)?;
        let mut made = Vec::with_capacity(sets.len());
        for (range_set, (set, wish)) in sets.iter().zip(assigned).enumerate() {
            match session.reserve(range_set, set, wish, &content) {
                Ok(candidate) => made.push((range_set, candidate)),
                Err(error) => {
                    session.undo(&made, &content);
                    return Err(error);
                }
            }
        }
        for (range_set, candidate) in &made {
            if let Err(error) = session.dir.set_last_reserved(*range_set, candidate.address) {
                session.undo(&made, &content);
                return Err(error);
            }
        }
        Ok(made
            .into_iter()
            .map(|(range_set, candidate)| Allocation {
                address: candidate.range.with_prefix(candidate.address),
                gateway: candidate.range.gateway(),
                range_set,
            })
            .collect())
    }

    /// Releases all addresses of `owner`, whatever the ranges are by now; if it has none, those
    /// that its container has without interface (old versions of the reference). Returns them; none is fine.
    ///
    /// # Errors
    /// [`Error::LockTimeout`], [`Error::OwnerName`] or [`Error::Io`].
    pub fn release(&mut self, owner: &Owner) -> Result<Vec<IpAddr>, Error> {
        let content = owner.content()?;
        let Some(mut session) = self.session(false)? else { return Ok(Vec::new()) };
        let mut released = session.release_content(&content)?;
        if released.is_empty() {
            released = session.release_content(owner.legacy_content())?;
        }
        Ok(released)
    }

    /// The addresses of `owner`, in order (CHECK: compare with those of prevResult).
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn holds(&mut self, owner: &Owner) -> Result<Vec<IpAddr>, Error> {
        owner.content()?;
        match self.session(false)? {
            Some(session) => session.held(owner),
            None => Ok(Vec::new()),
        }
    }

    /// Releases every address whose owner is not in `valid`, and returns them. A reservation
    /// that names a container alone stays if any attachment of that container is valid.
    ///
    /// # Errors
    /// As [`release`](Self::release), after all others have been tried.
    pub fn gc(&mut self, valid: &BTreeSet<Owner>) -> Result<Vec<(IpAddr, Holder)>, Error> {
        let Some(mut session) = self.session(false)? else { return Ok(Vec::new()) };
        let mut keep: BTreeSet<Vec<u8>> = BTreeSet::new();
        for owner in valid {
            keep.insert(owner.content()?);
            keep.insert(owner.legacy_content().to_vec());
        }
        let mut released = Vec::new();
        let mut failure = None;
        for (address, entry) in session.dir.scan()? {
            let Entry::Reserved(content) = entry else { continue };
            if keep.contains(&content) {
                continue;
            }
            match session.drop_reservation(address, &content) {
                Ok(()) => released.push((address, owner::holder(&content))),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(released), Err)
    }

    /// Whether every range set has an address left (STATUS).
    ///
    /// # Errors
    /// [`Error::LockTimeout`] or [`Error::Io`].
    pub fn has_free(&mut self, sets: &[RangeSet]) -> Result<bool, Error> {
        let Some(mut session) = self.session(false)? else {
            let mut nothing = BTreeSet::new();
            return Ok(sets.iter().all(|set| has_free(set, &mut nothing)));
        };
        Ok(sets.iter().all(|set| has_free(set, &mut session.ledger)))
    }

    fn session(&mut self, create: bool) -> Result<Option<Session<'_>>, Error> {
        let Some(dir) = Directory::open(&self.path, create, self.lock_timeout)? else {
            return Ok(None);
        };
        let ledger = Ledger::open(&dir, &mut self.warnings)?;
        Ok(Some(Session { dir, ledger, warnings: &mut self.warnings }))
    }
}

/// One operation: the locked directory and what is reserved in it.
struct Session<'a> {
    dir: Directory,
    ledger: Ledger,
    warnings: &'a mut Vec<Warning>,
}

impl Session<'_> {
    fn refuse_duplicate(&self, sets: &[RangeSet], owner: &Owner) -> Result<(), Error> {
        let held = self.held(owner)?;
        for (range_set, set) in sets.iter().enumerate() {
            if let Some(ip) = held.iter().copied().find(|ip| set.contains(*ip)) {
                return Err(Error::Duplicate { range_set, ip, owner: owner.clone() });
            }
        }
        Ok(())
    }

    fn held(&self, owner: &Owner) -> Result<Vec<IpAddr>, Error> {
        let mut held = self.ledger.reserved_with(&owner.content()?);
        held.extend(self.ledger.reserved_with(owner.legacy_content()));
        held.sort_unstable();
        Ok(held)
    }

    fn reserve<'s>(
        &mut self,
        range_set: usize,
        set: &'s RangeSet,
        wish: Option<IpAddr>,
        content: &[u8],
    ) -> Result<Candidate<'s>, Error> {
        if let Some((ip, range)) = wish.and_then(|ip| Some((ip, set.range_for(ip)?))) {
            return match self.place(ip, content)? {
                true => Ok(Candidate { address: ip, range }),
                false => Err(self.taken(range_set, set, ip)?),
            };
        }
        let cursor = self.dir.last_reserved(range_set).unwrap_or_else(|warning| {
            self.warnings.push(warning);
            None
        });
        loop {
            let Ok(free) = allocator::next_free(set, cursor, &mut self.ledger);
            let Some(candidate) = free else {
                return Err(Error::Full { range_set, ranges: set.to_string() });
            };
            if self.place(candidate.address, content)? {
                return Ok(candidate);
            }
            self.ledger.add_unowned(candidate.address);
        }
    }

    fn place(&mut self, address: IpAddr, content: &[u8]) -> Result<bool, Error> {
        let placed = self.dir.place(address, content)?;
        if placed {
            self.ledger.add(address, content);
        }
        Ok(placed)
    }

    fn taken(&self, range_set: usize, set: &RangeSet, ip: IpAddr) -> Result<Error, Error> {
        let holder = match self.dir.read(ip)? {
            Some(Entry::Reserved(content)) => owner::holder(&content),
            Some(Entry::Void(_) | Entry::Foreign) | None => Holder::Unknown,
        };
        Ok(Error::RequestedTaken { range_set, ip, holder, ranges: set.to_string() })
    }

    fn undo(&mut self, made: &[(usize, Candidate<'_>)], content: &[u8]) {
        for (_, candidate) in made {
            // What cannot be removed stays under the owner's name, for its release.
            let _ = self.drop_reservation(candidate.address, content);
        }
    }

    fn release_content(&mut self, content: &[u8]) -> Result<Vec<IpAddr>, Error> {
        let addresses = self.ledger.reserved_with(content);
        for address in &addresses {
            self.drop_reservation(*address, content)?;
        }
        Ok(addresses)
    }

    fn drop_reservation(&mut self, address: IpAddr, content: &[u8]) -> Result<(), Error> {
        self.dir.remove(address)?;
        self.ledger.remove(address, content);
        Ok(())
    }
}

fn has_free<T: allocator::Taken<Error = std::convert::Infallible>>(
    set: &RangeSet,
    taken: &mut T,
) -> bool {
    let Ok(free) = allocator::next_free(set, None, taken);
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
