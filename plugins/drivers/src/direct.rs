//! What the drivers without a bridge have in common: a link in the container, on a parent.

use netstate::{Desired, Link, LinkKind, LinkName, Mac};

use crate::Owner;
use crate::container::{self, Interface};

/// A container's link on a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upper {
    /// Name in the container.
    pub ifname: LinkName,
    /// A macvlan or an ipvlan, with its parent.
    pub kind: LinkKind,
    /// MTU in bytes; the parent's otherwise.
    pub mtu: Option<u32>,
    /// Link-layer address; the kernel's choice otherwise, which of an ipvlan is the parent's.
    pub mac: Option<Mac>,
}

impl Upper {
    /// The attachment's state: all of it is in the container and goes with the link.
    #[must_use]
    pub fn desired(self, owner: &Owner, inside: &Interface) -> Desired {
        let mut desired = Desired::default();
        let link = Link {
            mtu: self.mtu,
            mac: self.mac,
            alias: Some(owner.alias()),
            ..Link::new(self.ifname, self.kind)
        };
        container::add(&mut desired, link, inside);
        desired
    }
}
