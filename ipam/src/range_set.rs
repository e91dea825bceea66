//! Sets of ranges: an attachment gets one address from each set.

use std::fmt;
use std::net::IpAddr;

use crate::address::Family;
use crate::range::{Range, RangeError, RangeSpec};

/// Ranges of one family that do not overlap; at least one. Addresses are handed out in their
/// order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range>,
}

/// Why ranges do not make a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeSetError {
    /// There is no range.
    #[error("empty range set")]
    Empty,
    /// One of the ranges is not usable.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// IPv4 and IPv6 in one set.
    #[error("mixed address families: {first} and {other}")]
    MixedFamilies {
        /// The first range.
        first: Box<Range>,
        /// The first range of the other family.
        other: Box<Range>,
    },
    /// Two ranges have an address in common.
    #[error("subnets {first} and {second} overlap")]
    Overlap {
        /// The earlier range.
        first: Box<Range>,
        /// The later range.
        second: Box<Range>,
    },
}

/// Why a list of range sets is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeSetsError {
    /// The list is empty.
    #[error("no IP ranges specified")]
    None,
    /// One set is wrong in itself.
    #[error("invalid range set {index}: {error}")]
    Set {
        /// Position of the set in the list.
        index: usize,
        /// What is wrong with it.
        error: RangeSetError,
    },
    /// Two sets have an address in common.
    #[error("range set {first} overlaps with {second}: {first_set} and {second_set}")]
    Overlap {
        /// Position of the earlier set.
        first: usize,
        /// Position of the later set.
        second: usize,
        /// The earlier set.
        first_set: RangeSet,
        /// The later set.
        second_set: RangeSet,
    },
}

/// Checks the range sets of a configuration, in the order in which they are used (for
/// host-local: `ipRanges` of the runtime, the old single range, `ranges`).
///
/// # Errors
/// [`RangeSetsError`], with the texts of the reference (`allocator/config.go`).
pub fn range_sets(specs: &[Vec<RangeSpec>]) -> Result<Vec<RangeSet>, RangeSetsError> {
    if specs.is_empty() {
        return Err(RangeSetsError::None);
    }
    let mut sets: Vec<RangeSet> = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let set = RangeSet::new(spec).map_err(|error| RangeSetsError::Set { index, error })?;
        sets.push(set);
    }
    for (second, set) in sets.iter().enumerate() {
        if let Some((first, other)) =
            sets.iter().enumerate().take(second).find(|(_, other)| other.overlaps(set))
        {
            return Err(RangeSetsError::Overlap {
                first,
                second,
                first_set: other.clone(),
                second_set: set.clone(),
            });
        }
    }
    Ok(sets)
}

impl RangeSet {
    /// Checks the ranges of one set.
    ///
    /// # Errors
    /// [`RangeSetError`]: no range, a bad one, two families, or two that overlap.
    pub fn new(specs: &[RangeSpec]) -> Result<Self, RangeSetError> {
        let mut ranges: Vec<Range> = Vec::with_capacity(specs.len());
        for spec in specs {
            let range = spec.canonicalize()?;
            if let Some(first) = ranges.first().filter(|first| first.family() != range.family()) {
                return Err(RangeSetError::MixedFamilies {
                    first: Box::new(*first),
                    other: Box::new(range),
                });
            }
            if let Some(first) = ranges.iter().find(|first| first.overlaps(&range)) {
                return Err(RangeSetError::Overlap {
                    first: Box::new(*first),
                    second: Box::new(range),
                });
            }
            ranges.push(range);
        }
        match ranges.is_empty() {
            true => Err(RangeSetError::Empty),
            false => Ok(Self { ranges }),
        }
    }

    /// The ranges, in the order of use.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The family of all ranges.
    pub fn family(&self) -> Family {
        self.ranges.first().map_or(Family::V4, Range::family)
    }

    /// The range that holds `address`.
    pub fn range_for(&self, address: IpAddr) -> Option<&Range> {
        self.ranges.iter().find(|range| range.contains(address))
    }

    /// Whether one of the ranges holds `address` (a gateway inside of a range included).
    pub fn contains(&self, address: IpAddr) -> bool {
        self.range_for(address).is_some()
    }

    /// Whether `address` is the gateway of one of the ranges.
    pub fn is_gateway(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.gateway() == address.to_canonical())
    }

    /// Whether the two sets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.ranges.iter().any(|range| other.ranges.iter().any(|theirs| range.overlaps(theirs)))
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{range}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
