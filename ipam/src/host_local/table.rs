//! A hash table in a file, of which an operation reads and writes a block or two.
//!
//! A record's home is a block, read and written as a whole; what does not fit there goes on into
//! the next one (open addressing). The table is at most half full, so that one block is nearly
//! always enough, with ten records and with 60,000: an operation costs the same system calls.
//! Removal moves later records up instead of leaving tombstones, so the table never has to be
//! cleaned. Knows nothing of addresses; whether the file may be trusted is the matter of
//! [`super::index`].

mod block;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use block::{Block, Source, as_u64, block_bytes, block_offset};

pub(super) use block::{damaged, write_all_at};

/// Bytes written with one call when a whole table is written.
const RUN_BYTES: usize = 1 << 20;

/// What a table holds.
pub(super) trait Record: Copy + PartialEq {
    /// Size in the file.
    const BYTES: usize;
    /// Records of a block.
    const PER_BLOCK: usize;
    /// Blocks of the smallest table, a power of two.
    const MIN_BLOCKS: u64;
    /// An unused place: zeros, in the file.
    const EMPTY: Self;

    /// The hash that chooses the home, of which the low bits count.
    fn home(&self) -> u64;
    /// Appends the [`Record::BYTES`] of the record.
    fn encode(&self, bytes: &mut Vec<u8>);
    /// The record in these bytes, `None` if it can be none.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// The table: the blocks in use so far, in front of the file they come from.
#[derive(Debug)]
pub(super) struct Table<R> {
    source: Option<Source>,
    loaded: BTreeMap<u64, Block<R>>,
    blocks: u64,
    used: u64,
}

impl<R: Record> Table<R> {
    /// An empty table, in memory.
    pub(super) fn new() -> Self {
        Self { source: None, loaded: BTreeMap::new(), blocks: R::MIN_BLOCKS, used: 0 }
    }

    /// The table of `blocks` blocks and `used` records that starts at `offset` of `file`. `None`
    /// if there is no such table.
    pub(super) fn load(file: Rc<OwnedFd>, offset: u64, blocks: u64, used: u64) -> Option<Self> {
        let table =
            Self { source: Some(Source { file, offset }), loaded: BTreeMap::new(), blocks, used };
        let sound =
            blocks.is_power_of_two() && blocks >= R::MIN_BLOCKS && used <= table.places() / 2;
        sound.then_some(table)
    }

    /// Blocks, loaded or not.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Records.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Bytes of the table in a file.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(as_u64(block_bytes::<R>()))
    }

    /// The file it was loaded from, unless it has grown since.
    pub(super) fn source(&self) -> Option<Rc<OwnedFd>> {
        self.source.as_ref().map(|source| Rc::clone(&source.file))
    }

    /// The records that are `wanted`, among those whose home this is.
    pub(super) fn find(
        &mut self,
        home: u64,
        mut wanted: impl FnMut(&R) -> bool,
    ) -> io::Result<Vec<R>> {
        let mut found = Vec::new();
        self.probe(home, |record| {
            if wanted(record) {
                found.push(*record);
            }
            false
        })?;
        Ok(found)
    }

    /// Adds a record, unless it is there already.
    pub(super) fn insert(&mut self, record: R) -> io::Result<()> {
        if self.used >= self.places() / 2 {
            self.grow()?;
        }
        let (place, found) = self.probe(record.home(), |other| *other == record)?;
        if !found {
            self.set(place, record)?;
            self.used += 1;
        }
        Ok(())
    }

    /// Puts `new` in the place of `old`, which has the same home; without effect if that is not
    /// there.
    pub(super) fn replace(&mut self, old: &R, new: R) -> io::Result<()> {
        match self.probe(old.home(), |other| other == old)? {
            (place, true) => self.set(place, new),
            (_, false) => Ok(()),
        }
    }

    /// Removes a record, if it is there.
    pub(super) fn remove(&mut self, record: &R) -> io::Result<()> {
        let (mut hole, found) = self.probe(record.home(), |other| other == record)?;
        if !found {
            return Ok(());
        }
        let mut place = hole;
        for _ in 0..self.places() {
            place = self.wrap(place + 1);
            let other = self.get(place)?;
            if other == R::EMPTY {
                break;
            }
            // A record may move up to the hole if that is not before its home.
            let home = self.first_place(other.home());
            if self.distance(home, place) >= self.distance(hole, place) {
                self.set(hole, other)?;
                hole = place;
            }
        }
        self.set(hole, R::EMPTY)?;
        self.used = self.used.saturating_sub(1);
        Ok(())
    }

    /// Loads all that is not loaded yet, for a table that moves to another place of its file.
    pub(super) fn detach(&mut self) -> io::Result<()> {
        for number in 0..self.blocks {
            self.block(number)?.dirty = true;
        }
        self.source = None;
        Ok(())
    }

    /// Writes the blocks that were changed to `file` at `offset`; a table that does not come from
    /// there is written over zeros.
    pub(super) fn write(&self, file: &OwnedFd, offset: u64) -> io::Result<()> {
        // One call per block is the same number of calls whichever blocks they are.
        let run_bytes = if self.source.is_some() { 0 } else { RUN_BYTES };
        let (mut run, mut run_start, mut next) = (Vec::new(), 0, None);
        for (number, block) in self.loaded.iter().filter(|(_, block)| block.dirty) {
            if next != Some(*number) || run.len() >= run_bytes {
                write_all_at(file, &run, run_start)?;
                run.clear();
                run_start = block_offset::<R>(offset, *number);
            }
            block.records.iter().for_each(|record| record.encode(&mut run));
            next = number.checked_add(1);
        }
        write_all_at(file, &run, run_start)
    }

    /// Looks at the records from a home on until one is `wanted`, or a place is empty. Returns
    /// the place, and whether the record there is wanted.
    fn probe(&mut self, home: u64, mut wanted: impl FnMut(&R) -> bool) -> io::Result<(u64, bool)> {
        let mut number = home & (self.blocks - 1);
        for _ in 0..self.blocks {
            let place = number.saturating_mul(as_u64(R::PER_BLOCK));
            for (place, record) in (place..).zip(&self.block(number)?.records) {
                if *record == R::EMPTY {
                    return Ok((place, false));
                }
                if wanted(record) {
                    return Ok((place, true));
                }
            }
            number = (number + 1) & (self.blocks - 1);
        }
        Err(damaged())
    }

    fn grow(&mut self) -> io::Result<()> {
        let blocks = self.blocks.checked_mul(2).ok_or_else(damaged)?;
        let mut larger = Self { blocks, ..Self::new() };
        for place in 0..self.places() {
            let record = self.get(place)?;
            if record != R::EMPTY {
                larger.insert(record)?;
            }
        }
        *self = larger;
        Ok(())
    }

    fn get(&mut self, place: u64) -> io::Result<R> {
        let index = index_in_block::<R>(place)?;
        let block = self.block(place / as_u64(R::PER_BLOCK))?;
        block.records.get(index).copied().ok_or_else(damaged)
    }

    fn set(&mut self, place: u64, record: R) -> io::Result<()> {
        let index = index_in_block::<R>(place)?;
        let block = self.block(place / as_u64(R::PER_BLOCK))?;
        *block.records.get_mut(index).ok_or_else(damaged)? = record;
        block.dirty = true;
        Ok(())
    }

    fn block(&mut self, number: u64) -> io::Result<&mut Block<R>> {
        Ok(match self.loaded.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(match &self.source {
                Some(source) => Block::read(source, number)?,
                None => Block { records: vec![R::EMPTY; R::PER_BLOCK], dirty: false },
            }),
        })
    }

    /// Records the table has a place for.
    fn places(&self) -> u64 {
        self.blocks.saturating_mul(as_u64(R::PER_BLOCK))
    }

    fn first_place(&self, home: u64) -> u64 {
        (home & (self.blocks - 1)).saturating_mul(as_u64(R::PER_BLOCK))
    }

    fn wrap(&self, place: u64) -> u64 {
        if place < self.places() { place } else { 0 }
    }

    /// Steps from `from` to `to`, around the end of the table.
    fn distance(&self, from: u64, to: u64) -> u64 {
        if from <= to { to - from } else { self.places() - from + to }
    }
}

fn index_in_block<R: Record>(place: u64) -> io::Result<usize> {
    usize::try_from(place % as_u64(R::PER_BLOCK)).map_err(|_| damaged())
}

#[cfg(test)]
mod tests;
