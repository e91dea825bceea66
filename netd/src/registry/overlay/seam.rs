//! What the cluster tells of overlays, and what it is told.

use std::sync::Arc;

use ipnetwork::IpNetwork;
use tokio::sync::watch;

use super::work::Order;
use super::{Overlays, Remote, Underlay};
use crate::endpoint::Endpoint;
use crate::network::Id;
use crate::registry::Registry;

impl Registry {
    /// Where this host may take addresses of a network of the cluster: in this order, and nowhere else. None
    /// before the first call.
    pub fn put_blocks(&self, id: &Id, blocks: Vec<IpNetwork>) {
        self.0.endpoints.limit(id, blocks);
    }

    /// All endpoints of a network on other hosts. Before the first call what leads to them stays as the
    /// kernel has it.
    pub fn put_remotes(&self, id: &Id, remotes: Vec<Remote>) {
        self.0.overlays.put_remotes(id, remotes);
    }

    /// The interface to the other hosts.
    pub fn put_underlay(&self, underlay: Underlay) {
        self.0.keeper.put_uplink(underlay.link.clone());
        self.0.overlays.put_underlay(underlay);
    }

    /// Tells whenever the interface to the other hosts may be another one, or may have changed.
    #[must_use]
    pub fn uplink(&self) -> watch::Receiver<()> {
        self.0.keeper.uplink()
    }

    /// Why there is no interface to the other hosts, if there is none: what was told of it before stays in force.
    pub fn note_underlay(&self, why: Option<String>) {
        self.0.overlays.troubles.put_underlay(why);
    }

    /// A count that changes whenever an endpoint of a network of the cluster is made, or goes: then
    /// [`Self::global_endpoints`] is another.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<u64> {
        self.0.endpoints.changes()
    }

    /// The endpoints on this host that the other hosts are to know.
    #[must_use]
    pub fn global_endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.0.endpoints.global(&self.networks())
    }
}

impl Overlays {
    fn put_remotes(&self, id: &Id, remotes: Vec<Remote>) {
        let mut told = self.told();
        if let Some(door) = told.doors.get(id) {
            // Only where the thread has ended, which it does with its namespace.
            let _ = door.send(Order::Remotes(remotes.clone()));
        }
        told.remotes.insert(id.clone(), remotes);
    }

    fn put_underlay(&self, underlay: Underlay) {
        let mut told = self.told();
        for door in told.doors.values() {
            let _ = door.send(Order::Underlay(underlay.clone()));
        }
        told.underlay = Some(underlay);
    }

    /// Of containers whose packets are too large one may be gone.
    pub(super) fn tell_sizes(&self, id: &Id) {
        if self.troubles.has(id)
            && let Some(door) = self.told().doors.get(id)
        {
            let _ = door.send(Order::Sizes);
        }
    }

    /// Forgets a network that is gone.
    pub(in crate::registry) fn forget(&self, id: &Id) {
        self.told().remotes.remove(id);
        self.troubles.forget(id);
    }
}
