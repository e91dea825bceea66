//! The netlink socket: batches, their acknowledgements, dumps. Knows nothing of what the messages
//! mean.

mod batch;
mod parse;
mod receive;
mod socket;
pub(crate) mod wire;

pub(crate) use batch::{Batch, Messages, Received};
pub(crate) use socket::{Protocol, Replies, Socket};

/// Flags of a message (`include/uapi/linux/netlink.h`).
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 0x1;
    pub(crate) const ACK: u16 = 0x4;
    pub(crate) const ECHO: u16 = 0x8;
    /// On a reply: the dump is not consistent.
    pub(crate) const DUMP_INTR: u16 = 0x10;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const EXCL: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
    /// On an error: only the header of the request is sent back.
    pub(crate) const CAPPED: u16 = 0x100;
    /// On an error: attributes with more about it follow.
    pub(crate) const ACK_TLVS: u16 = 0x200;
}

#[cfg(test)]
mod tests;
