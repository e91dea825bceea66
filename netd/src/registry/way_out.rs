//! The network of this host by which containers of overlays leave it: an overlay leads to other hosts'
//! containers and to nowhere else (libnetwork: `docker_gwbridge`).

use super::Registry;
use crate::endpoint::EndpointError;
use crate::network::{CreateRequest, Driver, GATEWAY, Network, NetworkError};

impl Registry {
    /// The network by which containers of this one leave, if it is an overlay that something leaves. It is
    /// made when it is first needed.
    pub(super) async fn way_out_of(
        &self,
        network: &Network,
    ) -> Result<Option<Network>, EndpointError> {
        if network.driver != Driver::Overlay || network.internal {
            return Ok(None);
        }
        if let Some(there) = self.gateway_network()? {
            return Ok(Some(there));
        }
        let made = self.create(request()).await;
        match (made, self.gateway_network()?) {
            // Two at once: the other one has made it.
            (_, Some(there)) => Ok(Some(there)),
            (Err(error), None) => Err(error.into()),
            (Ok(_), None) => Err(NetworkError::NotFound(GATEWAY.to_owned()).into()),
        }
    }

    fn gateway_network(&self) -> Result<Option<Network>, EndpointError> {
        let networks = self.networks();
        let Some(there) = networks.values().find(|network| network.name == GATEWAY) else {
            return Ok(None);
        };
        if there.driver == Driver::Bridge && !there.internal {
            return Ok(Some(there.clone()));
        }
        let why = format!(
            "network {GATEWAY} is no bridge that leads out, and containers on overlays leave this host by \
             it: remove it, or make it with driver bridge"
        );
        Err(EndpointError::Unavailable(why))
    }
}

/// Its containers do not reach each other: they are on different overlays.
fn request() -> CreateRequest {
    let option =
        |key: &str, value: &str| (format!("com.docker.network.bridge.{key}"), value.to_owned());
    CreateRequest {
        name: GATEWAY.to_owned(),
        driver: Driver::Bridge.name().to_owned(),
        options: [option("name", GATEWAY), option("enable_icc", "false")].into(),
        ..CreateRequest::default()
    }
}
