//! flannel's network configuration: the JSON at `<prefix>/config`.
//!
//! Source: flannel `pkg/subnet/config.go`, `ParseConfig`, `CheckNetworkConfig`; the differences are
//! told where they are.

mod derive;
mod error;
mod pool;
mod raw;

pub use error::InvalidConfig;
pub use pool::Pool;

use cni::json::Value;
use ipnetwork::{Ipv4Network, Ipv6Network};

use crate::lease::SubnetKey;

/// The cluster's network, validated, with all defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The network that hosts' IPv4 subnets are taken from.
    pub network: Ipv4Network,
    /// Its subnets.
    pub subnets: Pool,
    /// The network and the subnets of IPv6, when it is enabled.
    pub ipv6: Option<(Ipv6Network, Pool)>,
    /// Rules of traffic by nf_tables; netd uses nothing else.
    pub enable_nftables: bool,
    /// How packets travel between hosts.
    pub backend: BackendConf,
}

/// How packets travel between hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendConf {
    /// `Type` in lower case; `udp` without a `Backend`, empty where it has no `Type`, as flannel
    /// has it.
    pub kind: String,
    /// The whole object; keys match in any case: read it with [`cni::json::decode_at`] and the
    /// path `Backend`.
    pub options: Value,
}

impl NetworkConfig {
    /// Reads a configuration as Go does (keys in any case, the last of several wins, unknown keys
    /// ignored, null is a default) and checks it as flannel does.
    ///
    /// Differences to flannel: an `EnableIPv4` of false is refused, because leases in etcd have no
    /// key without an IPv4 subnet, and so is a range whose start is above its end.
    ///
    /// # Errors
    /// One sentence with the key, its value and the remedy.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidConfig> {
        let raw = raw::read(json)?;
        if raw.enable_ipv4 == Some(false) {
            return Err(InvalidConfig::without_ipv4());
        }
        let (network, subnets) = derive::v4(&raw)?;
        let ipv6 = raw.enable_ipv6.unwrap_or(false).then(|| derive::v6(&raw)).transpose()?;
        let enable_nftables = raw.enable_nftables.unwrap_or(false);
        Ok(Self { network, subnets, ipv6, enable_nftables, backend: raw.backend()? })
    }

    /// Whether a subnet is one that hosts can get.
    #[must_use]
    pub fn gives_out(&self, subnet: &SubnetKey) -> bool {
        let v6 = match (&self.ipv6, subnet.v6) {
            (Some((_, pool)), Some(v6)) => pool.contains(v6.into()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.subnets.contains(subnet.v4.into()) && v6
    }

    /// All keys with the values that are in effect, by the names that flannel has for them.
    #[must_use]
    pub fn effective(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &dyn ToString| Value::from(text.to_string());
        let range = |pool: &Pool| {
            (Value::from(u64::from(pool.length)), text(&pool.first()), text(&pool.last()))
        };
        let (length, min, max) = range(&self.subnets);
        let mut keys = vec![
            ("Network", text(&self.network)),
            ("SubnetLen", length),
            ("SubnetMin", min),
            ("SubnetMax", max),
            ("EnableIPv6", Value::from(self.ipv6.is_some())),
        ];
        if let Some((network, pool)) = &self.ipv6 {
            let (length, min, max) = range(pool);
            keys.push(("IPv6Network", text(network)));
            keys.push(("IPv6SubnetLen", length));
            keys.extend([("IPv6SubnetMin", min), ("IPv6SubnetMax", max)]);
        }
        keys.push(("EnableNFTables", Value::from(self.enable_nftables)));
        let mut backend = self.backend.options.as_object().cloned().unwrap_or_default();
        backend.set("Type", self.backend.kind.as_str());
        keys.push(("Backend", backend.into()));
        keys
    }
}

#[cfg(test)]
mod tests;
