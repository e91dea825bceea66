//! A hash table in a file, of which an operation reads and writes a few blocks only.
//!
//! Open addressing with linear probing, at most half full. Removal moves later entries up
//! instead of leaving tombstones, so that the table never has to be cleaned. Knows nothing of
//! addresses; whether the file may be trusted is the matter of [`super::index`].

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::retry_on_intr;

/// Bytes of a slot in the file: kind, key, value, all little-endian.
const SLOT_BYTES: usize = 8 + 16 + 16;
/// Slots that are read and written together.
const BLOCK_SLOTS: usize = 32;
const BLOCK_BYTES: usize = BLOCK_SLOTS * SLOT_BYTES;
/// Bytes written with one call when the whole table is written.
const RUN_BYTES: usize = 1 << 20;
/// Slots of the smallest table, a power of two and a multiple of [`BLOCK_SLOTS`].
const MIN_CAPACITY: u64 = 256;

/// An entry. Kind 0 marks an empty slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) kind: u64,
    pub(super) key: u128,
    pub(super) value: u128,
}

/// The table: the blocks in use so far, in front of the file they come from.
#[derive(Debug)]
pub(super) struct Table {
    /// Where blocks come from that are not in `blocks`. `None`: all others are empty.
    file: Option<(OwnedFd, u64)>,
    blocks: BTreeMap<u64, Block>,
    capacity: u64,
    used: u64,
}

#[derive(Debug)]
struct Block {
    slots: Vec<Slot>,
    dirty: bool,
}

impl Table {
    /// An empty table, in memory.
    pub(super) fn new() -> Self {
        Self { file: None, blocks: BTreeMap::new(), capacity: MIN_CAPACITY, used: 0 }
    }

    /// The table that starts at `offset` of `file`, with the size that was written down with it.
    pub(super) fn load(file: OwnedFd, offset: u64, capacity: u64, used: u64) -> Option<Self> {
        let sound = capacity.is_power_of_two() && capacity >= MIN_CAPACITY && used <= capacity / 2;
        sound.then(|| Self { file: Some((file, offset)), blocks: BTreeMap::new(), capacity, used })
    }

    /// Slots, empty ones included.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Entries.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The file the table was loaded from, unless it has outgrown it.
    pub(super) fn file(&self) -> Option<&OwnedFd> {
        self.file.as_ref().map(|(file, _)| file)
    }

    /// The values of all entries of this kind and key.
    pub(super) fn values(&mut self, kind: u64, key: u128) -> io::Result<Vec<u128>> {
        let mut values = Vec::new();
        self.probe(kind, key, |slot| {
            if (slot.kind, slot.key) == (kind, key) {
                values.push(slot.value);
            }
            false
        })?;
        Ok(values)
    }

    /// Adds an entry, beside others of the same kind and key, unless it is there already.
    pub(super) fn insert(&mut self, slot: Slot) -> io::Result<()> {
        if self.used >= self.capacity / 2 {
            self.grow()?;
        }
        let (position, found) = self.probe(slot.kind, slot.key, |other| *other == slot)?;
        if found.is_none() {
            self.set(position, slot)?;
            self.used += 1;
        }
        Ok(())
    }

    /// Gives an entry another value; without effect if it is not there.
    pub(super) fn replace(&mut self, slot: Slot, value: u128) -> io::Result<()> {
        match self.probe(slot.kind, slot.key, |other| *other == slot)? {
            (position, Some(_)) => self.set(position, Slot { value, ..slot }),
            (_, None) => Ok(()),
        }
    }

    /// Removes an entry, if it is there.
    pub(super) fn remove(&mut self, slot: Slot) -> io::Result<()> {
        let (mut hole, found) = self.probe(slot.kind, slot.key, |other| *other == slot)?;
        if found.is_none() {
            return Ok(());
        }
        let mut position = hole;
        for _ in 0..self.capacity {
            position = self.wrap(position + 1);
            let other = self.get(position)?;
            if other.kind == 0 {
                break;
            }
            // An entry may move up to the hole if that is not before its home.
            if self.distance(self.home(other.kind, other.key), position)
                >= self.distance(hole, position)
            {
                self.set(hole, other)?;
                hole = position;
            }
        }
        self.set(hole, Slot::default())?;
        self.used = self.used.saturating_sub(1);
        Ok(())
    }

    /// Writes what has changed to `file` at `offset`, all of it if the table does not come from
    /// there.
    pub(super) fn write(&self, file: &OwnedFd, offset: u64) -> io::Result<()> {
        if self.file.is_none() {
            let bytes = self.capacity.saturating_mul(as_u64(SLOT_BYTES));
            rustix::fs::ftruncate(file, 0)?;
            rustix::fs::ftruncate(file, offset.saturating_add(bytes))?;
        }
        let mut run: Vec<u8> = Vec::new();
        let mut run_start = 0;
        let mut expected = None;
        for (number, block) in self.blocks.iter().filter(|(_, block)| block.dirty) {
            if expected != Some(*number) || run.len() >= RUN_BYTES {
                write_all_at(file, &run, run_start)?;
                run.clear();
                run_start = block_offset(offset, *number);
            }
            block.encode(&mut run);
            expected = number.checked_add(1);
        }
        write_all_at(file, &run, run_start)
    }

    /// Looks at the entries from the home of (kind, key) on, until one is `wanted` or a slot is empty.
    /// Returns the last position, and the entry if one was wanted.
    fn probe(
        &mut self,
        kind: u64,
        key: u128,
        mut wanted: impl FnMut(&Slot) -> bool,
    ) -> io::Result<(u64, Option<Slot>)> {
        let mut position = self.home(kind, key);
        for _ in 0..self.capacity {
            let slot = self.get(position)?;
            if slot.kind == 0 {
                return Ok((position, None));
            }
            if wanted(&slot) {
                return Ok((position, Some(slot)));
            }
            position = self.wrap(position + 1);
        }
        Err(damaged())
    }

    fn grow(&mut self) -> io::Result<()> {
        let capacity = self.capacity.checked_mul(2).ok_or_else(damaged)?;
        let mut larger = Self { capacity, ..Self::new() };
        for position in 0..self.capacity {
            let slot = self.get(position)?;
            if slot.kind != 0 {
                larger.insert(slot)?;
            }
        }
        *self = larger;
        Ok(())
    }

    fn get(&mut self, position: u64) -> io::Result<Slot> {
        let (block, index) = self.block(position)?;
        block.slots.get(index).copied().ok_or_else(damaged)
    }

    fn set(&mut self, position: u64, slot: Slot) -> io::Result<()> {
        let (block, index) = self.block(position)?;
        *block.slots.get_mut(index).ok_or_else(damaged)? = slot;
        block.dirty = true;
        Ok(())
    }

    fn block(&mut self, position: u64) -> io::Result<(&mut Block, usize)> {
        let number = position / as_u64(BLOCK_SLOTS);
        let index = usize::try_from(position % as_u64(BLOCK_SLOTS)).map_err(|_| damaged())?;
        let block = match self.blocks.entry(number) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(match &self.file {
                Some((file, offset)) => Block::read(file, block_offset(*offset, number))?,
                None => Block { slots: vec![Slot::default(); BLOCK_SLOTS], dirty: false },
            }),
        };
        Ok((block, index))
    }

    fn home(&self, kind: u64, key: u128) -> u64 {
        self.wrap(mix(kind, key))
    }

    fn wrap(&self, position: u64) -> u64 {
        position & (self.capacity - 1)
    }

    /// Steps from `from` to `to`, around the end of the table.
    fn distance(&self, from: u64, to: u64) -> u64 {
        self.wrap(to.wrapping_sub(from))
    }
}

impl Block {
    fn read(file: &OwnedFd, offset: u64) -> io::Result<Self> {
        let mut bytes = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            let rest = bytes.get_mut(filled..).ok_or_else(damaged)?;
            let at = offset.saturating_add(as_u64(filled));
            match retry_on_intr(|| rustix::io::pread(file, &mut *rest, at))? {
                0 => return Err(damaged()),
                count => filled += count,
            }
        }
        let slots = bytes.chunks_exact(SLOT_BYTES).map(decode).collect::<Option<_>>();
        Ok(Self { slots: slots.ok_or_else(damaged)?, dirty: false })
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        for slot in &self.slots {
            bytes.extend(slot.kind.to_le_bytes());
            bytes.extend(slot.key.to_le_bytes());
            bytes.extend(slot.value.to_le_bytes());
        }
    }
}

/// Writes all of `bytes` at `offset` of `file`.
pub(super) fn write_all_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))?;
        bytes = bytes.get(count..).unwrap_or_default();
        offset = offset.saturating_add(as_u64(count));
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> Option<Slot> {
    let (kind, rest) = bytes.split_first_chunk()?;
    let (key, rest) = rest.split_first_chunk()?;
    let (value, _) = rest.split_first_chunk()?;
    Some(Slot {
        kind: u64::from_le_bytes(*kind),
        key: u128::from_le_bytes(*key),
        value: u128::from_le_bytes(*value),
    })
}

fn block_offset(table: u64, number: u64) -> u64 {
    table.saturating_add(number.saturating_mul(as_u64(BLOCK_BYTES)))
}

fn as_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// The file does not hold what its header says.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the index is damaged")
}

/// Spreads the bits of (kind, key): the finalizer of MurmurHash3, once per half of the key.
fn mix(kind: u64, key: u128) -> u64 {
    let [low, high] = [key, key >> 64].map(|half| half & u128::from(u64::MAX));
    [low, high].into_iter().fold(kind, |state, half| {
        let mut state = state.rotate_left(29) ^ u64::try_from(half).unwrap_or_default();
        state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        state ^ (state >> 33)
    })
}

#[cfg(test)]
mod tests;
