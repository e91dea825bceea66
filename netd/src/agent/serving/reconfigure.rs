//! The network configuration changes while the agent runs, or is gone with the store.

use cni::ErrorChain;
use kernel::Kernel;

use super::{Serving, forward, uplink};
use crate::agent::change::can_follow;
use crate::agent::force::InForce;
use crate::agent::serve::keep;
use crate::agent::uplink::Uplink;
use crate::agent::{identity, macs};
use crate::backend::Backend;
use crate::config::network::NetworkConfig;
use crate::lease::{ConfigError, Configured};

impl Serving<'_> {
    /// Somebody wrote the network configuration.
    pub(in crate::agent) async fn reconfigured(&mut self, news: Configured) {
        self.pending = None;
        self.restoring &= news.is_err();
        let refused = match news {
            Err(ConfigError::Absent { .. }) if self.restoring => self.restore().await,
            Ok((config, json)) if config == self.force.config => {
                self.keep_config(&json).await;
                None
            }
            Ok((config, json)) => self.follow(config, json).await,
            Err(error) => Some(ErrorChain(&error).to_string()),
        };
        self.refuse(refused);
    }

    /// The store is another one, or other hosts are missing in it.
    pub(in crate::agent) async fn told_of_store(&mut self) {
        let state = self.store.borrow_and_update().clone();
        let missing = state.missing.len() + state.lapsed.len();
        let is_anew = self.until != state.until && state.until.is_some();
        self.until = state.until;
        self.agent.standing.send_if_modified(|standing| {
            let news = standing.missing != missing;
            standing.missing = missing;
            news
        });
        if is_anew {
            self.restoring = true;
            let refused = self.restore().await;
            self.refuse(refused);
        }
    }

    /// Writes the configuration in force into a store that has none. Gives why that failed.
    async fn restore(&mut self) -> Option<String> {
        let json = self.agent.memory.config_text().await.ok().flatten()?;
        match self.agent.leases.restore_config(&json).await {
            Ok(written) => {
                if written {
                    tracing::warn!("the network configuration is written again");
                }
                self.restoring = false;
                None
            }
            Err(error) => Some(format!("{}; trying again", ErrorChain(&error))),
        }
    }

    /// Tries again what the store has not done yet.
    pub(in crate::agent) async fn retry(&mut self) {
        if self.restoring {
            let refused = self.restore().await;
            self.refuse(refused);
        }
        if self.unmoved {
            self.looked().await;
        }
        if let Some((config, json)) = self.pending.take() {
            let refused = self.follow(config, json).await;
            self.refuse(refused);
        }
    }

    /// Whether there is something to try again.
    pub(in crate::agent) fn is_pending(&self) -> bool {
        self.pending.is_some() || self.restoring || self.unmoved
    }

    /// Takes a configuration into force. Gives why that cannot be.
    async fn follow(&mut self, config: NetworkConfig, json: Vec<u8>) -> Option<String> {
        let (now, subnet) = (&self.force.config, &self.force.held.subnet);
        let refused = |why: &str| {
            format!(
                "{why}; what was before stays in force until netd is restarted while this host has no \
                 containers"
            )
        };
        if let Err(refusal) = can_follow(now, subnet, &config) {
            return Some(refused(&ErrorChain(&refusal).to_string()));
        }
        let backend = match self.backend(&config).await {
            Ok(backend) => backend,
            Err(reason) => return Some(reason),
        };
        if let Err(reason) = self.agent.place.reserve(&config) {
            return Some(refused(&reason));
        }
        let taken = match config.ipv6.is_some() && subnet.v6.is_none() {
            true => self.extend(&config, backend).await,
            false => self
                .force
                .with(&config, &backend, &self.force.underlay)
                .map_err(|error| ErrorChain(&error).to_string()),
        };
        let changed = taken.and_then(|force| self.change(force));
        self.agent.place.settle(&self.force.config);
        match changed {
            Ok(()) => {
                tracing::info!(network = %config.network, "another network configuration is in force");
                self.keep_config(&json).await;
                None
            }
            Err(reason) => {
                self.pending = Some((config, json));
                Some(format!("{reason}; trying again"))
            }
        }
    }

    /// The backend of a configuration, as this host has it.
    pub(super) async fn backend(&self, config: &NetworkConfig) -> Result<Backend, String> {
        let chain = |error: &dyn std::error::Error| ErrorChain(error).to_string();
        let (shell, dual) = (self.agent.options.extension_shell, config.ipv6.is_some());
        let backend = Backend::parse(&config.backend).and_then(|backend| backend.fits(shell));
        let backend = backend.map_err(|error| chain(&error))?;
        identity::complete(self.agent, backend, dual).await.map_err(|error| chain(&error))
    }

    /// The lease gets an IPv6 subnet.
    async fn extend(
        &mut self,
        config: &NetworkConfig,
        backend: Backend,
    ) -> Result<InForce, String> {
        let chain = |error: &dyn std::error::Error| ErrorChain(error).to_string();
        let agent = self.agent;
        if let Some(reason) = agent.standing.borrow().lost.clone() {
            return Err(format!("the lease is not this host's at present: {reason}"));
        }
        let uplink = Uplink { dual: true, ..uplink(agent, &self.force) };
        let underlay = uplink.now(&self.force.underlay).await?;
        let macs = macs::of(&mut Kernel::open(None), agent.local.as_ref(), config).await;
        let macs = macs.map_err(|error| chain(&error))?;
        let value = backend.publish(&underlay, &macs).map_err(|error| chain(&error))?;
        if let Some(held) = self.lease.borrow().held() {
            // It may live by another session by now.
            let value = self.force.held.value.clone();
            self.force.held.clone_from(held);
            self.force.held.value = value;
        }
        // It would take the old key again, and the news of our own new one would be of a peer.
        let known =
            agent.memory.known(agent.options.window()).await.map_err(|error| chain(&error))?;
        self.keeper.pause();
        self.peers.abort_all();
        let extended = agent.leases.extend(config, &self.force.held, &value).await;
        let held = extended.as_ref().unwrap_or(&self.force.held).clone();
        self.keeper = agent.leases.keep(held.clone());
        self.lease = self.keeper.status();
        // What is held now is to be told, and kept on this host.
        self.lease.mark_changed();
        self.force.held = held;
        let inputs = self.reconciler.inputs();
        let tell = (self.telling.clone(), self.beside.tell.clone());
        self.peers = forward(agent, &self.force, (known, None), inputs, tell);
        let held = extended.map_err(|error| chain(&error))?;
        let guarded = self.force.overlay.guarded().clone();
        InForce::new(config.clone(), backend, underlay, macs, held, guarded)
            .map_err(|error| chain(&error))
    }

    fn refuse(&self, refused: Option<String>) {
        self.agent.standing.send_if_modified(|standing| {
            let news = standing.refused != refused;
            match &refused {
                Some(reason) if news => {
                    tracing::error!(%reason, "the network configuration of the store is not followed");
                }
                None if news => tracing::info!("the network configuration of the store is in force"),
                _ => {}
            }
            standing.refused = refused;
            news
        });
    }

    async fn keep_config(&self, json: &[u8]) {
        let held = self.lease.borrow().held().cloned();
        let kept = self.agent.memory.keep(json, &self.force.config, held.as_ref(), None).await;
        keep(kept, "the network configuration");
    }
}
