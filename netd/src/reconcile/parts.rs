//! What the loops of several networks on one host have in common: the table of rules, in which each
//! has a part, and the routes of one protocol, of which each has those to its own network.
//!
//! A network that has not started yet has its part, too: what was there before stays until it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drivers::traffic::Traffic;
use ipnetwork::IpNetwork;
use netstate::{NetState, Route};

use crate::backend::{Overlay, overlap};

/// What is one network's.
#[derive(Debug, Clone, Default)]
pub struct Share {
    /// Its rules, and by them its networks.
    pub traffic: Traffic,
    /// The networks it has had.
    pub before: BTreeSet<IpNetwork>,
}

/// One network's place among all of this host. The default is that of the only one.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Empty where it is the only one.
    name: String,
    all: Arc<Mutex<Shares>>,
}

/// All of them, by name.
type Shares = BTreeMap<String, Share>;

/// All of them, while no other loop changes anything that they share.
pub(super) struct Held<'a>(MutexGuard<'a, Shares>);

impl Part {
    /// That of another network of the same host.
    #[must_use]
    pub fn beside(&self, name: &str, share: Share) -> Self {
        self.lock().insert(name.to_owned(), share);
        Self { name: name.to_owned(), all: Arc::clone(&self.all) }
    }

    /// Takes what is shared, with these rules as its own.
    pub(super) fn hold(&self, own: &Traffic) -> Held<'_> {
        let mut all = self.lock();
        all.entry(self.name.clone()).or_default().traffic.clone_from(own);
        Held(all)
    }

    /// The other network that has addresses of these.
    pub(super) fn other_with(&self, nets: impl Iterator<Item = IpNetwork>) -> Option<String> {
        let all = if self.is_alone() { return None } else { self.lock() };
        let mut others = all.iter().filter(|(name, _)| **name != self.name);
        let nets: Vec<IpNetwork> = nets.collect();
        let found = others.find(|(_, share)| nets.iter().any(|net| has(share, *net)));
        found.map(|(name, _)| name.clone())
    }

    /// Takes the routes out of what was observed that are none of this network's to remove: they lead
    /// over no device of its own and to no network of its own, and are not wanted.
    pub(super) fn only_own(&self, observed: &mut NetState, wanted: &NetState, overlay: &Overlay) {
        if self.is_alone() {
            return;
        }
        let all = self.lock();
        let others = |net| all.iter().any(|(name, share)| *name != self.name && has(share, net));
        let is_own = |net| all.get(&self.name).is_some_and(|own| had(own, net)) && !others(net);
        let to: BTreeSet<IpNetwork> = wanted.routes.iter().map(|route| route.dst).collect();
        let devices: BTreeSet<_> = overlay.devices().collect();
        let over = |route: &Route| route.dev.as_ref().is_some_and(|dev| devices.contains(dev));
        observed.routes.retain(|route| over(route) || to.contains(&route.dst) || is_own(route.dst));
    }

    fn is_alone(&self) -> bool {
        self.name.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        // A loop that has panicked has left nothing half done here.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// The rules of all networks.
    pub(super) fn rules(&self) -> Vec<&Traffic> {
        self.0.values().map(|share| &share.traffic).collect()
    }
}

fn has(share: &Share, net: IpNetwork) -> bool {
    share.traffic.networks.iter().any(|one| overlap(*one, net))
}

fn had(share: &Share, net: IpNetwork) -> bool {
    has(share, net) || share.before.iter().any(|one| overlap(*one, net))
}
