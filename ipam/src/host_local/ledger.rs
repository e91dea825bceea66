//! What is reserved in a directory: which addresses, and by whom.
//!
//! Answers from the index if it is valid, else from all files. What it says of an owner is a
//! pointer to the file that says so: it knows owners by the hash of that file's content.

use std::io;
use std::net::IpAddr;

use crate::allocator::Taken;

use super::directory::{Directory, Entry};
use super::error::{Error, Warning};
use super::index::{self, Tables};
use super::owner;
use super::pages;
use super::table::{Record, Table};

/// Marks a pointer in use.
const POINTER: u64 = 1;

/// The reservations of a directory, right as long as its lock is held.
#[derive(Debug)]
pub(super) struct Ledger {
    tables: Tables,
    indexed: bool,
    changed: bool,
}

/// From an owner to an address: hash of the content of the file, number of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    tag: u64,
    content: u128,
    address: u128,
}

impl Ledger {
    /// The reservations of `dir`, from the index if it is valid.
    pub(super) fn open(dir: &Directory, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        match index::load(dir) {
            Some(tables) => Ok(Self { tables, indexed: true, changed: false }),
            None => Self::read(dir, warnings),
        }
    }

    /// Reads all files. Void reservations are removed, with a warning.
    pub(super) fn read(dir: &Directory, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let tables = Tables { pointers: Table::new(), pages: Table::new() };
        let mut ledger = Self { tables, indexed: false, changed: true };
        for (address, entry) in dir.scan()? {
            let noted = match entry {
                Entry::Reserved(content) => ledger.add(address, &content),
                Entry::Foreign => ledger.add_unowned(address),
                Entry::Void(reason) => match reap(dir, address, reason, warnings) {
                    true => Ok(()),
                    false => ledger.add_unowned(address),
                },
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
        let wanted = Pointer::new(content, 0);
        let found = self
            .tables
            .pointers
            .find(wanted.home(), |pointer| pointer.content == wanted.content)?;
        Ok(found.into_iter().map(|pointer| pages::narrow(pointer.address)).collect())
    }

    /// Notes a reservation.
    pub(super) fn add(&mut self, address: IpAddr, content: &[u8]) -> io::Result<()> {
        self.tables.pointers.insert(Pointer::new(content, pages::wide(address)))?;
        self.add_unowned(address)
    }

    /// Notes that an address is taken by nobody.
    pub(super) fn add_unowned(&mut self, address: IpAddr) -> io::Result<()> {
        self.changed = true;
        pages::mark(&mut self.tables.pages, address)
    }

    /// Notes that a reservation is gone.
    pub(super) fn remove(&mut self, address: IpAddr, content: &[u8]) -> io::Result<()> {
        self.tables.pointers.remove(&Pointer::new(content, pages::wide(address)))?;
        self.remove_unowned(address)
    }

    /// Notes that an address is free that nobody had.
    pub(super) fn remove_unowned(&mut self, address: IpAddr) -> io::Result<()> {
        self.changed = true;
        pages::clear(&mut self.tables.pages, address)
    }

    /// Notes that files may have changed, whether or not a reservation came of it.
    pub(super) fn disturb(&mut self) {
        self.changed = true;
    }

    /// Writes the index, if something has changed.
    pub(super) fn save(&mut self, dir: &Directory) -> io::Result<()> {
        match self.changed {
            true => index::save(dir, &mut self.tables),
            false => Ok(()),
        }
    }
}

impl Taken for Ledger {
    type Error = io::Error;

    fn first_free(&mut self, first: IpAddr, last: IpAddr) -> io::Result<Option<IpAddr>> {
        pages::first_free(&mut self.tables.pages, first, last)
    }
}

/// Removes a reservation that names nobody, with a warning. `false`: it could not be removed.
pub(super) fn reap(
    dir: &Directory,
    address: IpAddr,
    reason: String,
    warnings: &mut Vec<Warning>,
) -> bool {
    let path = dir.join(&address.to_string());
    let removed = dir.remove(address).is_ok();
    warnings.push(match removed {
        true => Warning::VoidReservation { path, reason },
        false => Warning::StuckReservation { path, reason },
    });
    removed
}

impl Pointer {
    fn new(content: &[u8], address: u128) -> Self {
        let (container, rest) = owner::split(content);
        let content = (u128::from(hash(container)) << 64) | u128::from(hash(rest));
        Self { tag: POINTER, content, address }
    }
}

impl Record for Pointer {
    const BYTES: usize = 8 + 16 + 16;
    const PER_BLOCK: usize = 32;
    const MIN_BLOCKS: u64 = 8;
    const EMPTY: Self = Self { tag: 0, content: 0, address: 0 };

    /// By container alone: an owner and the reservations of its container without interface,
    /// which are always asked for together, share their home.
    fn home(&self) -> u64 {
        u64::try_from(self.content >> 64).unwrap_or_default()
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.content.to_le_bytes());
        bytes.extend(self.address.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk()?;
        let (content, rest) = rest.split_first_chunk()?;
        let (address, _) = rest.split_first_chunk()?;
        let pointer = Self {
            tag: u64::from_le_bytes(*tag),
            content: u128::from_le_bytes(*content),
            address: u128::from_le_bytes(*address),
        };
        (pointer == Self::EMPTY || pointer.tag == POINTER).then_some(pointer)
    }
}

/// FNV-1a (RFC 9923), its bits spread: the same in every build, unlike the standard library's.
fn hash(text: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    pages::spread(u128::from(
        text.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)),
    ))
}
