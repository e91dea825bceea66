//! Where in the store everything is.

use super::SubnetKey;

/// Which keys are flannel's and which are netd's own.
///
/// | key | what |
/// |---|---|
/// | `<flannel>/config` | the network configuration |
/// | `<flannel>/subnets/<subnet>` | the lease of a host |
/// | `<own>/hosts/<machine-id>/lease<flannel>` | which lease is that host's; ends with it |
/// | `<own>/hosts/<machine-id>/live<flannel>` | that its agent runs; ends 30 s after it |
/// | `<own>/cluster<flannel>` | the store's name, by its first host: a store that is built anew has another |
/// | `<own>/global/` | networks of the whole cluster: [`crate::global::Keys`] |
/// | `<own>/missing<flannel>/<machine-id>` | which hosts that one misses in a store that was built anew |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    flannel: String,
    own: String,
}

/// A prefix that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrefix {
    /// It is the root of the store.
    #[error("{option} is {given:?}, which names no keys: give a path like {example:?}")]
    Empty {
        /// The option's name.
        option: &'static str,
        /// Its value.
        given: String,
        /// What it could be.
        example: &'static str,
    },
    /// netd would write below flannel's, which makes flanneld drop its peers.
    #[error(
        "--etcd-own-prefix {own:?} and --etcd-prefix {flannel:?} are one in the other: \
         give two that are apart"
    )]
    Overlap {
        /// flannel's.
        flannel: String,
        /// netd's.
        own: String,
    },
}

impl Keyspace {
    /// Two prefixes, cleaned as flannel does it (`//`, `/` at the end); one without `/` in front
    /// stays so.
    ///
    /// # Errors
    /// When one is empty, or they overlap.
    pub fn new(flannel: &str, own: &str) -> Result<Self, InvalidPrefix> {
        let (cleaned, own_cleaned) = (clean(flannel), clean(own));
        let empty = |option, given: &str, example| {
            Err(InvalidPrefix::Empty { option, given: given.to_owned(), example })
        };
        if cleaned.trim_matches('/').is_empty() {
            return empty("--etcd-prefix", flannel, crate::config::store::PREFIX);
        }
        if own_cleaned.trim_matches('/').is_empty() {
            return empty("--etcd-own-prefix", own, crate::config::store::OWN_PREFIX);
        }
        let keys = Self { flannel: cleaned, own: own_cleaned };
        if is_below(&keys.flannel, &keys.own) || is_below(&keys.own, &keys.flannel) {
            return Err(InvalidPrefix::Overlap { flannel: keys.flannel, own: keys.own });
        }
        Ok(keys)
    }

    /// netd's own prefix.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The key of the network configuration.
    #[must_use]
    pub fn config(&self) -> String {
        format!("{}/config", self.flannel)
    }

    /// The prefix of all leases.
    #[must_use]
    pub fn subnets(&self) -> String {
        format!("{}/subnets/", self.flannel)
    }

    /// The key of a lease.
    #[must_use]
    pub fn subnet(&self, subnet: &SubnetKey) -> String {
        format!("{}{subnet}", self.subnets())
    }

    /// The prefix of what netd's hosts say of themselves.
    #[must_use]
    pub fn hosts(&self) -> String {
        format!("{}/hosts/", self.own)
    }

    /// The key of a host's own word on its lease.
    #[must_use]
    pub fn record(&self, machine_id: &str) -> String {
        format!("{}{machine_id}/lease{}", self.hosts(), self.rooted())
    }

    /// The key of a host's sign of life.
    #[must_use]
    pub fn live(&self, machine_id: &str) -> String {
        format!("{}{machine_id}/live{}", self.hosts(), self.rooted())
    }

    /// The key of the store's name.
    #[must_use]
    pub fn cluster(&self) -> String {
        format!("{}/cluster{}", self.own, self.rooted())
    }

    /// The prefix of what is missing in a store that was built anew.
    #[must_use]
    pub fn missing(&self) -> String {
        format!("{}/missing{}/", self.own, self.rooted())
    }

    /// The host and kind of a key below [`Self::hosts`] that belongs to this cluster.
    pub(super) fn host_of<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let (machine_id, rest) = key.strip_prefix(&self.hosts())?.split_once('/')?;
        Some((machine_id, rest.strip_suffix(&self.rooted())?))
    }

    fn rooted(&self) -> String {
        format!("/{}", self.flannel.trim_start_matches('/'))
    }
}

/// As Go's `path.Join` does it, without `.` and `..`.
fn clean(prefix: &str) -> String {
    let root = if prefix.starts_with('/') { "/" } else { "" };
    let elements: Vec<&str> = prefix.split('/').filter(|element| !element.is_empty()).collect();
    format!("{root}{}", elements.join("/"))
}

/// flannel watches `<prefix>/subnets` and all that begins so.
fn is_below(a: &str, b: &str) -> bool {
    a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
