//! From options to a lease.

mod awaited;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use kernel::Kernel;

pub(super) use awaited::{CONFIG_PAUSE, wait};
use awaited::{Configuration, Got, configuration, fitting, lease};

use super::conflict;
use super::force::InForce;
use super::memory::Remembered;
use super::missing::missing;
use super::{Agent, AgentError, identity, macs};
use crate::backend::{Backend, Macs};
use crate::config::network::NetworkConfig;
use crate::lease::{Held, Known, LeaseValue, SubnetKey, Wanted};
use crate::underlay::{self, Underlay};

/// A subnet, and what to do with it.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) force: InForce,
    /// The other hosts as they were known before.
    pub(super) known: Known,
    /// They are all that is known: the store does not say.
    pub(super) alone: bool,
    /// Why the lease is not this host's at present.
    pub(super) lost: Option<String>,
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
    let before = remembered.as_ref().map(|it| (it.config.clone(), it.held.subnet));
    loop {
        let config = match configuration(agent, before.as_ref(), remembered.is_some()).await {
            Ok(config) => config,
            Err(reason) => match resumable(agent, &mut remembered) {
                Some(before) => return resume(agent, before, reason).await,
                None => continue,
            },
        };
        match attempt(agent, previous, config, remembered.is_some()).await? {
            Attempt::Started(started) => return Ok(*started),
            Attempt::Again => {}
            Attempt::Away(away) => {
                if let Some(before) = resumable(agent, &mut remembered) {
                    return resume(agent, before, away).await;
                }
            }
        }
    }
}

/// What was known before, once, where this agent may do it, and no other network of this host is in its
/// way by now.
fn resumable(agent: &Agent, remembered: &mut Option<Remembered>) -> Option<(Remembered, Backend)> {
    let before = remembered.take()?;
    let backend = fitting(agent, &before.config);
    match backend.and_then(|backend| agent.place.take(&before.config).map(|()| backend)) {
        Ok(backend) => Some((before, backend)),
        Err(reason) => {
            wait(agent, &reason);
            None
        }
    }
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
    let known = agent.memory.known(agent.options.window()).await?;
    let missing = match missing(agent, &known, previous.is_none()).await {
        Ok(Some(missing)) => missing,
        Ok(None) => return Ok(Attempt::Again),
        Err(away) => return Ok(Attempt::Away(away)),
    };
    let wanted = Wanted {
        value,
        previous,
        is_used: previous.is_some_and(|subnet| conflict::is_used(&subnet)),
        missing,
        time_to_live: agent.options.subnet_ttl,
        is_kept: true,
    };
    let held = match lease(agent, &prepared.config, &wanted, impatient).await {
        Ok(Some(Got::Lease(held))) => *held,
        Ok(Some(Got::Taken(subnet, by))) => {
            let held = conflict::held(agent, subnet, prepared.value.clone()).await?;
            let force = finish(agent, prepared, held).await?;
            let started =
                Started { force, known, alone: false, lost: Some(by), remembered_until: None };
            return Ok(Attempt::Started(Box::new(started)));
        }
        Ok(None) => return Ok(Attempt::Again),
        Err(away) => return Ok(Attempt::Away(away)),
    };
    let reach = &agent.insight.store;
    let sign = held.session.and_then(|session| reach.borrow().kept.get(&session).copied());
    agent.memory.keep(&json, &prepared.config, Some(&held), sign).await?;
    let force = finish(agent, prepared, held).await?;
    let started = Started { force, known, alone: false, lost: None, remembered_until: None };
    Ok(Attempt::Started(Box::new(started)))
}

/// Goes on with what the last agent knew: the lease is this host's for its time to live, and longer
/// as long as nobody else has it. The store is asked as soon as it is there, and a configuration of it
/// that is not followed is told of by what follows it.
async fn resume(
    agent: &Agent,
    (remembered, backend): (Remembered, Backend),
    reason: String,
) -> Result<Started, AgentError> {
    let Remembered { config, mut held, lost, until } = remembered;
    let known = agent.memory.known(agent.options.window()).await?;
    tracing::warn!(
        subnet = %held.subnet, peers = known.view.peers.len(), reason,
        "going on with what was known before"
    );
    let prepared = prepare(agent, config, backend).await?;
    held.value = prepared.value.clone();
    let force = finish(agent, prepared, held).await?;
    Ok(Started { force, known, alone: true, lost, remembered_until: Some(until) })
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
