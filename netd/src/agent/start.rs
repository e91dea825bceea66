//! From options to a lease.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use cni::ErrorChain;
use kernel::Kernel;

use super::force::InForce;
use super::memory::Remembered;
use super::missing::missing;
use super::{Agent, AgentError, identity, macs};
use crate::backend::{Backend, Macs};
use crate::config::network::NetworkConfig;
use crate::lease::{AcquireError, ConfigError, Held, Known, LeaseValue, SubnetKey, Wanted};
use crate::store::Backoff;
use crate::underlay::{self, Underlay};

/// How long before a network configuration that is absent or wrong is read again.
pub(super) const CONFIG_PAUSE: Duration = Duration::from_secs(1);
/// How long before a lease is asked for again, at first and at most; each host at another time.
const LEASE_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A subnet, and what to do with it.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) force: InForce,
    /// The other hosts as they were known before.
    pub(super) known: Known,
    /// They are all that is known: the store does not say.
    pub(super) alone: bool,
    /// When a lease of before ends, since boot, as long as the store does not say.
    pub(super) remembered_until: Option<Duration>,
}

/// Waits for a configuration, chooses the interface, and leases a subnet.
///
/// # Errors
/// What does not heal by waiting.
pub(super) async fn start(
    agent: &Agent,
    previous: Option<SubnetKey>,
) -> Result<Started, AgentError> {
    let previous = match previous {
        Some(previous) => Some(previous),
        // The subnet file is gone after a reboot; this is not.
        None => agent.memory.lease().await?.map(|held| held.subnet),
    };
    if let Some(previous) = &previous {
        tracing::info!(subnet = %previous, "had this subnet before");
    }
    let mut remembered = agent.memory.recall().await?;
    loop {
        let config = match configuration(agent, remembered.is_some()).await {
            Ok(config) => config,
            Err(away) => {
                if let Some(remembered) = remembered.take() {
                    return resume(agent, remembered, away).await;
                }
                continue;
            }
        };
        match attempt(agent, previous, config, remembered.is_some()).await? {
            Attempt::Started(started) => return Ok(*started),
            Attempt::Again => {}
            Attempt::Away(away) => {
                if let Some(remembered) = remembered.take() {
                    return resume(agent, remembered, away).await;
                }
            }
        }
    }
}

/// A network configuration that can be used, and its bytes.
struct Configuration {
    config: NetworkConfig,
    backend: Backend,
    json: Vec<u8>,
}

/// What came of asking for a lease.
enum Attempt {
    Started(Box<Started>),
    /// There is another configuration before there is a lease, or hosts are waited for.
    Again,
    /// The store is away, and what was known before will do.
    Away(String),
}

/// What is to be known before a lease is taken.
struct Prepared {
    config: NetworkConfig,
    backend: Backend,
    underlay: Underlay,
    macs: Macs,
    value: LeaseValue,
}

/// A lease with this configuration.
async fn attempt(
    agent: &Agent,
    previous: Option<SubnetKey>,
    configuration: Configuration,
    impatient: bool,
) -> Result<Attempt, AgentError> {
    let Configuration { config, backend, json } = configuration;
    let prepared = prepare(agent, config, backend).await?;
    let value = prepared.value.clone();
    let known = agent.memory.known().await?;
    let missing = match missing(agent, &known, previous.is_none()).await {
        Ok(Some(missing)) => missing,
        Ok(None) => return Ok(Attempt::Again),
        Err(away) => return Ok(Attempt::Away(away)),
    };
    let wanted =
        Wanted { value, previous, missing, time_to_live: agent.options.subnet_ttl, is_kept: true };
    let held = match lease(agent, &prepared.config, &wanted, impatient).await {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(Attempt::Again),
        Err(away) => return Ok(Attempt::Away(away)),
    };
    agent.memory.keep_config(&json).await?;
    agent.memory.keep_networks(&prepared.config).await?;
    agent.memory.keep_lease(&held).await?;
    let reach = &agent.insight.store;
    let kept = held.session.and_then(|session| reach.borrow().kept.get(&session).copied());
    agent.memory.keep_sign(kept).await?;
    let force = finish(agent, prepared, held).await?;
    let started = Started { force, known, alone: false, remembered_until: None };
    Ok(Attempt::Started(Box::new(started)))
}

/// Goes on with what the last agent knew: the lease is this host's for its time to live, and longer
/// as long as nobody else has it. The store is asked as soon as it is there.
async fn resume(
    agent: &Agent,
    remembered: Remembered,
    away: String,
) -> Result<Started, AgentError> {
    let Remembered { config, mut held, until } = remembered;
    let known = agent.memory.known().await?;
    tracing::warn!(
        subnet = %held.subnet, peers = known.view.peers.len(), reason = away,
        "the store does not tell; going on with what was known before"
    );
    let backend =
        Backend::of(&config).and_then(|backend| backend.fits(agent.options.extension_shell));
    let prepared = prepare(agent, config, backend.map_err(AgentError::Backend)?).await?;
    held.value = prepared.value.clone();
    let force = finish(agent, prepared, held).await?;
    Ok(Started { force, known, alone: true, remembered_until: Some(until) })
}

async fn prepare(
    agent: &Agent,
    config: NetworkConfig,
    backend: Backend,
) -> Result<Prepared, AgentError> {
    let dual = config.ipv6.is_some();
    let mut kernel = Kernel::open(None);
    let underlay = interface(agent, &mut kernel, dual)?;
    let backend = identity::complete(agent, backend, dual).await?;
    let devices = backend.devices(dual).map_err(AgentError::Backend)?;
    let macs = macs::choose(&mut kernel, agent.local.as_ref(), &devices).await?;
    let value = backend.publish(&underlay, &macs).map_err(AgentError::Backend)?;
    Ok(Prepared { config, backend, underlay, macs, value })
}

async fn finish(agent: &Agent, prepared: Prepared, held: Held) -> Result<InForce, AgentError> {
    let Prepared { config, backend, underlay, macs, .. } = prepared;
    let guarded = way_to_store(agent).await;
    let force = InForce::new(config, backend, underlay, macs, held, guarded);
    let force = force.map_err(AgentError::Backend)?;
    let (held, mtu) = (&force.held, force.backend().mtu);
    tracing::info!(
        subnet = %held.subnet, host = %held.value.public_ip, mtu,
        backend = %held.value.backend_type, "leased"
    );
    Ok(force)
}

/// The store's addresses and the gateways to them.
async fn way_to_store(agent: &Agent) -> BTreeSet<IpAddr> {
    let store = agent.options.store.addresses().await;
    let mut kernel = Kernel::open(None);
    // Where there is no way now, there is no gateway to know.
    let mut gateway = |ip: &IpAddr| kernel.way_to(*ip).ok().flatten()?.via;
    let gateways: Vec<IpAddr> = store.iter().filter_map(&mut gateway).collect();
    store.into_iter().chain(gateways).collect()
}

/// The network configuration, as soon as there is one that can be used. Each reason to wait is
/// said once.
///
/// # Errors
/// Why the store does not say, if this is not to be waited for: it is away, or was built anew.
async fn configuration(agent: &Agent, impatient: bool) -> Result<Configuration, String> {
    loop {
        let reason = match agent.leases.config_text().await {
            Ok((config, json)) => match Backend::of(&config)
                .and_then(|backend| backend.fits(agent.options.extension_shell))
            {
                Ok(backend) => {
                    tracing::info!(network = %config.network, backend = backend.kind(), "network");
                    return Ok(Configuration { config, backend, json });
                }
                Err(error) => ErrorChain(&error).to_string(),
            },
            Err(error @ (ConfigError::Store(_) | ConfigError::Absent { .. })) if impatient => {
                return Err(ErrorChain(&error).to_string());
            }
            Err(error) => ErrorChain(&error).to_string(),
        };
        wait(agent, &reason);
        tokio::time::sleep(CONFIG_PAUSE).await;
    }
}

fn interface(agent: &Agent, kernel: &mut Kernel, dual: bool) -> Result<Underlay, AgentError> {
    let options = &agent.options.iface;
    let seen = underlay::look(kernel, options).map_err(AgentError::Look)?;
    let underlay = underlay::choose(options, dual, &seen).map_err(AgentError::Underlay)?;
    tracing::info!(
        interface = %underlay.link, address = %underlay.v4, public = %underlay.public_v4,
        mtu = underlay.mtu, "interface between hosts"
    );
    Ok(underlay)
}

/// A lease, as soon as there is one to be had: an exhausted network heals when a host leaves it, or
/// when it is made larger; `None` then.
///
/// # Errors
/// Why the store does not answer, if this is not to be waited for.
async fn lease(
    agent: &Agent,
    config: &NetworkConfig,
    wanted: &Wanted,
    impatient: bool,
) -> Result<Option<Held>, String> {
    let mut backoff = Backoff::new(LEASE_PAUSES.0, LEASE_PAUSES.1);
    loop {
        match agent.leases.acquire(config, wanted).await {
            Ok(held) => return Ok(Some(held)),
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
pub(super) fn wait(agent: &Agent, reason: &str) {
    agent.standing.send_if_modified(|standing| {
        let news = standing.waiting != reason;
        if news {
            tracing::error!("{reason}; trying again");
            reason.clone_into(&mut standing.waiting);
        }
        news
    });
}
