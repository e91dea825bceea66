//! What a start waits for: a configuration that can be used, and a subnet.

use std::time::Duration;

use cni::ErrorChain;

use super::super::change::can_follow;
use super::super::{Agent, conflict};
use crate::backend::Backend;
use crate::config::network::NetworkConfig;
use crate::lease::{AcquireError, Held, SubnetKey, Wanted};
use crate::store::Backoff;

/// How long before a network configuration that is absent or wrong is read again.
pub(in crate::agent) const CONFIG_PAUSE: Duration = Duration::from_secs(1);
/// How long before a lease is asked for again, at first and at most; each host at another time.
const LEASE_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A network configuration that can be used, and its bytes.
pub(super) struct Configuration {
    pub(super) config: NetworkConfig,
    pub(super) backend: Backend,
    pub(super) json: Vec<u8>,
}

/// What the last agent had in force: a configuration, and the host's subnet by it.
pub(super) type Before = (NetworkConfig, SubnetKey);

/// What the store says to a host that asks for a lease.
pub(super) enum Got {
    Lease(Box<Held>),
    /// Containers have addresses of a subnet that is another host's now.
    Taken(SubnetKey, String),
}

/// The network configuration, as soon as there is one that can be used. Each reason to wait is
/// said once.
///
/// # Errors
/// Why there is none yet, where the host can go on with what it knew before: the store is away, was
/// built anew, or has one that an agent that runs would not follow either.
pub(super) async fn configuration(
    agent: &Agent,
    before: Option<&Before>,
    impatient: bool,
) -> Result<Configuration, String> {
    loop {
        let reason = match agent.leases.config_text().await {
            Ok((config, json)) => match usable(agent, &config, before).await {
                Ok(backend) => {
                    let kind = backend.kind();
                    tracing::info!(network = %config.network, backend = kind, "network");
                    return Ok(Configuration { config, backend, json });
                }
                Err(reason) => reason,
            },
            Err(error) => ErrorChain(&error).to_string(),
        };
        if impatient {
            return Err(reason);
        }
        wait(agent, &reason);
        tokio::time::sleep(CONFIG_PAUSE).await;
    }
}

/// The backend of a configuration that this host can start with, which has its place on the host then.
/// As long as containers have addresses of the subnet of before, it is one that keeps them connected.
async fn usable(
    agent: &Agent,
    config: &NetworkConfig,
    before: Option<&Before>,
) -> Result<Backend, String> {
    let backend = fitting(agent, config)?;
    if let Some((old, subnet)) = before.filter(|(_, subnet)| conflict::is_used(subnet)) {
        can_follow(old, subnet, config).map_err(|error| ErrorChain(&error).to_string())?;
    }
    agent.place.take_first(config).await?;
    Ok(backend)
}

/// The backend of a configuration, if this agent may run it.
pub(super) fn fitting(agent: &Agent, config: &NetworkConfig) -> Result<Backend, String> {
    let backend = Backend::of(config).and_then(|it| it.fits(agent.options.extension_shell));
    backend.map_err(|error| ErrorChain(&error).to_string())
}

/// A lease, as soon as there is one to be had: an exhausted network heals when a host leaves it, or
/// when it is made larger; `None` then.
///
/// # Errors
/// Why the store does not answer, if this is not to be waited for.
pub(super) async fn lease(
    agent: &Agent,
    config: &NetworkConfig,
    wanted: &Wanted,
    impatient: bool,
) -> Result<Option<Got>, String> {
    let mut backoff = Backoff::new(LEASE_PAUSES.0, LEASE_PAUSES.1);
    loop {
        match agent.leases.acquire(config, wanted).await {
            Ok(held) => return Ok(Some(Got::Lease(Box::new(held)))),
            Err(AcquireError::Taken { subnet, by }) => return Ok(Some(Got::Taken(subnet, by))),
            Err(error @ AcquireError::Store(_)) if impatient => {
                return Err(ErrorChain(&error).to_string());
            }
            Err(error) => wait(agent, &ErrorChain(&error).to_string()),
        }
        backoff.wait().await;
        if agent.leases.config().await.is_ok_and(|now| now != *config) {
            tracing::info!("there is another network configuration");
            return Ok(None);
        }
    }
}

/// Says what is waited for, if that is news.
pub(in crate::agent) fn wait(agent: &Agent, reason: &str) {
    agent.standing.send_if_modified(|standing| {
        let news = standing.waiting != reason;
        if news {
            tracing::error!("{reason}; trying again");
            reason.clone_into(&mut standing.waiting);
        }
        news
    });
}
