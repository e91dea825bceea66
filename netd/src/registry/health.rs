//! How the networks stand, as far as somebody has to do something about it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::keeper::ClashTexts;
use super::overlay::Faults;
use super::{Registry, Trouble};
use crate::global::{Cluster, Confirmed, Membership};
use crate::lease::since_boot;

/// Where nothing happens, and time alone changes nothing.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// How the networks stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Why bridges are not as they should be.
    pub trouble: Option<String>,
    /// Why names are not served everywhere.
    pub dns: Option<String>,
    /// Which addresses of networks are somebody else's, too.
    pub clashes: Vec<String>,
    /// Why overlays are not as they should be on this host.
    pub overlays: Vec<String>,
    /// How this host stands with the others, where there are networks of the cluster.
    pub membership: Option<Membership>,
}

/// Follows [`Health`].
#[derive(Debug)]
pub struct Watch {
    trouble: watch::Receiver<Trouble>,
    dns: watch::Receiver<Trouble>,
    clashes: watch::Receiver<ClashTexts>,
    overlays: watch::Receiver<Faults>,
    cluster: Option<OfCluster>,
}

/// What is followed of the cluster.
#[derive(Debug)]
struct OfCluster {
    cluster: Cluster,
    news: watch::Receiver<u64>,
    confirmed: watch::Receiver<Confirmed>,
}

impl Registry {
    /// Follows how the networks stand.
    #[must_use]
    pub fn health(&self) -> Watch {
        let cluster = self.0.cluster.clone();
        Watch {
            trouble: self.0.keeper.trouble(),
            dns: self.0.dns.trouble(),
            clashes: self.0.keeper.clashes(),
            overlays: self.0.overlays.troubles.follow(),
            cluster: cluster.map(|cluster| OfCluster {
                news: cluster.news(),
                confirmed: cluster.confirmed(),
                cluster,
            }),
        }
    }
}

impl Health {
    /// What is wrong with networks of the cluster here; nothing where there are none.
    #[must_use]
    pub fn of_cluster(&self) -> Vec<String> {
        let of = self.membership.iter();
        of.flat_map(|membership| self.overlays.iter().cloned().chain(membership.troubles()))
            .collect()
    }
}

impl Watch {
    /// How they stand now.
    pub fn now(&mut self) -> Health {
        let membership = self.cluster.as_mut().and_then(|of| {
            of.news.mark_unchanged();
            of.confirmed.mark_unchanged();
            of.cluster.membership()
        });
        let clashes = self.clashes.borrow_and_update();
        Health {
            trouble: self.trouble.borrow_and_update().clone(),
            dns: self.dns.borrow_and_update().clone(),
            clashes: clashes.values().flatten().cloned().collect(),
            overlays: self.overlays.borrow_and_update().texts(),
            membership,
        }
    }

    /// Waits until they stand otherwise; false where nobody knows any more.
    pub async fn changed(&mut self) -> bool {
        let changed = tokio::select! {
            changed = self.trouble.changed() => changed,
            changed = self.dns.changed() => changed,
            changed = self.clashes.changed() => changed,
            changed = self.overlays.changed() => changed,
            changed = of_cluster(&mut self.cluster) => changed,
        };
        changed.is_ok()
    }
}

/// Of a host in no cluster nothing comes.
async fn of_cluster(of: &mut Option<OfCluster>) -> Result<(), watch::error::RecvError> {
    let Some(OfCluster { news, confirmed, .. }) = of else { return std::future::pending().await };
    // What is not confirmed for long changes by time alone.
    let until = confirmed.borrow().until.checked_sub(since_boot());
    tokio::select! {
        changed = news.changed() => changed,
        changed = confirmed.changed() => changed,
        () = sleep(until.map_or(NEVER, |left| left + Duration::from_millis(1))) => Ok(()),
    }
}
