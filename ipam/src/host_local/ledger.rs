//! What is reserved in a directory: which addresses, and by whom.
//!
//! Answers from the index if it is valid, else from all files. What it says of an owner is a
//! pointer to the file that says so: it knows owners by the hash of their content.

use std::io;
use std::net::IpAddr;

use crate::allocator::Taken;

use super::directory::{Directory, Entry};
use super::error::{Error, Warning};
use super::index;
use super::table::{Slot, Table};
use super::taken;

/// Kind of the entries (hash of content, address). See [`super::taken`] for the other kinds.
const OWNER: u64 = 1;

/// The reservations of a directory, right as long as its lock is held.
#[derive(Debug)]
pub(super) struct Ledger {
    table: Table,
    indexed: bool,
    changed: bool,
}

impl Ledger {
    /// The reservations of `dir`, from the index if it is valid.
    pub(super) fn open(dir: &Directory, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        match index::load(dir) {
            Some(table) => Ok(Self { table, indexed: true, changed: false }),
            None => Self::read(dir, warnings),
        }
    }

    /// Reads all files. Void reservations are removed, with a warning.
    pub(super) fn read(dir: &Directory, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let mut ledger = Self { table: Table::new(), indexed: false, changed: true };
        for (address, entry) in dir.scan()? {
            let noted = match entry {
                Entry::Reserved(content) => ledger.add(address, &content),
                Entry::Foreign => ledger.add_unowned(address),
                Entry::Void(reason) => {
                    let path = dir.join(&address.to_string());
                    match dir.remove(address) {
                        Ok(()) => {
                            warnings.push(Warning::VoidReservation { path, reason });
                            Ok(())
                        }
                        Err(_) => {
                            warnings.push(Warning::StuckReservation { path, reason });
                            ledger.add_unowned(address)
                        }
                    }
                }
            };
            noted.map_err(|source| Error::io("index directory", dir.path(), source))?;
        }
        Ok(ledger)
    }

    /// Whether the answers come from the index, not from the files themselves.
    pub(super) fn is_indexed(&self) -> bool {
        self.indexed
    }

    /// The addresses reserved with this content, or with one of the same hash.
    pub(super) fn reserved_with(&mut self, content: &[u8]) -> io::Result<Vec<IpAddr>> {
        let values = self.table.values(OWNER, hash(content))?;
        Ok(values.into_iter().map(taken::narrow).collect())
    }

    /// Notes a reservation.
    pub(super) fn add(&mut self, address: IpAddr, content: &[u8]) -> io::Result<()> {
        self.table.insert(owner_slot(address, content))?;
        self.add_unowned(address)
    }

    /// Notes that an address is taken by nobody.
    pub(super) fn add_unowned(&mut self, address: IpAddr) -> io::Result<()> {
        self.changed = true;
        taken::mark(&mut self.table, address)
    }

    /// Notes that a reservation is gone.
    pub(super) fn remove(&mut self, address: IpAddr, content: &[u8]) -> io::Result<()> {
        self.changed = true;
        self.table.remove(owner_slot(address, content))?;
        taken::clear(&mut self.table, address)
    }

    /// Notes that files may have changed, whether or not a reservation came of it.
    pub(super) fn disturb(&mut self) {
        self.changed = true;
    }

    /// Writes the index, if something has changed.
    pub(super) fn save(&self, dir: &Directory) -> io::Result<()> {
        match self.changed {
            true => index::save(dir, &self.table),
            false => Ok(()),
        }
    }
}

impl Taken for Ledger {
    type Error = io::Error;

    fn first_free(&mut self, first: IpAddr, last: IpAddr) -> io::Result<Option<IpAddr>> {
        taken::first_free(&mut self.table, first, last)
    }
}

fn owner_slot(address: IpAddr, content: &[u8]) -> Slot {
    Slot { kind: OWNER, key: hash(content), value: taken::wide(address) }
}

/// FNV-1a of 128 bits (RFC 9923): the same in every build, unlike the standard library's.
fn hash(content: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    content.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}
