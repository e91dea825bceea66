//! Inputs that came together: what changes for which peer.

use std::collections::{BTreeMap, BTreeSet};

use netstate::NetState;
use tokio::sync::oneshot;

use crate::lease::SubnetKey;

/// What somebody waits for.
#[derive(Debug)]
pub(super) enum Question {
    /// Whether the loop works.
    Ping(oneshot::Sender<()>),
    /// What would be changed now.
    Plan(oneshot::Sender<Result<Vec<String>, String>>),
}

/// Inputs that came together.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// Peers that changed, with what the kernel was made to hold for them before.
    pub(super) before: BTreeMap<SubnetKey, NetState>,
    /// Peers of which something is gone from the kernel, and is to be put there again.
    pub(super) again: BTreeSet<SubnetKey>,
    /// Somebody changed the table of rules.
    pub(super) traffic: bool,
    /// What is to be answered once all is done.
    pub(super) questions: Vec<Question>,
    /// It is over.
    pub(super) stop: bool,
}

impl Burst {
    /// Notes that a peer changed; of several changes the first says what the kernel holds.
    pub(super) fn changed(&mut self, key: SubnetKey, before: NetState) {
        self.before.entry(key).or_insert(before);
    }

    /// Whether nothing has to be changed.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.again.is_empty() && !self.traffic
    }

    /// All peers that have to be looked after.
    pub(super) fn keys(&self) -> BTreeSet<SubnetKey> {
        self.before.keys().chain(&self.again).copied().collect()
    }
}
