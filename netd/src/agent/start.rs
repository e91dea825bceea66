//! From options to a lease.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use cni::ErrorChain;
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netd_api::SubnetEnv;
use serde::{Deserialize, Serialize};

use super::{Agent, AgentError, macs};
use crate::backend::{Backend, Overlay};
use crate::config::network::NetworkConfig;
use crate::lease::{Held, SubnetKey, Wanted};
use crate::store::{Backoff, Store, Txn};
use crate::underlay::{self, Underlay};

/// How long before a network configuration that is absent or wrong is read again.
const CONFIG_PAUSE: Duration = Duration::from_secs(1);
/// How long before a lease is asked for again, at first and at most; each host at another time.
const LEASE_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A subnet, and what to do with it.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) config: NetworkConfig,
    pub(super) held: Held,
    pub(super) overlay: Overlay,
    pub(super) env: SubnetEnv,
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
        None => remembered_subnet(agent.local.as_ref(), prefix(agent)).await?,
    };
    if let Some(previous) = &previous {
        tracing::info!(subnet = %previous, "had this subnet before");
    }
    loop {
        let (config, backend) = configuration(agent).await;
        if let Some(started) = attempt(agent, previous, config, backend).await? {
            return Ok(started);
        }
        tracing::info!("there is another network configuration");
    }
}

/// A lease with this configuration; `None` when there is another one before there is a lease.
async fn attempt(
    agent: &Agent,
    previous: Option<SubnetKey>,
    config: NetworkConfig,
    backend: Backend,
) -> Result<Option<Started>, AgentError> {
    let dual = config.ipv6.is_some();
    let mut kernel = Kernel::open(None);
    let underlay = interface(agent, &mut kernel, dual)?;
    let devices = backend.devices(dual).map_err(AgentError::Backend)?;
    let macs = macs::choose(&mut kernel, agent.local.as_ref(), &devices).await?;
    let value = backend.publish(&underlay, &macs).map_err(AgentError::Backend)?;
    let wanted = Wanted { value, previous, time_to_live: agent.options.subnet_ttl };
    let Some(held) = lease(agent, &config, &wanted).await else { return Ok(None) };
    remember(agent, &held.subnet).await?;
    let v6 = config.ipv6.map(|(network, _)| network.into());
    let networks = std::iter::once(IpNetwork::from(config.network)).chain(v6);
    let networks = networks.map(|network| network.to_string()).collect();
    let made = Remembered { networks, public_ip: Some(held.value.public_ip) };
    made.write(agent.local.as_ref(), prefix(agent)).await?;
    let has_ipv6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
    let overlay =
        backend.overlay(underlay, held.subnet, &macs, has_ipv6).map_err(AgentError::Backend)?;
    let v6 = config.ipv6.map(|(network, _)| network).zip(held.subnet.v6);
    let env = SubnetEnv::of_lease(
        Some((config.network, held.subnet.v4)),
        v6,
        overlay.mtu(),
        agent.options.ip_masq,
    );
    tracing::info!(
        subnet = %held.subnet, host = %held.value.public_ip, mtu = overlay.mtu(),
        backend = %held.value.backend_type, "leased"
    );
    Ok(Some(Started { config, held, overlay, env }))
}

/// The network configuration, as soon as there is one that can be used. Each reason to wait is
/// said once.
async fn configuration(agent: &Agent) -> (NetworkConfig, Backend) {
    loop {
        let reason = match agent.leases.config().await {
            Ok(config) => match Backend::parse(&config.backend) {
                Ok(backend) => {
                    tracing::info!(network = %config.network, backend = backend.kind(), "network");
                    return (config, backend);
                }
                Err(error) => ErrorChain(&error).to_string(),
            },
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
async fn lease(agent: &Agent, config: &NetworkConfig, wanted: &Wanted) -> Option<Held> {
    let mut backoff = Backoff::new(LEASE_PAUSES.0, LEASE_PAUSES.1);
    loop {
        match agent.leases.acquire(config, wanted).await {
            Ok(held) => return Some(held),
            Err(error) => wait(agent, &ErrorChain(&error).to_string()),
        }
        backoff.wait().await;
        if agent.leases.config().await.is_ok_and(|now| now != *config) {
            return None;
        }
    }
}

/// Says what is waited for, if that is news.
fn wait(agent: &Agent, reason: &str) {
    agent.standing.send_if_modified(|standing| {
        let news = standing.waiting != reason;
        if news {
            tracing::error!("{reason}; trying again");
            reason.clone_into(&mut standing.waiting);
        }
        news
    });
}

fn prefix(agent: &Agent) -> &str {
    &agent.options.store.etcd_prefix
}

fn key(what: &str, prefix: &str) -> String {
    format!("/{what}/{}", prefix.trim_matches('/'))
}

/// The subnet file is gone after a reboot; this is not.
pub(super) async fn remembered_subnet(
    local: &dyn Store,
    prefix: &str,
) -> Result<Option<SubnetKey>, AgentError> {
    let entry = local.get(&key("subnet", prefix)).await.map_err(AgentError::Local)?;
    Ok(entry.and_then(|entry| String::from_utf8_lossy(&entry.value).parse().ok()))
}

async fn remember(agent: &Agent, subnet: &SubnetKey) -> Result<(), AgentError> {
    if remembered_subnet(agent.local.as_ref(), prefix(agent)).await? == Some(*subnet) {
        return Ok(());
    }
    let key = key("subnet", prefix(agent));
    let txn = Txn::new().put(key, subnet.to_string().into_bytes(), None);
    agent.local.txn(txn).await.map(drop).map_err(AgentError::Local)
}

/// What has to be known to take back what was made, beside devices and subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Remembered {
    networks: BTreeSet<String>,
    /// The address that was published with the lease.
    #[serde(rename = "publicIP")]
    pub(super) public_ip: Option<Ipv4Addr>,
}

impl Remembered {
    /// What was written last; nothing where that cannot be read.
    pub(super) async fn read(local: &dyn Store, prefix: &str) -> Result<Self, AgentError> {
        let entry = local.get(&key("made", prefix)).await.map_err(AgentError::Local)?;
        let made = entry.and_then(|entry| serde_json::from_slice(&entry.value).ok());
        Ok(made.unwrap_or_default())
    }

    /// The networks for which iptables' FORWARD was opened.
    pub(super) fn networks(&self) -> impl Iterator<Item = IpNetwork> {
        self.networks.iter().filter_map(|network| network.parse().ok())
    }

    /// Networks of before are kept: a network that is made larger is opened beside the old one.
    async fn write(mut self, local: &dyn Store, prefix: &str) -> Result<(), AgentError> {
        let before = Self::read(local, prefix).await?;
        self.networks.extend(before.networks.iter().cloned());
        if self == before {
            return Ok(());
        }
        // Writing to memory cannot fail.
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        let txn = Txn::new().put(key("made", prefix), bytes, None);
        local.txn(txn).await.map(drop).map_err(AgentError::Local)
    }
}
