//! Which address comes next: round robin over the ranges of a set.
//!
//! Pure: what is taken is asked of [`Taken`], the cursor is given. The order is the reference's
//! (`allocator/allocator.go`): from the address after the one reserved last to the end of its
//! range, then the following ranges, around to the one reserved last, which comes last. Unlike
//! the reference, the gateway of *every* range of the set is skipped, not only that of the range
//! the address lies in: two ranges of one subnet may name different gateways.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;

use crate::address::{Family, from_number, number};
use crate::range::Range;
use crate::range_set::RangeSet;

/// What is taken, as the allocator asks for it.
pub trait Taken {
    /// Why the question could not be answered.
    type Error;

    /// The lowest address of `first..=last` (one family) that is not taken, or `None`.
    ///
    /// # Errors
    /// Whatever keeps the store from answering.
    fn first_free(&mut self, first: IpAddr, last: IpAddr) -> Result<Option<IpAddr>, Self::Error>;
}

/// An address and the range it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The free address.
    pub address: IpAddr,
    /// Its range.
    pub range: &'a Range,
}

/// Why requested addresses cannot be given, whatever is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Addresses that no range set has a place for.
    #[error("failed to allocate all requested IPs: {addresses:?}")]
    Outside {
        /// The addresses left over, in the order of the request.
        addresses: Vec<IpAddr>,
    },
    /// A gateway was requested.
    #[error("requested ip {address} is subnet's gateway")]
    Gateway {
        /// The address.
        address: IpAddr,
        /// Position of the range set.
        range_set: usize,
    },
}

/// The next free address of `set` after `cursor`, the address reserved last, or from the start
/// of the set if `cursor` is none of its addresses. `None`: all are taken.
///
/// # Errors
/// Those of `taken`.
pub fn next_free<'a, T: Taken>(
    set: &'a RangeSet,
    cursor: Option<IpAddr>,
    taken: &mut T,
) -> Result<Option<Candidate<'a>>, T::Error> {
    for segment in segments(set, cursor) {
        let mut from = segment.first;
        while let Some(address) = taken.first_free(
            from_number(segment.family, from),
            from_number(segment.family, segment.last),
        )? {
            if !set.is_gateway(address) {
                return Ok(Some(Candidate { address, range: segment.range }));
            }
            match number(address).checked_add(1).filter(|next| *next <= segment.last) {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    Ok(None)
}

/// Deals requested addresses out to the range sets, at most one each, in the order of the
/// request. The same address twice counts once.
///
/// # Errors
/// [`RequestError`] if a set's address is a gateway, or if an address is left over: it lies in no
/// set, or in one that has been given another.
pub fn assign_requested(
    sets: &[RangeSet],
    requested: &[IpAddr],
) -> Result<Vec<Option<IpAddr>>, RequestError> {
    let mut left: Vec<IpAddr> = Vec::with_capacity(requested.len());
    for address in requested.iter().map(|address| address.to_canonical()) {
        if !left.contains(&address) {
            left.push(address);
        }
    }
    let mut assigned = Vec::with_capacity(sets.len());
    for (range_set, set) in sets.iter().enumerate() {
        let position = left.iter().position(|address| set.contains(*address));
        let address = position.map(|position| left.remove(position));
        if let Some(address) = address.filter(|address| set.is_gateway(*address)) {
            return Err(RequestError::Gateway { address, range_set });
        }
        assigned.push(address);
    }
    match left.is_empty() {
        true => Ok(assigned),
        false => Err(RequestError::Outside { addresses: left }),
    }
}

impl Taken for BTreeSet<IpAddr> {
    type Error = Infallible;

    fn first_free(&mut self, first: IpAddr, last: IpAddr) -> Result<Option<IpAddr>, Infallible> {
        let family = Family::of(first);
        let mut candidate = number(first);
        for address in self.range(first..=last) {
            if number(*address) != candidate {
                break;
            }
            match candidate.checked_add(1) {
                Some(next) => candidate = next,
                None => return Ok(None),
            }
        }
        Ok((candidate <= number(last)).then(|| from_number(family, candidate)))
    }
}

/// A run of addresses of one range.
struct Segment<'a> {
    range: &'a Range,
    family: Family,
    first: u128,
    last: u128,
}

impl<'a> Segment<'a> {
    fn new(range: &'a Range, first: u128, last: u128) -> Self {
        Self { range, family: range.family(), first, last }
    }

    fn whole(range: &'a Range) -> Self {
        Self::new(range, number(range.start()), number(range.end()))
    }
}

/// The addresses of `set` in the order in which they are tried.
fn segments(set: &RangeSet, cursor: Option<IpAddr>) -> Vec<Segment<'_>> {
    let ranges = set.ranges();
    let at = cursor.and_then(|cursor| {
        let index = ranges.iter().position(|range| range.contains(cursor))?;
        Some((index, ranges.get(index)?, number(cursor.to_canonical())))
    });
    let Some((index, range, cursor)) = at else {
        return ranges.iter().map(Segment::whole).collect();
    };
    let (start, end) = (number(range.start()), number(range.end()));
    let mut segments = Vec::with_capacity(ranges.len() + 1);
    if cursor < end {
        segments.push(Segment::new(range, cursor + 1, end));
    }
    segments.extend(ranges.iter().skip(index + 1).map(Segment::whole));
    segments.extend(ranges.iter().take(index).map(Segment::whole));
    segments.push(Segment::new(range, start, cursor));
    segments
}

#[cfg(test)]
mod tests;
