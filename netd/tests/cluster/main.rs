//! The stores, and leases in them, against etcd itself.
//!
//! Each test starts an etcd of its own on free ports of the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program"
)]

mod access;
mod acquire;
mod anew;
mod away;
mod command;
mod conformance;
mod etcd;
mod events;
mod fleet;
mod follow;
mod keep;
mod race;
mod refused;
mod setup;
mod sim;
mod unheard;
