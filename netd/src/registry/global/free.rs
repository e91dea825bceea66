//! Freeing what a host has that is down.

use super::{Registry, in_etcd};
use crate::global::FreeError;
use crate::network::{NetworkError, Scope};

impl Registry {
    /// Frees what a host that is down has on a network of the cluster: an endpoint by its id, or an address.
    ///
    /// # Errors
    /// Where there is none, or its host is up; nothing is changed then.
    pub async fn free(&self, network: &str, what: &str) -> Result<(), NetworkError> {
        let network = self.found(network)?;
        let action = format!("free {what} of network {}", network.name);
        let refused = |why: String| NetworkError::Host { action: action.clone(), why };
        if network.scope != Scope::Global {
            return Err(refused("it is a network of this host alone".to_owned()));
        }
        let cluster = self.cluster(&format!("driver {}", network.driver.name()))?;
        match cluster.free(&network.id, what).await {
            Ok(()) => {
                self.take_up().await;
                Ok(())
            }
            Err(FreeError::Store(error)) => Err(in_etcd(action, &error)),
            Err(error) => Err(refused(error.to_string())),
        }
    }
}
