//! One operation on a store: the locked directory and what is reserved in it.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::allocator::{self, Candidate, Taken};
use crate::range_set::RangeSet;

use super::directory::{Directory, Entry};
use super::error::{Error, Holder, Warning};
use super::index;
use super::ledger::{self, Ledger};
use super::marker::Marker;
use super::owner::{self, Owner};

/// The operation. [`Session::finish`] must end it: without, the next one reads all files.
#[derive(Debug)]
pub(super) struct Session<'a> {
    dir: Directory,
    ledger: Ledger,
    warnings: &'a mut Vec<Warning>,
}

/// An address that was reserved, and the marker that is to name it.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    pub(super) candidate: Candidate<'a>,
    marker: Marker,
}

impl<'a> Session<'a> {
    /// Locks the directory, which is made if there is none.
    pub(super) fn open_or_create(
        path: &Path,
        timeout: Duration,
        warnings: &'a mut Vec<Warning>,
    ) -> Result<Self, Error> {
        Self::of(Directory::open_or_create(path, timeout)?, warnings)
    }

    /// Locks the directory; `None` if there is none, and so no reservation.
    pub(super) fn open(
        path: &Path,
        timeout: Duration,
        warnings: &'a mut Vec<Warning>,
    ) -> Result<Option<Self>, Error> {
        match Directory::open(path, timeout)? {
            Some(dir) => Self::of(dir, warnings).map(Some),
            None => Ok(None),
        }
    }

    /// Writes the index and gives up the lock. An index that cannot be written costs time, not
    /// correctness.
    pub(super) fn finish(mut self) {
        if let Err(error) = self.ledger.save(&self.dir) {
            let path = self.dir.join(index::NAME);
            self.warnings.push(Warning::Index { path, reason: error.to_string() });
        }
    }

    /// The addresses whose files name `owner`, or its container alone, in order.
    pub(super) fn held(&mut self, owner: &Owner) -> Result<Vec<IpAddr>, Error> {
        let mut held = self.reserved_with(&owner.content()?)?;
        held.extend(self.reserved_with(owner.legacy_content())?);
        held.sort_unstable();
        Ok(held)
    }

    /// Reserves `wish`, or else the next free address of `set`.
    pub(super) fn reserve<'s>(
        &mut self,
        range_set: usize,
        set: &'s RangeSet,
        wish: Option<IpAddr>,
        content: &[u8],
    ) -> Result<Reserved<'s>, Error> {
        let marker = Marker::open(&self.dir, range_set, self.warnings);
        if let Some((address, range)) = wish.and_then(|ip| Some((ip, set.range_for(ip)?))) {
            return match self.place(address, content)? {
                true => Ok(Reserved { candidate: Candidate { address, range }, marker }),
                false => Err(self.taken(range_set, set, address)?),
            };
        }
        loop {
            let free = self.ask(|ledger| allocator::next_free(set, marker.address, ledger))?;
            let Some(candidate) = free else {
                return Err(Error::Full { range_set, ranges: set.to_string() });
            };
            if self.place(candidate.address, content)? {
                return Ok(Reserved { candidate, marker });
            }
            self.ask(|ledger| ledger.add_unowned(candidate.address))?;
        }
    }

    /// Records a reservation as the last one of its range set.
    pub(super) fn mark(&self, reserved: &mut Reserved<'_>) -> Result<(), Error> {
        reserved.marker.set(&self.dir, reserved.candidate.address)
    }

    /// Gives back what this operation reserved.
    pub(super) fn undo(&mut self, made: &[Reserved<'_>], content: &[u8]) {
        for reserved in made {
            // What cannot be removed stays under the owner's name, for its release.
            let _ = self.drop_reservation(reserved.candidate.address, content);
        }
    }

    /// Removes the reservations with this content, and returns their addresses.
    pub(super) fn release(&mut self, content: &[u8]) -> Result<Vec<IpAddr>, Error> {
        let addresses = self.reserved_with(content)?;
        let mut failure = None;
        for address in &addresses {
            failure = failure.or(self.drop_reservation(*address, content).err());
        }
        failure.map_or(Ok(addresses), Err)
    }

    /// Whether `set` has an address left.
    pub(super) fn has_free(&mut self, set: &RangeSet) -> Result<bool, Error> {
        Ok(self.ask(|ledger| allocator::next_free(set, None, ledger))?.is_some())
    }

    /// Reads all files and removes the reservations whose content `keep` does not want.
    pub(super) fn sweep(
        &mut self,
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(IpAddr, Holder)>, Error> {
        let mut released = Vec::new();
        let mut failure = None;
        for (address, entry) in self.dir.scan()? {
            let content = match entry {
                Entry::Reserved(content) if !keep(&content) => content,
                Entry::Reserved(_) | Entry::Foreign => continue,
                Entry::Void(reason) => {
                    if ledger::reap(&self.dir, address, reason, self.warnings) {
                        let noted = self.ask(|ledger| ledger.remove_unowned(address));
                        failure = failure.or(noted.err());
                    }
                    continue;
                }
            };
            match self.drop_reservation(address, &content) {
                Ok(()) => released.push((address, owner::holder(&content))),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(released), Err)
    }

    fn of(dir: Directory, warnings: &'a mut Vec<Warning>) -> Result<Self, Error> {
        let ledger = Ledger::open(&dir, warnings)?;
        Ok(Self { dir, ledger, warnings })
    }

    /// The addresses whose files have exactly this content, in order.
    fn reserved_with(&mut self, content: &[u8]) -> Result<Vec<IpAddr>, Error> {
        let mut addresses = self.ask(|ledger| ledger.reserved_with(content))?;
        if self.ledger.is_indexed() && !self.all_name(&addresses, content)? {
            self.read_again()?;
            addresses = self.ask(|ledger| ledger.reserved_with(content))?;
        }
        addresses.sort_unstable();
        Ok(addresses)
    }

    fn all_name(&self, addresses: &[IpAddr], content: &[u8]) -> Result<bool, Error> {
        for address in addresses {
            match self.dir.read(*address)? {
                Some(Entry::Reserved(found)) if found == content => {}
                Some(Entry::Reserved(_) | Entry::Void(_) | Entry::Foreign) | None => {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Creates the file of `address`; `false` if it is taken. The file system decides, not the
    /// ledger.
    fn place(&mut self, address: IpAddr, content: &[u8]) -> Result<bool, Error> {
        self.ledger.disturb();
        let mut placed = self.dir.place(address, content)?;
        if !placed && self.ledger.is_indexed() && !self.known_taken(address)? {
            // A file that was edited by hand: see `index`.
            self.read_again()?;
            placed = self.dir.place(address, content)?;
        }
        if placed && let Err(error) = self.ask(|ledger| ledger.add(address, content)) {
            // The caller does not know of it; should this fail too, the owner's release will.
            let _ = self.dir.remove(address);
            return Err(error);
        }
        Ok(placed)
    }

    fn known_taken(&mut self, address: IpAddr) -> Result<bool, Error> {
        let free = self.ask(|ledger| ledger.first_free(address, address))?.is_some();
        Ok(!free && !matches!(self.dir.read(address)?, Some(Entry::Void(_))))
    }

    fn taken(&self, range_set: usize, set: &RangeSet, ip: IpAddr) -> Result<Error, Error> {
        let holder = match self.dir.read(ip)? {
            Some(Entry::Reserved(content)) => owner::holder(&content),
            Some(Entry::Void(_) | Entry::Foreign) | None => Holder::Unknown,
        };
        Ok(Error::RequestedTaken { range_set, ip, holder, ranges: set.to_string() })
    }

    fn drop_reservation(&mut self, address: IpAddr, content: &[u8]) -> Result<(), Error> {
        self.ledger.disturb();
        self.dir.remove(address)?;
        self.ask(|ledger| ledger.remove(address, content))
    }

    /// Asks the ledger; if its index turns out to be damaged, a second time from the files. All
    /// questions and notes may be repeated.
    fn ask<T>(
        &mut self,
        mut question: impl FnMut(&mut Ledger) -> io::Result<T>,
    ) -> Result<T, Error> {
        match question(&mut self.ledger) {
            Ok(answer) => return Ok(answer),
            Err(_) if self.ledger.is_indexed() => self.read_again()?,
            Err(error) => return Err(self.index_error(error)),
        }
        question(&mut self.ledger).map_err(|error| self.index_error(error))
    }

    fn read_again(&mut self) -> Result<(), Error> {
        index::distrust(&self.dir).map_err(|error| self.index_error(error))?;
        self.ledger = Ledger::read(&self.dir, self.warnings)?;
        Ok(())
    }

    fn index_error(&self, source: io::Error) -> Error {
        Error::io("use index", &self.dir.join(index::NAME), source)
    }
}
