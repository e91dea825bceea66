//! Overlays of before, at the start.

use super::{Overlays, lock};
use crate::network::{Driver, Network};
use crate::registry::endpoints::Networks;

impl Overlays {
    /// Takes up those that containers are on, and ends others of before.
    pub(in crate::registry) fn adopt(&self, networks: &Networks) {
        let is_one = |network: &&Network| {
            network.driver == Driver::Overlay && self.members.endpoints.count(&network.id) > 0
        };
        let encrypted = networks.values().filter(is_one).filter(|network| network.is_encrypted());
        self.encryption.expect(encrypted.map(|network| &network.id));
        for network in networks.values().filter(is_one) {
            let slot = self.slot(&network.id);
            let made = self.make(network).map(|standing| {
                // What cannot be put right now is tried again.
                let _ = standing.keeper.settle();
                lock(&slot).standing = Some(standing);
            });
            if let Err(why) = made {
                lock(&slot).is_left = true;
                tracing::error!(network = network.name, why, "an overlay is not taken up");
                self.troubles.put(network, &format!("it is not taken up: {why}"));
            }
        }
        self.end_leftovers(networks);
    }
}
