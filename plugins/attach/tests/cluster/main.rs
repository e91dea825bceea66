//! What `drivers` wants of a cluster's host, done on the real kernel: hosts in namespaces whose
//! containers reach each other over the overlay. Needs root.
#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod device;
mod hosts;
mod overlay;
mod page;
mod reach;
mod rules;
