//! What is known of the cluster, kept on this host: with it an agent that starts while the store
//! is away goes on where the last one ended.

mod acquired;
mod peers;
mod values;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipnetwork::IpNetwork;

use super::AgentError;
use crate::config::network::NetworkConfig;
use crate::lease::{Held, since_boot};
use crate::store::Store;
use crate::store::local::{Damaged, Local};
use acquired::ACQUIRED;
use values::Unwritten;

pub(super) use acquired::Acquired;

/// The bytes of the network configuration in force.
const CONFIG: &str = "config";

/// This host's lease.
const LEASE: &str = "lease";

/// All networks for which iptables' FORWARD was opened, one a line.
const NETWORKS: &str = "networks";

/// When the lease had its last sign of life, in seconds since 1970.
const SIGN: &str = "sign-of-life";

/// Why the lease is not this host's; nothing where it is.
const LOST: &str = "lost";

/// Where the knowledge of one cluster is kept.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    local: Arc<dyn Store>,
    at: String,
    unwritten: Unwritten,
}

/// What the last agent knew.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) config: NetworkConfig,
    pub(super) held: Held,
    /// Why the lease was not this host's.
    pub(super) lost: Option<String>,
    /// When the lease ends by the last sign of life, since boot.
    pub(super) until: Duration,
}

/// Opens the file of what is remembered. One that is damaged keeps no host down: the cluster's store
/// knows all of it but the devices' link-layer addresses, which peers are told anew.
pub(super) fn open(path: &Path) -> Result<Local, AgentError> {
    let (local, damaged) = Local::open_or_anew(path).map_err(AgentError::Local)?;
    if let Some(Damaged { aside, reason }) = damaged {
        tracing::warn!(
            file = %path.display(), reason, aside = %aside.display(),
            "the file of what this host remembers is damaged, and was set aside; configuration, lease, \
             peers and devices' addresses of before are forgotten, so this start needs etcd"
        );
    }
    Ok(local)
}

impl Memory {
    /// That of the cluster whose keys are below flannel's `prefix`.
    pub(super) fn new(local: Arc<dyn Store>, prefix: &str) -> Self {
        let at = format!("/cluster/{}/", prefix.trim_matches('/'));
        Self { local, at, unwritten: Unwritten::default() }
    }

    /// All of it; `None` where something is missing or cannot be read.
    pub(super) async fn recall(&self) -> Result<Option<Remembered>, AgentError> {
        let config = self.read(CONFIG).await?;
        let config = config.and_then(|bytes| NetworkConfig::parse(&bytes).ok());
        let (Some(config), Some(held)) = (config, self.lease().await?) else { return Ok(None) };
        let sign = self.text(SIGN).await?.and_then(|text| text.parse().ok());
        let end = Duration::from_secs(sign.unwrap_or(0)).saturating_add(held.time_to_live);
        // A clock that was put back lengthens no lease.
        let left = end.saturating_sub(now()).min(held.time_to_live);
        let until = since_boot().saturating_add(left);
        let lost = self.text(LOST).await?.filter(|reason| !reason.is_empty());
        Ok(Some(Remembered { config, held, lost, until }))
    }

    /// The bytes of the network configuration in force.
    pub(super) async fn config_text(&self) -> Result<Option<Vec<u8>>, AgentError> {
        self.read(CONFIG).await
    }

    /// This host's last lease.
    pub(super) async fn lease(&self) -> Result<Option<Held>, AgentError> {
        Ok(self.read(LEASE).await?.and_then(|bytes| Held::from_bytes(&bytes)))
    }

    /// All networks for which iptables' FORWARD was opened.
    pub(super) async fn networks(&self) -> Result<BTreeSet<IpNetwork>, AgentError> {
        let text = self.text(NETWORKS).await?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Keeps what is in force, all of it or nothing: the network configuration, the networks that
    /// traffic is let through for, the lease that was taken by it and, where it is known, when that
    /// had its last sign of life; a lease that is lost stays as it is kept. Networks of before stay:
    /// one that is made larger is opened beside the old one.
    pub(super) async fn keep(
        &self,
        json: &[u8],
        config: &NetworkConfig,
        held: Option<&Held>,
        sign: Option<Duration>,
    ) -> Result<(), AgentError> {
        let mut networks = self.networks().await?;
        networks.insert(config.network.into());
        networks.extend(config.ipv6.map(|(network, _)| IpNetwork::from(network)));
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let (networks, lease) = (networks.join("\n"), held.map(Held::to_bytes));
        let sign = sign.map(|at| by_clock(at).to_string());
        let mut values = vec![(CONFIG, json), (NETWORKS, networks.as_bytes())];
        values.extend(lease.iter().flat_map(|lease| ours(lease)));
        values.extend(sign.as_ref().map(|sign| (SIGN, sign.as_bytes())));
        self.write(&values).await
    }

    /// Keeps this host's lease, which is not lost.
    pub(super) async fn keep_lease(&self, held: &Held) -> Result<(), AgentError> {
        self.write(&ours(&held.to_bytes())).await
    }

    /// Keeps why the lease is not this host's, until it is kept as such.
    pub(super) async fn keep_lost(&self, reason: &str) -> Result<(), AgentError> {
        self.write(&[(LOST, reason.as_bytes()), (ACQUIRED, b"")]).await
    }

    /// Keeps when the lease had its last sign of life, since boot.
    pub(super) async fn keep_sign(&self, at: Option<Duration>) -> Result<(), AgentError> {
        let Some(at) = at else { return Ok(()) };
        self.write(&[(SIGN, by_clock(at).to_string().as_bytes())]).await
    }
}

/// A lease of this host's.
fn ours(lease: &[u8]) -> [(&str, &[u8]); 2] {
    [(LEASE, lease), (LOST, b"")]
}

/// A time since boot, past or to come, in seconds since 1970 by the clock, which goes on over reboots.
fn by_clock(at: Duration) -> u64 {
    (now() + at).saturating_sub(since_boot()).as_secs()
}

/// Since the beginning of 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
