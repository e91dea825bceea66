//! The DNS server in namespaces: bridges with containers, resolvers of others, and real sockets.
//! Needs root.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

mod apart;
mod forwarding;
mod listening;
mod names;
mod resolver;
mod site;
