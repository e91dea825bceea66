//! What is known of the cluster beside what the store tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{ClusterView, SubnetKey};

/// Which store it is that tells of the hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// What its first host called it; a store that is built anew has another name.
    pub name: Option<String>,
    /// Where it was built anew: until when hosts that have not registered again count as there,
    /// since boot.
    pub until: Option<Duration>,
    /// These hosts.
    pub missing: Arc<BTreeSet<SubnetKey>>,
    /// Hosts whose leases ended without a word of theirs: they may be cut off from the store, and
    /// count as there until then, since boot.
    pub lapsed: BTreeMap<SubnetKey, Duration>,
}

impl StoreState {
    /// How long hosts that are missing count as there; `None` where none can be missing.
    #[must_use]
    pub fn left(&self, now: Duration) -> Option<Duration> {
        self.until.map(|until| until.saturating_sub(now))
    }
}

/// What was known before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The other hosts.
    pub view: ClusterView,
    /// The store that told of them.
    pub store: StoreState,
}
