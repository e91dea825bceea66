//! Records of attachments, one file for each plugin that has a part in one.
//!
//! The files are `<root>/<network>/<container>/<ifname>:<plugin>` (an interface name cannot hold
//! a colon). A file is written aside and renamed into place, so it is whole or not there; what a
//! killed writer left aside is removed with the record. The root is on a tmpfs: after a reboot
//! there is nothing to undo, and records of another boot are void where it is not.

mod store;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use drivers::Owner;
use kernel::{Netns, NetnsError, NetnsId};
use netstate::nft::{Element, SetId};
use netstate::{Desired, LinkName, Ns, NsNames};
use serde::{Deserialize, Serialize};

use crate::Error;

pub use store::Store;

/// Where records are kept.
pub const ROOT: &str = "/run/netd/attachments";

/// What one plugin is about to make, or has made, for an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Owner,
    /// The plugin's name.
    pub plugin: String,
    /// `/proc/sys/kernel/random/boot_id` when it was written.
    pub boot_id: String,
    /// The container's namespace.
    pub netns: Option<Namespace>,
    /// Links on the host that go with the attachment.
    pub links: Vec<LinkName>,
    /// Elements that go with the attachment.
    pub elements: Vec<(SetId, Arc<Element>)>,
    /// Elements it needs and shares with others: they stay, and are restored with it.
    pub shared: Vec<(SetId, Arc<Element>)>,
    /// What else the plugin wants to know when it takes the attachment away or restores it.
    pub notes: std::collections::BTreeMap<String, String>,
}

/// A network namespace: the path it was given by, and what was behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The path.
    pub path: PathBuf,
    /// Device of the namespace file system.
    pub dev: u64,
    /// Inode: the namespace's number.
    pub ino: u64,
}

impl Namespace {
    /// One that is open, by the path that it was given by.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn of(netns: &Netns, path: PathBuf) -> Result<Self, NetnsError> {
        let NetnsId { dev, ino } = netns.id()?;
        Ok(Self { path, dev, ino })
    }

    /// What makes it the same as another.
    #[must_use]
    pub fn id(&self) -> NetnsId {
        NetnsId { dev: self.dev, ino: self.ino }
    }

    /// Whether it is still behind its path.
    #[must_use]
    pub fn is_there(&self) -> bool {
        NetnsId::at(&self.path) == Some(self.id())
    }

    /// How commands name it.
    #[must_use]
    pub fn names(&self) -> NsNames {
        let container = self.path.to_string_lossy().into_owned();
        NsNames { container, ..NsNames::default() }
    }

    /// Opens it, if it is still behind its path.
    #[must_use]
    pub fn open(&self) -> Option<Netns> {
        let netns = Netns::open(&self.path).ok()?;
        netns.id().is_ok_and(|id| id == self.id()).then_some(netns)
    }
}

impl Record {
    /// The attachment's own part of the host, for removal, check and repair.
    #[must_use]
    pub fn elements_desired(&self) -> Desired {
        elements(&self.elements)
    }

    /// What it shares with others.
    #[must_use]
    pub fn shared_desired(&self) -> Desired {
        elements(&self.shared)
    }

    /// Takes up the elements of a desired state as the attachment's own.
    #[must_use]
    pub fn with_elements(mut self, desired: &Desired) -> Self {
        self.elements = elements_of(desired);
        self
    }

    /// Takes up the elements of a desired state as shared with others.
    #[must_use]
    pub fn with_shared(mut self, desired: &Desired) -> Self {
        self.shared = elements_of(desired);
        self
    }
}

/// Records of this boot whose namespace is the one they were written for. Unreadable ones are not.
///
/// # Errors
/// [`Error::File`] where a directory cannot be read.
pub fn live(store: &Store) -> Result<Vec<Record>, Error> {
    let records = store.list(None, None)?.into_iter().flatten();
    Ok(records
        .filter(|r| store.is_of_this_boot(r) && r.netns.as_ref().is_some_and(Namespace::is_there))
        .collect())
}

fn elements(of: &[(SetId, Arc<Element>)]) -> Desired {
    let mut desired = Desired::default();
    for (set, element) in of {
        desired.0.ns_mut(Ns::Host).add_element(set.clone(), Arc::clone(element));
    }
    desired
}

fn elements_of(desired: &Desired) -> Vec<(SetId, Arc<Element>)> {
    let host = desired.0.ns(&Ns::Host);
    let sets = host.into_iter().flat_map(|h| &h.elements);
    sets.flat_map(|(set, of)| of.iter().map(|e| (set.clone(), Arc::clone(e)))).collect()
}

#[cfg(test)]
mod tests;
