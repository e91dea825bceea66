//! Overlays on this host: each has a namespace of its own, from the first container on it to the last one.
//!
//! It is pinned, so it outlives the agent: what is in it is taken up at the next start as it is, and a
//! container notices nothing. A thread for each ([`keeper`]) keeps what is in it as it should be. What the
//! cluster says (which interface is below, who is on which host) may come at any time: until it does, what
//! is there stays.

mod adopt;
mod below;
mod bulletin;
mod encryption;
mod gone;
mod keeper;
mod seam;
mod troubles;
mod work;
mod written;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attach::Namespace;
use cni::ErrorChain;
use kernel::{Netns, Pins};
use netstate::Secret;

use super::keeper::Members;
use crate::dns;
use crate::endpoint::{EndpointError, OnOverlay};
use crate::network::{Id, Network};
use bulletin::Known;
use encryption::Encryption;
use keeper::Keeper;
use troubles::Troubles;
use work::Place;
use written::Written;

pub(super) use bulletin::Bulletin;
pub use drivers::overlay::{Remote, Underlay};
pub(super) use troubles::Faults;

/// The directory in the run directory with the namespaces of networks.
pub(super) const DIR: &str = "netns";

/// Overlays on this host.
#[derive(Debug)]
pub(super) struct Overlays {
    pins: Pins,
    written: Written,
    members: Members,
    dns: Arc<dns::Server>,
    pub(super) troubles: Troubles,
    encryption: Encryption,
    has_ipv6: bool,
    resync: Duration,
    told: Bulletin,
    slots: Mutex<BTreeMap<Id, Arc<Mutex<Slot>>>>,
}

/// One of them.
#[derive(Debug, Default)]
struct Slot {
    standing: Option<Standing>,
    /// Something of it could not be taken away.
    is_left: bool,
    /// Containers that are being attached.
    users: usize,
}

/// One that has a namespace.
#[derive(Debug)]
struct Standing {
    netns: Netns,
    place: Namespace,
    keeper: Keeper,
}

/// An overlay that stays at least until this is dropped.
#[derive(Debug)]
pub(super) struct Use<'a> {
    slot: Arc<Mutex<Slot>>,
    overlays: &'a Overlays,
    id: Id,
    pub(super) netns: Netns,
    pub(super) on: OnOverlay,
}

impl Overlays {
    /// None yet; see [`Self::adopt`]. This host encrypts by `key`, if it has one.
    pub(super) fn new(
        run_dir: &Path,
        pins: Pins,
        members: Members,
        dns: Arc<dns::Server>,
        key: Result<Secret, String>,
        resync: Duration,
    ) -> Self {
        let (written, told) = (Written::new(run_dir), members.overlays.clone());
        let (troubles, slots) = (Troubles::default(), Mutex::default());
        let has_ipv6 = members.endpoints.has_ipv6();
        let encryption = Encryption::new(key, has_ipv6);
        Self { pins, written, members, dns, troubles, encryption, has_ipv6, resync, told, slots }
    }

    /// The networks that had a namespace on this host before.
    pub(super) fn before(&self) -> Vec<Network> {
        self.written.all()
    }

    /// The namespaces below a run directory.
    pub(super) fn pins(run_dir: &Path) -> Pins {
        Pins::of_host(run_dir.join(DIR))
    }

    /// Makes what a network has on this host, if it is not there, for a container that is to be attached.
    ///
    /// # Errors
    /// [`EndpointError::NoUnderlay`], [`EndpointError::Overlay`]. Nothing is left of it then, unless
    /// containers are on it.
    pub(super) fn stand(&self, network: &Network) -> Result<Use<'_>, EndpointError> {
        let mtu = self.mtu(network)?;
        let slot = self.slot(&network.id);
        let mut here = lock(&slot);
        if here.standing.is_none() {
            self.could_begin(network)?;
            let made = self.make(network);
            // Half of it may be there: it goes with who asks next, or leaves.
            here.is_left |= made.is_err();
            let standing = made.map_err(|why| failed(network, why))?;
            if let Err(why) = standing.keeper.settle() {
                here.is_left = !self.end(&network.id, standing);
                return Err(failed(network, why));
            }
            (here.standing, here.is_left) = (Some(standing), false);
        }
        let Some(Standing { netns, place, .. }) = &here.standing else {
            return Err(failed(network, "it is gone again".to_owned()));
        };
        let (netns, on) = (netns.clone(), OnOverlay { netns: place.clone(), mtu });
        here.users += 1;
        drop(here);
        Ok(Use { slot, overlays: self, id: network.id.clone(), netns, on })
    }

    /// Opens its namespace, or makes one, and starts who keeps what is in it.
    fn make(&self, network: &Network) -> Result<Standing, String> {
        let spec =
            network.overlay(self.has_ipv6).map_err(|error| ErrorChain(&error).to_string())?;
        let spec = spec.ok_or("it is no overlay")?;
        let name = network.id.short().to_owned();
        self.written.keep(network).map_err(|error| format!("write it down: {error}"))?;
        let opened = self.pins.open(&name).and_then(|there| match there {
            Some(netns) => Ok(netns),
            None => self.pins.make(&name),
        });
        let made = opened.and_then(|netns| {
            let place = Namespace::of(&netns, self.pins.path(&name))?;
            Ok((netns, place))
        });
        let (netns, place) = made.map_err(|error| ErrorChain(&error).to_string())?;
        let at = Place {
            network: network.clone(),
            name,
            pins: self.pins.clone(),
            netns: netns.clone(),
            dns: Arc::clone(&self.dns),
            troubles: self.troubles.clone(),
            encryption: self.encryption.clone(),
        };
        // Whoever tells something from here on tells the thread, too.
        let mut told = self.told();
        let (underlay, remotes) = (told.underlay.clone(), told.remotes.get(&network.id).cloned());
        let keeper = Keeper::start(at, spec, self.members.clone(), self.resync, underlay, remotes)?;
        told.doors.insert(network.id.clone(), keeper.door());
        drop(told);
        tracing::debug!(network = network.name, netns = %place.path.display(), "an overlay stands");
        Ok(Standing { netns, place, keeper })
    }

    fn slot(&self, id: &Id) -> Arc<Mutex<Slot>> {
        Arc::clone(lock(&self.slots).entry(id.clone()).or_default())
    }

    fn told(&self) -> MutexGuard<'_, Known> {
        self.told.lock()
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        slot.users -= 1;
        self.overlays.tidy_one(&self.id, &mut slot);
    }
}

fn failed(network: &Network, why: String) -> EndpointError {
    EndpointError::Overlay { network: network.name.clone(), why }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A change is one call that does not fail.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
