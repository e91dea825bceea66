//! Inputs that came together: what changes for which peer.

use std::collections::BTreeSet;

use netstate::{NetState, Op, Plan};
use tokio::sync::oneshot;

use super::apply::update;
use super::peers::{Before, Peers};
use super::places::Place;
use crate::lease::SubnetKey;

/// A peer, with what the kernel holds for it and what it is to hold.
pub(super) type Change = (SubnetKey, NetState, NetState);

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
    pub(super) before: Before,
    /// Peers of which something is gone from the kernel, and is to be put there again.
    pub(super) again: BTreeSet<SubnetKey>,
    /// Somebody changed the table of rules.
    pub(super) traffic: bool,
    /// Somebody changed iptables' FORWARD, or what is accepted there.
    pub(super) forward: bool,
    /// What is to be answered once all is done.
    pub(super) questions: Vec<Question>,
    /// It is over.
    pub(super) stop: bool,
}

impl Burst {
    /// Notes that peers changed; of several changes the first says what the kernel holds.
    pub(super) fn changed(&mut self, before: Before) {
        for (key, state) in before {
            self.before.entry(key).or_insert(state);
        }
    }

    /// Whether nothing has to be changed.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.again.is_empty() && !self.traffic && !self.forward
    }

    /// All peers that have to be looked after: what the kernel holds for each, and what it is to.
    pub(super) fn changes(&self, peers: &Peers) -> Vec<Change> {
        let keys: BTreeSet<SubnetKey> = self.before.keys().chain(&self.again).copied().collect();
        let change = |key: SubnetKey| {
            let gone = self.again.contains(&key);
            let before = self.before.get(&key).filter(|_| !gone).cloned();
            (key, before.unwrap_or_default(), peers.held(&key))
        };
        keys.into_iter().map(change).collect()
    }
}

/// The plan of all changes at once.
pub(super) fn together(changes: &[Change]) -> Plan {
    let mut before = NetState::default();
    changes.iter().for_each(|(_, state, _)| before.join(state.clone()));
    update(before, after(changes))
}

/// The plans of each by itself. None empties a place in which another's entry is by then.
pub(super) fn alone(changes: Vec<Change>) -> Vec<(SubnetKey, Plan)> {
    let kept: BTreeSet<Place> = Place::all(&after(&changes)).collect();
    let is_kept = |op: &Op| Place::emptied_by(op).is_some_and(|place| kept.contains(&place));
    let plan = |(key, before, after)| {
        let mut plan = update(before, after);
        plan.steps.retain(|step| !is_kept(&step.op));
        (key, plan)
    };
    changes.into_iter().map(plan).collect()
}

fn after(changes: &[Change]) -> NetState {
    let mut after = NetState::default();
    changes.iter().for_each(|(_, _, state)| after.join(state.clone()));
    after
}
