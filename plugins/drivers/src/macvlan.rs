//! The macvlan driver: a link of its own on a parent, with no bridge between.

use netstate::{Desired, LinkKind, LinkName, LinkRef, Mac, MacVlanMode};

use crate::Owner;
use crate::container::Interface;
use crate::direct::Upper;

/// A container's macvlan link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacVlan {
    /// Name in the container.
    pub ifname: LinkName,
    /// The link that sends for it, in the host or in the container.
    pub parent: LinkRef,
    /// Who may talk to whom.
    pub mode: MacVlanMode,
    /// MTU in bytes; the parent's otherwise.
    pub mtu: Option<u32>,
    /// Link-layer address; the kernel's choice otherwise.
    pub mac: Option<Mac>,
    /// Frames queued for broadcast.
    pub bc_queue_len: Option<u32>,
}

impl MacVlan {
    /// The attachment's state: all of it is in the container and goes with the link.
    #[must_use]
    pub fn desired(&self, owner: &Owner, inside: &Interface) -> Desired {
        let kind = LinkKind::MacVlan {
            parent: self.parent.clone(),
            mode: self.mode,
            bc_queue_len: self.bc_queue_len,
        };
        let upper = Upper { ifname: self.ifname.clone(), kind, mtu: self.mtu, mac: self.mac };
        upper.desired(owner, inside)
    }
}
