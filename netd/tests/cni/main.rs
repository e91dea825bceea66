//! The program `netd` against plugins that are shell scripts, so that what they are told is seen.
//!
//! Tests that need namespaces make their own, and need root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test program")]

mod attachments;
mod gc;
mod host;
mod networks;
mod process;
mod stale;
mod usage;
