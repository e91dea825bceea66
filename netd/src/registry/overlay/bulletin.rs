//! What is told of overlays, and the threads that hear of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::work::Order;
use super::{Remote, Underlay, lock};
use crate::network::{Device, Id};
use crate::reconcile::Entrance;

/// What the cluster has told, and who is to hear of it. Copies are the same.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct Bulletin(Arc<Mutex<Known>>);

/// What was told, and to whom.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) underlay: Option<Underlay>,
    pub(super) remotes: BTreeMap<Id, Vec<Remote>>,
    pub(super) doors: BTreeMap<Id, Entrance<Order>>,
}

impl Bulletin {
    /// Nothing is told to anybody as long as this is held.
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }

    /// The table that lets frames in was made anew, or may have been.
    pub(in crate::registry) fn of_rules(&self) {
        for door in self.lock().doors.values() {
            // Only where the thread has ended, which it does with its namespace.
            let _ = door.send(Order::Rules);
        }
    }

    /// Something happened to the device that encrypts.
    pub(in crate::registry) fn of_encryption(&self) {
        for door in self.lock().doors.values() {
            let _ = door.send(Order::Encryption);
        }
    }

    /// An element with this comment is gone from it.
    pub(in crate::registry) fn of_element(&self, comment: &str) {
        let Some(short) = comment.strip_prefix(Device::MARK) else { return };
        let known = self.lock();
        for (_, door) in known.doors.iter().filter(|(id, _)| id.short() == short) {
            let _ = door.send(Order::Rules);
        }
    }
}
