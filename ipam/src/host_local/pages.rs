//! Which addresses are taken: a bitmap in pages, so that the next free one is found in a few
//! steps however many are taken in a row.
//!
//! A page is 1,024 addresses; pages without a taken address are not stored, so that a /8 and a
//! /64 need as little space as what is taken of them. The eight pages of 8,192 addresses in a
//! row share their home, and so one block of the table. IPv4 addresses are numbered as
//! ::ffff:0:0/96.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use super::table::{Record, Table};

/// 128-bit words of a page.
const WORDS: usize = 8;
/// Bits of an address' number that choose the bit in its page.
const PAGE_BITS: u32 = 10;
/// Bits of a page's number that choose the page in its block.
const GROUP_BITS: u32 = 3;
/// Marks a page in use.
const PAGE: u64 = 2;

/// 1,024 addresses in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    tag: u64,
    number: u128,
    taken: [u128; WORDS],
}

/// The address as a number in the one space of both families.
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
pub(super) fn mark(pages: &mut Table<Page>, address: IpAddr) -> io::Result<()> {
    change(pages, address, |word, bit| word | bit)
}

/// Marks an address as free.
pub(super) fn clear(pages: &mut Table<Page>, address: IpAddr) -> io::Result<()> {
    change(pages, address, |word, bit| word & !bit)
}

/// The lowest free address of `first..=last`.
pub(super) fn first_free(
    pages: &mut Table<Page>,
    first: IpAddr,
    last: IpAddr,
) -> io::Result<Option<IpAddr>> {
    let (mut from, last) = (wide(first), wide(last));
    while from <= last {
        let number = from >> PAGE_BITS;
        if let Some(free) = page(pages, number)?.first_free(from) {
            return Ok((free <= last).then(|| narrow(free)));
        }
        match number.checked_add(1).and_then(|next| next.checked_mul(1 << PAGE_BITS)) {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(None)
}

fn change(
    pages: &mut Table<Page>,
    address: IpAddr,
    change: impl Fn(u128, u128) -> u128,
) -> io::Result<()> {
    let address = wide(address);
    let old = page(pages, address >> PAGE_BITS)?;
    let mut new = old;
    let (index, bit) = position(address);
    for word in new.taken.iter_mut().skip(index).take(1) {
        *word = change(*word, bit);
    }
    match (old.is_free(), new.is_free()) {
        _ if old == new => Ok(()),
        (true, _) => pages.insert(new),
        (_, true) => pages.remove(&old),
        (false, false) => pages.replace(&old, new),
    }
}

/// The page of this number, without a taken address if it is not stored.
fn page(pages: &mut Table<Page>, number: u128) -> io::Result<Page> {
    let free = Page { tag: PAGE, number, taken: [0; WORDS] };
    let found = pages.find(free.home(), |page| page.number == number)?;
    Ok(found.first().copied().unwrap_or(free))
}

impl Page {
    fn is_free(&self) -> bool {
        self.taken == [0; WORDS]
    }

    /// The lowest free address from `from` on, which lies in this page.
    fn first_free(&self, from: u128) -> Option<u128> {
        let (first_word, bit) = position(from);
        let mut below = bit - 1;
        for (index, word) in (0_u32..).zip(self.taken).skip(first_word) {
            let taken = word | below;
            below = 0;
            if taken != u128::MAX {
                let bit = u128::from(index * u128::BITS + taken.trailing_ones());
                return Some((self.number << PAGE_BITS) | bit);
            }
        }
        None
    }
}

impl Record for Page {
    const BYTES: usize = 8 + 16 + 16 * WORDS;
    const PER_BLOCK: usize = 1 << GROUP_BITS;
    const MIN_BLOCKS: u64 = 2;
    const EMPTY: Self = Self { tag: 0, number: 0, taken: [0; WORDS] };

    fn home(&self) -> u64 {
        let family = u64::from(narrow(self.number << PAGE_BITS).is_ipv6());
        // The families never share a home: an attachment often has one address of each.
        (spread(self.number >> GROUP_BITS) & !1) | family
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        self.taken.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk()?;
        let (number, mut rest) = rest.split_first_chunk()?;
        let mut taken = [0; WORDS];
        for word in &mut taken {
            let (bits, after) = rest.split_first_chunk()?;
            *word = u128::from_le_bytes(*bits);
            rest = after;
        }
        let page =
            Self { tag: u64::from_le_bytes(*tag), number: u128::from_le_bytes(*number), taken };
        (page == Self::EMPTY || page.tag == PAGE).then_some(page)
    }
}

/// The word of an address within its page, and the bit within that word.
fn position(address: u128) -> (usize, u128) {
    let within = address & ((1 << PAGE_BITS) - 1);
    let word = usize::try_from(within / u128::from(u128::BITS)).unwrap_or_default();
    (word, 1 << (within % u128::from(u128::BITS)))
}

/// Spreads the bits of a number: the finalizer of MurmurHash3, on both halves.
pub(super) fn spread(number: u128) -> u64 {
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    [half(number >> 64), half(number)].into_iter().fold(0, |state: u64, half| {
        let mut state = state.rotate_left(29) ^ half;
        state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        state ^ (state >> 33)
    })
}

#[cfg(test)]
mod tests;
