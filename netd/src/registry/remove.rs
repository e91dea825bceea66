//! The end of networks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::endpoints::is_at_path;
use super::{Registry, below, device_of, global, not_written};
use crate::endpoint::Endpoint;
use crate::network::{Network, NetworkError, PruneFilter, Scope};

/// How long a namespace is waited for whose path is gone: the kernel closes what was open in it first.
const LINGERS: Duration = Duration::from_secs(1);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(20);

impl Registry {
    /// Removes the network that a word means; gives its name.
    ///
    /// # Errors
    /// It stays then, as it was.
    pub async fn remove(&self, word: &str) -> Result<String, NetworkError> {
        let _turn = self.0.turn.lock().await;
        let network = self.found(word)?;
        if network.is_predefined() {
            return Err(NetworkError::Undeletable(network.name));
        }
        self.close(&network).await?;
        self.drop_one(&network).await?;
        Ok(network.name)
    }

    /// Removes the networks that no container is on and that the filter means; gives their names. One
    /// after the other: what waits for its turn comes in between, and whatever ends this early, those
    /// before are gone.
    ///
    /// # Errors
    /// Where one cannot be removed, and none could before. That containers of other hosts are on one is none, and
    /// where etcd does not answer those of this host are removed all the same.
    pub async fn prune(&self, filter: &PruneFilter) -> Result<Vec<String>, NetworkError> {
        let meant = |network: &&Network| !network.is_predefined() && filter.is_met(network);
        let all: Vec<Network> = self.networks().values().filter(meant).cloned().collect();
        let (mut gone, mut failed) = (Vec::new(), None);
        for network in all {
            let _turn = self.0.turn.lock().await;
            if !self.networks().contains_key(&network.id) {
                continue;
            }
            if self.close(&network).await.is_err() {
                continue;
            }
            match self.drop_one(&network).await {
                Ok(()) => gone.push(network.name),
                Err(NetworkError::Active { .. }) => {}
                Err(error) if network.scope == Scope::Global => {
                    tracing::warn!(network = network.name, %error, "a network stays");
                    failed.get_or_insert(error);
                }
                Err(error) if gone.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(network = network.name, %error, "a network stays");
                    break;
                }
            }
        }
        match failed {
            Some(error) if gone.is_empty() => Err(error),
            Some(_) | None => Ok(gone),
        }
    }

    /// The bridge goes first: whoever finds a network written down makes it again.
    pub(super) async fn drop_one(&self, gone: &Network) -> Result<(), NetworkError> {
        if gone.scope == Scope::Global {
            let removed = self.remove_from_cluster(gone).await;
            if removed.is_err() {
                self.0.endpoints.reopen(&gone.id);
            }
            return removed;
        }
        let removed = self.0.keeper.remove(gone.id.clone()).await;
        let forgotten = match removed {
            Ok(()) => self.0.book.forget(&gone.id).await.map_err(|e| not_written("forget", &e)),
            Err(why) => {
                let action = format!("remove the {} of network {}", below(gone), gone.name);
                Err(NetworkError::Host { action, why })
            }
        };
        if let Err(error) = forgotten {
            self.0.endpoints.reopen(&gone.id);
            if let Err(reason) = self.0.keeper.put(device_of(gone).into_iter().collect()).await {
                tracing::error!(%reason, "a network that stays has lost its links; trying again");
            }
            return Err(error);
        }
        self.forget_known(gone);
        // It had the name for itself here.
        let networks = self.networks();
        let namesake = global::listed(&networks).find(|other| other.name == gone.name);
        namesake.iter().for_each(|other| drop(self.0.lists.keep(other)));
        Ok(())
    }

    /// A network that nobody is on is not there from now on, for all who ask.
    pub(super) fn forget_known(&self, gone: &Network) {
        self.0.dns.remove_network(gone.id.as_str());
        self.change(|networks| drop(networks.remove(&gone.id)));
        self.0.endpoints.forget(&gone.id);
        self.0.overlays.forget(&gone.id);
        if !self.has_namesake(gone) {
            self.0.lists.remove(gone);
        }
    }

    /// Lets nobody attach to a network any more, if nobody is on it. Those whose containers are gone do
    /// not count.
    async fn close(&self, network: &Network) -> Result<(), NetworkError> {
        let endpoints = &self.0.endpoints;
        if endpoints.close(&network.id).is_ok() {
            return Ok(());
        }
        let begin = Instant::now();
        loop {
            self.collect_dead(Some(network.id.clone())).await;
            let Err(there) = endpoints.close(&network.id) else { return Ok(()) };
            let is_going = !there.iter().any(|endpoint| is_at_path(endpoint));
            if !is_going || begin.elapsed() > LINGERS {
                let called = |e: &Arc<Endpoint>| (e.name().to_owned(), e.container.clone());
                let containers = there.iter().map(called).collect();
                return Err(NetworkError::Active { network: network.name.clone(), containers });
            }
            sleep(PAUSE).await;
        }
    }
}
