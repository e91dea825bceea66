//! The end of overlays on this host, once nobody is on them.

use std::sync::{Arc, Mutex};

use cni::ErrorChain;
use kernel::Kernel;

use super::{Overlays, Slot, Standing, lock, work};
use crate::network::Id;
use crate::registry::endpoints::Networks;

impl Overlays {
    /// Ends those that no container is on any more.
    pub(in crate::registry) fn tidy(&self) {
        let slots: Vec<(Id, Arc<Mutex<Slot>>)> =
            lock(&self.slots).iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        for (id, slot) in slots {
            // Whoever has it locked comes here next.
            if let Ok(mut slot) = slot.try_lock() {
                self.tidy_one(&id, &mut slot);
            }
        }
    }

    pub(super) fn tidy_one(&self, id: &Id, slot: &mut Slot) {
        if slot.users != 0 || self.members.endpoints.count(id) != 0 {
            return self.tell_sizes(id);
        }
        if let Some(standing) = slot.standing.take() {
            slot.is_left = !self.end(id, standing);
        } else if !slot.is_left {
            self.troubles.clear(id);
        } else if work::end_leftover(&self.pins, id.short()).is_ok()
            && self.encryption.leave(&mut Kernel::open(None), id).is_ok()
        {
            slot.is_left = false;
            self.troubles.clear(id);
            self.written.forget(id);
            self.troubles.clear(id);
            tracing::info!(network = id.short(), "what was left of an overlay is gone");
        }
    }

    /// Tunnel ends go by name before the namespace is let go: whatever has it open yet, their numbers are
    /// free. Whether all of it is gone; else it is tried again.
    pub(super) fn end(&self, id: &Id, standing: Standing) -> bool {
        self.told().doors.remove(id);
        let Standing { netns, place, keeper } = standing;
        let ended = keeper.end();
        drop(netns);
        let netns = place.path.display().to_string();
        match ended {
            Ok(()) => {
                self.written.forget(id);
                tracing::debug!(netns, "an overlay without containers is gone");
            }
            Err(why) => {
                tracing::error!(netns, why, "an overlay without containers stays; trying again");
                return false;
            }
        }
        true
    }

    /// Namespaces of before that no network has containers in, and what lets frames to them in.
    /// Those with containers stay, also where they could not be taken up.
    pub(super) fn end_leftovers(&self, networks: &Networks) {
        let names = match self.pins.names() {
            Ok(names) => names,
            Err(error) => {
                let error = ErrorChain(&error);
                return tracing::warn!(%error, "namespaces of before are not looked for");
            }
        };
        let is_used = |id: &&Id| self.members.endpoints.count(id) > 0;
        let standing: Vec<&Id> = networks.keys().filter(is_used).collect();
        for network in self.written.all().iter().filter(|it| !standing.contains(&&it.id)) {
            self.written.forget(&network.id);
        }
        let standing: Vec<&str> = standing.iter().map(|id| id.short()).collect();
        for name in names.iter().filter(|name| !standing.contains(&name.as_str())) {
            match work::end_leftover(&self.pins, name) {
                Ok(()) => {
                    tracing::info!(netns = name, "the namespace of an overlay of before is gone")
                }
                Err(why) => tracing::error!(netns = name, why, "a namespace of before stays"),
            }
        }
        if let Err(why) = self.encryption.tidy() {
            tracing::warn!(why, "what encrypted overlays of before stays");
        }
        if let Err(why) = work::end_sieves(&standing) {
            tracing::warn!(why, "what lets frames of overlays of before in stays");
        }
    }
}
