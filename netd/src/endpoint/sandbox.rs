//! Which network namespace a container is in.

use kernel::NetnsId;

/// A network namespace, told from all others of this run of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sandbox {
    /// Device and inode number. The kernel gives the number of one that is gone to the next at once.
    pub id: NetnsId,
    /// No other has it, or will have it (`SO_NETNS_COOKIE`). Linux has none before 5.14: there the number has to
    /// do, and who is found by it is looked at before it is believed.
    pub cookie: Option<u64>,
}
