//! Overlays of before, at the start.

use super::{Overlays, lock};
use crate::network::Driver;
use crate::registry::endpoints::Networks;

impl Overlays {
    /// Takes up those that containers are on, and ends others of before.
    pub(in crate::registry) fn adopt(&self, networks: &Networks) {
        for network in networks.values().filter(|network| network.driver == Driver::Overlay) {
            if self.members.endpoints.count(&network.id) == 0 {
                continue;
            }
            let slot = self.slot(&network.id);
            let made = self.make(network).map(|standing| {
                // What cannot be put right now is tried again.
                let _ = standing.keeper.settle();
                lock(&slot).standing = Some(standing);
            });
            if let Err(why) = made {
                tracing::error!(network = network.name, why, "an overlay is not taken up");
                self.troubles.put(network, &format!("it is not taken up: {why}"));
            }
        }
        self.end_leftovers(networks);
    }
}
