//! What was in a store before it was built anew: other hosts are where they were, and their addresses are their
//! own, until they have told the new store. Pure, but for [`Cluster::forget_remembered`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cluster::Cluster;
use super::record::Claim;
use super::session::LIVE;
use super::view::{Kept, Touched, View};
use crate::lease::since_boot;
use crate::store::Revision;

/// The revision of what is remembered: no change of a store has it.
const REMEMBERED: Revision = 0;
/// So long after its first sign of life a host has told the new store all that it has.
const SETTLED: Duration = Duration::from_secs(10);

/// Since when something is remembered.
#[derive(Clone, Debug)]
pub(super) struct Remembering {
    /// When the store was found to be another, since boot.
    since: Duration,
    /// When hosts were seen to be back.
    back: BTreeMap<String, Duration>,
}

impl Remembering {
    pub(super) fn begin() -> Self {
        Self { since: since_boot(), back: BTreeMap::new() }
    }
}

/// Whether something was in a store before the one there is now.
pub(super) fn is_remembered<T>(kept: &Kept<T>) -> bool {
    kept.changed == REMEMBERED
}

impl View {
    /// Makes a memory of what other hosts have; what is this host's it tells again itself. What else there is goes
    /// with [`Self::keep_remembered`].
    pub(super) fn remember(&mut self, machine: &str) {
        for of in self.networks.values_mut() {
            let claims = of.blocks.values_mut().chain(of.addresses.values_mut());
            claims.filter(|it| it.value.machine != machine).for_each(make);
            let endpoints = of.endpoints.values_mut();
            endpoints.filter(|it| it.value.machine != machine).for_each(make);
        }
        self.hosts.remove(machine);
        for host in self.hosts.values_mut() {
            host.member.iter_mut().for_each(make);
            host.live.iter_mut().for_each(make);
        }
    }

    /// Forgets all else.
    pub(super) fn keep_remembered(&mut self) {
        for of in self.networks.values_mut() {
            of.network = None;
            of.wanted.clear();
            of.freed.clear();
            of.blocks.retain(|_, it| is_remembered(it));
            of.addresses.retain(|_, it| is_remembered(it));
            of.endpoints.retain(|_, it| is_remembered(it));
        }
        for host in self.hosts.values_mut() {
            host.member = host.member.take().filter(is_remembered);
            host.live = host.live.take().filter(is_remembered);
        }
    }

    /// Forgets what is remembered of some hosts; gives the networks that something has happened to.
    fn forget(&mut self, is_meant: impl Fn(&str) -> bool, touched: &mut Touched) {
        for (id, of) in &mut self.networks {
            let before = (of.blocks.len(), of.addresses.len(), of.endpoints.len());
            let is_over =
                |claim: &Kept<Claim>| is_remembered(claim) && is_meant(&claim.value.machine);
            of.blocks.retain(|_, claim| !is_over(claim));
            of.addresses.retain(|_, claim| !is_over(claim));
            of.endpoints.retain(|_, it| !(is_remembered(it) && is_meant(&it.value.machine)));
            if before != (of.blocks.len(), of.addresses.len(), of.endpoints.len()) {
                touched.insert(id.clone());
            }
        }
        for (_, host) in self.hosts.iter_mut().filter(|(machine, _)| is_meant(machine)) {
            host.member = host.member.take().filter(|it| !is_remembered(it));
        }
    }

    /// Forgets signs of life that are remembered; gives the networks of their hosts.
    fn forget_lives(&mut self, touched: &mut Touched) {
        let mut gone = BTreeSet::new();
        for (machine, host) in &mut self.hosts {
            if host.live.as_ref().is_some_and(is_remembered) {
                host.live = None;
                gone.insert(machine.clone());
            }
        }
        gone.iter().for_each(|machine| self.touch(machine, touched));
    }

    /// The hosts of which something is remembered, and whether each has given a sign of life since.
    fn remembered(&self) -> BTreeMap<String, bool> {
        let mut all = BTreeSet::new();
        for of in self.networks.values() {
            let claims = of.blocks.values().chain(of.addresses.values());
            all.extend(claims.filter(|it| is_remembered(it)).map(|it| it.value.machine.clone()));
            let endpoints = of.endpoints.values().filter(|it| is_remembered(it));
            all.extend(endpoints.map(|it| it.value.machine.clone()));
        }
        let remembers = self.hosts.iter().filter(|(_, host)| {
            host.member.as_ref().is_some_and(is_remembered)
                || host.live.as_ref().is_some_and(is_remembered)
        });
        all.extend(remembers.map(|(machine, _)| machine.clone()));
        let is_back = |machine: &str| {
            let live = self.host(machine).and_then(|host| host.live.as_ref());
            live.is_some_and(|live| !is_remembered(live))
        };
        all.into_iter().map(|machine| (machine.clone(), is_back(&machine))).collect()
    }
}

fn make<T>(kept: &mut Kept<T>) {
    (kept.created, kept.changed) = (REMEMBERED, REMEMBERED);
}

impl Cluster {
    /// Forgets what has been told again by now, or never will be; gives whether something is remembered still.
    pub fn forget_remembered(&self) -> bool {
        let mut touched = Touched::new();
        let is_left = self.with_remembering(|view, remembering, life| {
            let Some(of) = remembering else { return false };
            let now = since_boot();
            let hosts = view.remembered();
            for (machine, _) in hosts.iter().filter(|(_, is_back)| **is_back) {
                of.back.entry(machine.clone()).or_insert(now);
            }
            let is_all = now.saturating_sub(of.since) >= life;
            let is_settled = |machine: &str| {
                of.back.get(machine).is_some_and(|since| now.saturating_sub(*since) >= SETTLED)
            };
            view.forget(|machine| is_all || is_settled(machine), &mut touched);
            if now.saturating_sub(of.since) >= LIVE {
                view.forget_lives(&mut touched);
            }
            let is_left = !view.remembered().is_empty();
            if !is_left {
                *remembering = None;
            }
            is_left
        });
        self.touch(touched);
        is_left
    }
}
