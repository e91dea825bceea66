//! Containers here whose addresses are another's: they are taken off, so that nobody has an address twice.

use cni::ErrorChain;

use super::Registry;
use crate::endpoint::Endpoint;
use crate::global::{ClaimError, Cluster, Lost};
use crate::network::{Id, Scope};

impl Registry {
    /// Takes off whose address was freed while this host was down, or taken when its claims had ended; then what
    /// was freed is this host's again, unless another has it.
    pub(super) async fn give_way(&self, cluster: &Cluster) -> Result<(), ClaimError> {
        let networks = self.networks();
        let of_cluster = networks.values().filter(|network| network.scope == Scope::Global);
        for id in of_cluster.map(|network| &network.id) {
            let owes = cluster.owes_freed(id);
            if owes {
                cluster.hear_of_claims(id).await?;
                self.put_own_now(cluster, id).await;
            }
            let lost = cluster.lost_addresses(id, &self.used(id));
            let mut is_all = true;
            for lost in &lost {
                is_all &= self.take_off(id, lost).await;
            }
            if owes && is_all {
                cluster.settle_freed(id).await?;
            }
        }
        Ok(())
    }

    /// Whether whoever has a lost address is off.
    async fn take_off(&self, id: &Id, lost: &Lost) -> bool {
        let has = |endpoint: &Endpoint| endpoint.addresses.iter().any(|net| net.ip() == lost.ip);
        let there = self.0.endpoints.of_network(id).into_iter().filter(|one| has(one));
        let mut is_off = true;
        for endpoint in there.collect::<Vec<_>>() {
            let (container, network) = (&endpoint.container, &endpoint.network_name);
            let text = format!(
                "container {container} was taken off network {network}: its address {} is another's, as {}; \
                 restart it, or connect it again, for another address",
                lost.ip, lost.why
            );
            tracing::error!("{text}");
            self.0.overlays.troubles.put_taken_off(id, container, &text);
            let one = endpoint.clone();
            let done = self
                .blocking(move |registry, networks| registry.0.endpoints.detach(&one, networks));
            if let Err(error) = done.await {
                let error = ErrorChain(&error).to_string();
                tracing::error!(network, container, error, "not all of it is off; trying again");
                is_off = false;
            }
        }
        is_off
    }
}
