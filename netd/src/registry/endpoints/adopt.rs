//! The endpoints of before, at the start.

use ::attach::Record;
use cni::ErrorChain;

use super::detach::take_away;
use super::life::Life;
use super::wire::DIR_NOTE;
use super::{Endpoints, Networks, with_host};
use crate::endpoint::{Endpoint, PLUGIN};
use crate::registry::names as told;

impl Endpoints {
    /// Takes up what there is: endpoints of another run of the kernel are void, those that were never
    /// finished or whose containers are gone are taken back. What the others have on this host is looked at
    /// by [`Self::repair`].
    pub(in crate::registry) fn adopt(&self, networks: &Networks) {
        for endpoint in self.files.load() {
            if endpoint.boot_id != self.records.boot_id() {
                // The kernel has nothing of it.
                self.forget_void(&endpoint);
                continue;
            }
            match networks.get(&endpoint.network) {
                Some(network) => self.index().adopt(network, endpoint),
                None => self.take_back(&endpoint, networks, "its network is gone"),
            }
        }
        // Who is left of a container gets what others give back, so all are known by now.
        self.settle_all();
        for endpoint in self.all() {
            let is_left = endpoint.made && self.life(&endpoint, networks) != Life::Gone;
            if !is_left {
                let why = if endpoint.made { "its container is gone" } else { "never finished" };
                self.take_back(&endpoint, networks, why);
            }
        }
        let left = self.all();
        let made = left.iter().filter(|endpoint| endpoint.made);
        made.clone().for_each(|endpoint| self.dns.put_endpoint(told::endpoint(endpoint)));
        let kept = made.count();
        self.take_back_orphans();
        self.sweep(networks);
        let all = self.all();
        for one in all.iter().filter(|one| one.is_gateway) {
            // Its overlay may have been taken away while nobody was here.
            self.take_way_out(one.sandbox(), networks);
        }
        self.place_all_ports(networks);
        self.hold_all_ports(networks);
        if kept > 0 {
            tracing::info!(endpoints = kept, "containers are on networks");
        }
    }

    /// What cannot be is known still, and tried again.
    fn take_back(&self, endpoint: &Endpoint, networks: &Networks, why: &str) {
        let taken = self.detach_held(endpoint, networks);
        let name = endpoint.owner().path();
        match taken {
            Ok(()) => tracing::info!(endpoint = name, why, "taken back"),
            Err(error) => {
                let error = ErrorChain(&error);
                tracing::error!(endpoint = name, why, %error, "cannot be taken back");
            }
        }
    }

    fn forget_void(&self, endpoint: &Endpoint) {
        if let Err(error) = self.forget_endpoint(endpoint) {
            tracing::warn!(error = %ErrorChain(&error), "an endpoint of another boot stays");
        }
    }

    /// What a writer that was killed left beside records of those that stay.
    fn sweep(&self, networks: &Networks) {
        for network in networks.values() {
            if let Err(error) = self.records.sweep(&network.name, PLUGIN) {
                let (network, error) = (&network.name, ErrorChain(&error));
                tracing::warn!(network, %error, "drafts of records stay");
            }
        }
    }

    /// Records without an endpoint: of a file that was damaged, or was removed by hand.
    fn take_back_orphans(&self) {
        let records = match self.records.list(None, Some(PLUGIN)) {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "records are not looked through");
                return;
            }
        };
        let known: std::collections::BTreeSet<_> =
            self.index().all().iter().map(|endpoint| endpoint.owner()).collect();
        let dir = self.files.dir();
        let is_ours = |record: &Record| record.notes.get(DIR_NOTE).is_some_and(|of| *of == dir);
        let orphan = |record: &Record| is_ours(record) && !known.contains(&record.owner);
        for record in records.into_iter().flatten().filter(orphan) {
            let left = with_host(|host| take_away(host, &record));
            let name = record.owner.path();
            if left.is_empty() && self.records.remove(&record.owner, PLUGIN).is_ok() {
                tracing::info!(record = name, "of no endpoint; taken back");
            } else {
                tracing::error!(record = name, left = left.join("; "), "of no endpoint, and stays");
            }
        }
    }
}
