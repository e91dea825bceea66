//! What is asked about containers on networks, by `attach.sock`.

use std::os::fd::OwnedFd;
use std::path::Path;

use cni::AddResult;
use kernel::{Kind, Netns};
use netd_api::attach::{Attach, Check, Collected, Detach, Gc, Status};

use super::endpoints::{Attachment, Networks, Overlaid};
use super::{Registry, device_of, endpoints, global};
use crate::endpoint::{EndpointError, Wanted};
use crate::network::{self, Driver, Id, Network, Scope};

/// How often a container may find the addresses taken that this host had claimed.
const AT_ONCE: usize = 16;

impl Registry {
    /// Attaches a container, whose namespace is `netns`.
    ///
    /// # Errors
    /// Nothing is left of it then, or the error says what.
    pub async fn attach(
        &self,
        request: Attach,
        netns: Option<OwnedFd>,
    ) -> Result<AddResult, EndpointError> {
        let is_open = request.ports.iter().any(|port| port.host_port == 0);
        let dynamic = endpoints::dynamic(is_open);
        let wanted = Wanted::read(&request, &dynamic)?;
        let netns = namespace(netns, &request.netns)?;
        self.default_bridge(&self.attachable(&request.network)?).await?;
        let network = self.attachable(&request.network)?;
        if let (true, Some(alias)) = (network.is_predefined(), request.aliases.first()) {
            return Err(EndpointError::NoAlias(alias.clone()));
        }
        network::is_free_for(&network, self.networks().values())?;
        if network.driver == Driver::Overlay {
            self.0.overlays.could_stand(&network)?;
        }
        self.room(&network, &wanted).await?;
        let way_out = self.way_out_of(&network).await?;
        let attach = async || {
            let (wanted, network, way_out) = (wanted.clone(), network.clone(), way_out.clone());
            let (netns, path) = (netns.clone(), request.netns.clone());
            self.blocking(move |registry, networks| {
                let is_overlay = network.driver == Driver::Overlay;
                let stands = is_overlay.then(|| registry.0.overlays.stand(&network)).transpose()?;
                let overlay = stands.as_ref().map(|stands| {
                    let (netns, on) = (stands.netns.clone(), stands.on.clone());
                    Overlaid { netns, on, way_out }
                });
                let (network, wanted) = (&network, &wanted);
                let attachment = Attachment::new(network, wanted, netns, path, overlay)?;
                registry.0.endpoints.attach(&attachment, networks)
            })
            .await
        };
        let mut attached = attach().await;
        if attached.as_ref().is_err_and(is_without_links) {
            // Somebody has removed the bridge, or what is below, just now.
            let devices = way_out.iter().chain([&network]).filter_map(device_of).collect();
            let made = self.0.keeper.put(devices).await;
            made.map_err(EndpointError::Agent)?;
            attached = attach().await;
        }
        for _ in 0..AT_ONCE {
            let is_out = matches!(attached, Err(EndpointError::Exhausted { .. }));
            if !is_out || network.scope == Scope::Local {
                break;
            }
            // Those that came at the same moment have taken what there was room for.
            self.room(&network, &wanted).await?;
            attached = attach().await;
        }
        if attached.is_ok() {
            self.0.overlays.troubles.clear_taken_off(&network.id, &wanted.container);
        }
        attached
    }

    /// Takes a container off a network; that it is not there is no error.
    ///
    /// # Errors
    /// What is left of it; it is tried again later.
    pub async fn detach(&self, request: Detach) -> Result<(), EndpointError> {
        // A network that is gone has no containers.
        let Ok(network) = self.found(&request.network) else { return Ok(()) };
        let Detach { container, ifname, .. } = request;
        self.0.overlays.troubles.clear_taken_off(&network.id, &container);
        self.blocking(move |registry, networks| {
            let endpoints = &registry.0.endpoints;
            let there = endpoints.of_container(&network.id, &container, ifname.as_deref());
            there.iter().try_for_each(|endpoint| endpoints.detach(endpoint, networks))
        })
        .await
    }

    /// The commands that would repair what differs of a container.
    ///
    /// # Errors
    /// Where it is not on the network, or cannot be looked at.
    pub async fn check(
        &self,
        request: Check,
        netns: Option<OwnedFd>,
    ) -> Result<Vec<String>, EndpointError> {
        let network = self.attachable(&request.network)?;
        let Check { container, ifname, .. } = request;
        let there = self.0.endpoints.of_container(&network.id, &container, Some(&ifname));
        let Some(endpoint) = there.first().cloned() else {
            let taken_off = self.0.overlays.troubles.taken_off(&network.id, &container);
            let network = network.name;
            let absent = EndpointError::NotConnected { container, network };
            return Err(taken_off.map_or(absent, EndpointError::Unavailable));
        };
        let netns = namespace(netns, &endpoint.netns.path)?;
        self.blocking(move |registry, networks| {
            registry.0.endpoints.check(&endpoint, &network, &netns, networks)
        })
        .await
    }

    /// Whether a container could be attached now.
    ///
    /// # Errors
    /// [`EndpointError::Unavailable`].
    pub async fn status(&self, request: Status) -> Result<(), EndpointError> {
        let unavailable = |error: EndpointError| EndpointError::Unavailable(error.to_string());
        let network = self.attachable(&request.network).map_err(unavailable)?;
        if !self.answers().await {
            let why = "the thread that keeps bridges does not answer".to_owned();
            return Err(EndpointError::Unavailable(why));
        }
        network::is_free_for(&network, self.networks().values())
            .map_err(|error| unavailable(error.into()))?;
        self.could_have_room(&network)?;
        self.blocking(move |registry, _| registry.0.endpoints.could_attach(&network))
            .await
            .map_err(unavailable)
    }

    /// Takes containers off a network that are gone and are not listed.
    ///
    /// # Errors
    /// Where there is no such network.
    pub async fn collect(&self, request: Gc) -> Result<Collected, EndpointError> {
        let network = self.found(&request.network)?;
        self.blocking(move |registry, networks| {
            registry.0.endpoints.collect(&network, &request.keep, networks)
        })
        .await
    }

    /// Takes away those whose containers are gone: of a network, or of all.
    pub(super) async fn collect_dead(&self, of: Option<Id>) {
        let failed = "containers that are gone are not looked for";
        self.tried(failed, move |registry, networks| {
            registry.0.endpoints.collect_dead(of.as_ref(), networks);
        })
        .await;
    }

    /// Takes away those whose containers may be gone since an event of the kernel.
    pub(super) async fn collect_suspects(&self) {
        let failed = "a container that may be gone is not looked at";
        self.tried(failed, |registry, networks| registry.0.endpoints.collect_suspects(networks))
            .await;
    }

    /// Tells neighbours of addresses again, as often as is due by now.
    pub(super) async fn announce_due(&self) {
        let failed = "neighbours are not told of addresses";
        self.tried(failed, |registry, _| registry.0.endpoints.announce_due()).await;
    }

    /// Takes up the containers of before, and puts right what they have on this host.
    pub(super) async fn adopt(&self) {
        let failed = "containers of before are not looked at";
        self.tried(failed, |registry, networks| {
            registry.0.endpoints.adopt(networks);
            registry.0.overlays.adopt(networks);
        })
        .await;
        self.0.keeper.look_again().await;
    }

    /// Holds the host ports of all containers anew.
    pub(super) async fn hold_ports(&self) {
        tracing::warn!("netd proxy has ended; starting it anew for the ports that it held");
        let failed = "host ports are not held";
        self.tried(failed, |registry, networks| registry.0.endpoints.hold_all_ports(networks))
            .await;
    }

    /// Writes the lists for runtimes and the endpoints that could not be written.
    pub(super) async fn write_again(&self) {
        let failed = "what could not be written is not written";
        self.tried(failed, |registry, networks| {
            registry.0.lists.again(global::listed(networks));
            registry.0.endpoints.write_again();
        })
        .await;
    }

    /// A network that containers can be attached to; texts are Docker's.
    fn attachable(&self, word: &str) -> Result<Network, EndpointError> {
        let network = self.found(word)?;
        match network.driver {
            Driver::Bridge | Driver::Macvlan | Driver::Ipvlan | Driver::Overlay => Ok(network),
            Driver::Null => Err(EndpointError::Private(network.name)),
            Driver::Host => Err(EndpointError::HostNetwork),
        }
    }

    /// Makes the bridge of network `bridge`, at its first container.
    async fn default_bridge(&self, network: &Network) -> Result<(), EndpointError> {
        if !network.is_predefined() {
            return Ok(());
        }
        let mut is_there = self.0.default_bridge.lock().await;
        if !*is_there {
            // As long as it is not, the subnet may change.
            let devices = device_of(&self.found(&network.name)?).into_iter().collect();
            self.0.keeper.put(devices).await.map_err(EndpointError::Agent)?;
            *is_there = true;
        }
        Ok(())
    }

    /// Does something that says itself what goes wrong, on a thread that may wait.
    async fn tried(&self, failed: &str, work: impl FnOnce(&Self, &Networks) + Send + 'static) {
        let done = self.blocking(move |registry, networks| {
            work(registry, networks);
            Ok(())
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "{failed}");
        }
    }

    /// Does something on a thread that may wait, with the networks of this moment.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &Networks) -> Result<T, EndpointError> + Send + 'static,
    ) -> Result<T, EndpointError> {
        let registry = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let networks = registry.networks();
            let done = work(&registry, &networks);
            // Whoever was the last on an overlay has left it.
            registry.0.overlays.tidy();
            done
        });
        done.await.unwrap_or_else(|error| Err(EndpointError::Agent(error.to_string())))
    }
}

fn namespace(netns: Option<OwnedFd>, path: &Path) -> Result<Netns, EndpointError> {
    let Some(fd) = netns else {
        let why = "no network namespace came with the request: send it as a file descriptor";
        return Err(EndpointError::Netns(why.to_owned()));
    };
    Netns::from_fd(fd, path).map_err(|e| EndpointError::Netns(cni::ErrorChain(&e).to_string()))
}

/// Whether the bridge, or what stands for it, was not there.
fn is_without_links(error: &EndpointError) -> bool {
    if matches!(error, EndpointError::NoParent { .. }) {
        return true;
    }
    let EndpointError::Attach(attach::Error::Refused { source, .. }) = error else { return false };
    matches!(source.0.kind(), Kind::NoDevice | Kind::NotFound)
}
