//! Which addresses are taken, so that the next free one is found in a few steps however many
//! are taken in a row.
//!
//! A tree of 128-bit words: a bit of level 0 is an address, a bit of level n + 1 says that a
//! word of level n is full. Words without a bit are not stored, so that the tree is as small as
//! what is taken, for 10.0.0.0/8 and for a /64 alike. 128 taken addresses in a row cost one word
//! to skip, 16,384 cost one word more. IPv4 addresses live in ::ffff:0:0/96.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use super::table::{self, Slot, Table};

/// Kind of the words of level 0; the other levels follow. See [`super::ledger`] for kind 1.
const LEVEL_0: u64 = 2;
/// Bits of a number that choose the bit within a word.
const WORD_BITS: u32 = 7;

/// An address as a number in the one space of both families.
pub(super) fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The inverse of [`wide`].
pub(super) fn narrow(number: u128) -> IpAddr {
    Ipv6Addr::from_bits(number).to_canonical()
}

/// Marks an address as taken.
pub(super) fn mark(table: &mut Table, address: IpAddr) -> io::Result<()> {
    let mut number = wide(address);
    for level in levels() {
        let (word, key, bit) = word(table, level, number)?;
        let marked = word | bit;
        replace(table, level, key, word, marked)?;
        if marked != u128::MAX {
            break;
        }
        number = key;
    }
    Ok(())
}

/// Marks an address as free.
pub(super) fn clear(table: &mut Table, address: IpAddr) -> io::Result<()> {
    let mut number = wide(address);
    for level in levels() {
        let (word, key, bit) = word(table, level, number)?;
        replace(table, level, key, word, word & !bit)?;
        if word != u128::MAX {
            break;
        }
        number = key;
    }
    Ok(())
}

/// The lowest free address of `first..=last`.
pub(super) fn first_free(
    table: &mut Table,
    first: IpAddr,
    last: IpAddr,
) -> io::Result<Option<IpAddr>> {
    let last = wide(last);
    let free = first_clear(table, 0, wide(first), last)?;
    Ok(free.filter(|number| *number <= last).map(narrow))
}

/// The lowest number from `from` on whose bit of `level` is clear; `last` (of level 0) ends the
/// search.
fn first_clear(table: &mut Table, level: u32, from: u128, last: u128) -> io::Result<Option<u128>> {
    let Some(end) = last.checked_shr(WORD_BITS * level).filter(|end| from <= *end) else {
        return Ok(None);
    };
    let (word, key, bit) = word(table, level, from)?;
    let below = bit - 1;
    if let Some(found) = lowest_clear(key, word | below) {
        return Ok(Some(found));
    }
    if key >= end >> WORD_BITS {
        return Ok(None);
    }
    let Some(key) = first_clear(table, level + 1, key + 1, last)? else { return Ok(None) };
    let word = words(table, level, key)?;
    // The level above says that this word has a free bit.
    lowest_clear(key, word).map(Some).ok_or_else(table::damaged)
}

fn lowest_clear(key: u128, word: u128) -> Option<u128> {
    (word != u128::MAX).then(|| (key << WORD_BITS) | u128::from(word.trailing_ones()))
}

/// The word of `number` on a level, its key, and the number's bit in it.
fn word(table: &mut Table, level: u32, number: u128) -> io::Result<(u128, u128, u128)> {
    let key = number >> WORD_BITS;
    let bit = 1_u128 << (number & ((1 << WORD_BITS) - 1));
    Ok((words(table, level, key)?, key, bit))
}

fn words(table: &mut Table, level: u32, key: u128) -> io::Result<u128> {
    Ok(table.values(kind(level), key)?.first().copied().unwrap_or_default())
}

fn replace(table: &mut Table, level: u32, key: u128, old: u128, new: u128) -> io::Result<()> {
    let slot = |value| Slot { kind: kind(level), key, value };
    match (old, new) {
        (old, new) if old == new => Ok(()),
        (0, new) => table.insert(slot(new)),
        (old, 0) => table.remove(slot(old)),
        (old, new) => table.replace(slot(old), new),
    }
}

fn kind(level: u32) -> u64 {
    LEVEL_0 + u64::from(level)
}

/// All levels that 128-bit numbers can fill.
fn levels() -> std::ops::Range<u32> {
    0..u128::BITS.div_ceil(WORD_BITS)
}

#[cfg(test)]
mod tests;
