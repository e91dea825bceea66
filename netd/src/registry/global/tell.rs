//! What hosts tell each other: news of the cluster come here, and this host's endpoints go there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::Registry;
use super::elsewhere::own;
use crate::endpoint::Endpoint;
use crate::global::{ClaimError, Cluster, EndpointRecord, Spare, Unneeded, Wanted};
use crate::network::{Id, Scope, Span};
use crate::registry::Inner;
use crate::store::Backoff;

/// How often it is looked at though nothing was heard of: what nobody needs any more is given back then.
const LOOK: Duration = Duration::from_secs(30);
/// The same after a store was built anew, until hosts have told it what they have.
const SOON: Duration = Duration::from_secs(5);
/// Between attempts to tell the store.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Follows the cluster until the registry is gone.
pub(in crate::registry) fn follow(inner: &Arc<Inner>) {
    let Some(cluster) = &inner.cluster else { return };
    let (mut news, mut confirmed) = (cluster.news(), cluster.confirmed());
    let heard: Weak<Inner> = Arc::downgrade(inner);
    let told = Weak::clone(&heard);
    news.mark_changed();
    tokio::spawn(async move {
        while news.changed().await.is_ok() {
            let Some(inner) = heard.upgrade() else { return };
            Registry(inner).take_up().await;
        }
    });
    let (mut news, mut published) = (cluster.news(), inner.endpoints.changes());
    tokio::spawn(async move {
        let (mut spare, mut backoff) = (Spare::default(), Backoff::new(PAUSES.0, PAUSES.1));
        loop {
            let Some(inner) = told.upgrade() else { return };
            let done = Registry(inner).tell(&mut spare).await;
            let pause = match done {
                Ok(is_settled) => {
                    backoff.reset();
                    if is_settled { LOOK } else { SOON }
                }
                Err(error) => {
                    let error = cni::ErrorChain(&error).to_string();
                    tracing::debug!(error, "other hosts are not told of containers here yet");
                    backoff.pause()
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                // Whoever tells is there as long as the registry.
                _ = news.changed() => {}
                _ = published.changed() => {}
                _ = confirmed.changed() => {}
            }
        }
    });
}

impl Registry {
    /// Tells the store of this host's endpoints, and keeps the right number of addresses. Gives whether there is
    /// nothing to wait for.
    async fn tell(&self, spare: &mut Spare) -> Result<bool, ClaimError> {
        let Some(cluster) = &self.0.cluster else { return Ok(true) };
        let is_settled = !cluster.forget_remembered();
        self.give_way(cluster).await?;
        cluster.publish(&self.to_publish()).await?;
        let networks = self.networks();
        for id in networks.keys().filter(|id| cluster.owes_answers(id, &self.used(id))) {
            self.leave_out(cluster, id).await?;
        }
        let of_cluster = networks.values().filter(|network| network.scope == Scope::Global);
        let used: BTreeMap<Id, BTreeSet<IpAddr>> =
            of_cluster.map(|network| (network.id.clone(), self.used(&network.id))).collect();
        for unneeded in cluster.tend(&used, spare).await? {
            self.give_up(cluster, &unneeded).await?;
        }
        Ok(is_settled)
    }

    /// Gives nobody an address any more that another host has claimed, and tells it so.
    async fn leave_out(&self, cluster: &Cluster, id: &Id) -> Result<(), ClaimError> {
        // News of the claim may not be in force here yet.
        self.put_own_now(cluster, id).await;
        cluster.leave_out(id, &self.used(id)).await
    }

    /// Addresses are taken where the cluster says so by now.
    pub(super) async fn put_own_now(&self, cluster: &Cluster, id: &Id) {
        let mut in_force = self.0.in_force.lock().await;
        self.put_own(id, own(cluster, id, &self.used(id)), in_force.entry(id.clone()).or_default());
    }

    /// Gives something back that no container has an address of. One that comes just now may take one until
    /// nobody is to any more.
    async fn give_up(&self, cluster: &Cluster, unneeded: &Unneeded) -> Result<(), ClaimError> {
        let mut in_force = self.0.in_force.lock().await;
        let (id, gone) = (unneeded.network(), Span::of(unneeded.net()));
        let blocks = own(cluster, id, &self.used(id));
        let left = blocks.iter().filter(|block| !gone.contains(Span::of(**block))).copied();
        let of = in_force.entry(id.clone()).or_default();
        self.put_own(id, left.collect(), of);
        let is_used = self.used(id).iter().any(|ip| gone.has(*ip));
        let given_up = if is_used { Ok(()) } else { cluster.give_up(unneeded).await };
        if is_used || given_up.is_err() {
            self.put_own(id, blocks, of);
        }
        drop(in_force);
        Ok(given_up?)
    }

    /// This host's endpoints, as others are to know them.
    pub(super) fn to_publish(&self) -> Wanted {
        let Some(cluster) = &self.0.cluster else { return Wanted::new() };
        let machine = cluster.machine();
        let mut lost: BTreeMap<Id, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut is_lost = |endpoint: &Arc<Endpoint>| {
            let of = lost.entry(endpoint.network.clone()).or_insert_with_key(|id| {
                let lost = cluster.lost_addresses(id, &self.used(id)).into_iter();
                lost.map(|lost| lost.ip).collect()
            });
            endpoint.addresses.iter().any(|net| of.contains(&net.ip()))
        };
        let mut endpoints = self.global_endpoints();
        // Others are never told of who has an address that is another's.
        endpoints.retain(|endpoint| !is_lost(endpoint));
        let record = |endpoint: Arc<Endpoint>| {
            let key = (endpoint.network.clone(), endpoint.id.to_string());
            (key, record(&endpoint, machine))
        };
        endpoints.into_iter().map(record).collect()
    }
}

fn record(endpoint: &Endpoint, machine: &str) -> EndpointRecord {
    EndpointRecord {
        machine: machine.to_owned(),
        container: endpoint.container.clone(),
        interface: endpoint.ifname.to_string(),
        names: endpoint.names.clone(),
        addresses: endpoint.addresses.clone(),
        mac: endpoint.mac,
    }
}
