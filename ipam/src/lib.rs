//! Address allocation: ranges, allocators, and stores on disk.
//!
//! [`range`], [`range_set`], [`allocator`], [`static_alloc`] and [`resolv_conf`] are pure: they
//! decide, from typed input, and touch nothing. [`host_local`] is the one module that reads and
//! writes files; its directory layout is that of the CNI reference plugin `host-local`, so both
//! programs can work in one directory at the same time.
//!
//! This crate knows neither JSON nor the CNI protocol: whoever reads a configuration turns it
//! into these types and turns these errors into theirs.

pub mod address;
pub mod allocator;
pub mod host_local;
pub mod range;
pub mod range_set;
pub mod resolv_conf;
pub mod static_alloc;

pub use address::{AddressError, Family, parse_cidr, parse_ip_or_cidr};
pub use host_local::{Allocation, Error, HostLocal, Owner, Warning};
pub use range::{Range, RangeError, RangeSpec};
pub use range_set::{RangeSet, RangeSetError, RangeSetsError, range_sets};
