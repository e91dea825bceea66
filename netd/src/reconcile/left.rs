//! What led to peers before, and was not taken away as what is to lead there was refused.

use std::collections::BTreeSet;
use std::time::Instant;

use ipnetwork::IpNetwork;
use netstate::{Mac, Op, Plan, Step};

use super::retry::Retry;
use super::work::Work;
use crate::lease::SubnetKey;

/// Peers of which something may be left, and when everything is looked at for its sake.
#[derive(Debug, Default)]
pub(super) struct Left {
    keys: BTreeSet<SubnetKey>,
    retry: Option<Retry>,
}

impl Left {
    /// Whether something of a peer may be left.
    pub(super) fn is_of(&self, key: &SubnetKey) -> bool {
        self.keys.contains(key)
    }
}

impl Work {
    /// Notes that something of these peers may be left: a round that comes soon, later each time, takes
    /// it away.
    pub(super) fn leave(&mut self, keys: impl IntoIterator<Item = SubnetKey>) {
        let retry = Retry::after(self.left.retry.as_ref(), String::new(), Instant::now());
        self.next_round = self.next_round.min(retry.due);
        self.left.keys.extend(keys);
        self.left.retry = Some(retry);
    }

    /// Applies a change of peers, and says what failed first. Where routes change, what led there before
    /// goes once they have.
    pub(super) fn apply_change(&mut self, mut plan: Plan) -> Option<String> {
        let last = plan.steps.iter().rposition(|step| matches!(step.op, Op::AddRoute(_)));
        let old = last.map(|last| plan.steps.split_off(last + 1)).unwrap_or_default();
        let failed = self.apply_plan(&plan);
        if failed.is_some() || old.is_empty() {
            return failed;
        }
        // Sent with the routes it would go though one of them is refused.
        self.apply_plan(&Plan { steps: old })
    }

    /// Takes away what led to peers before, in a round, but for what may lead to one that is refused:
    /// its route may go the old way still.
    pub(super) fn take_away(&mut self, old: Vec<Step>) -> Result<(), String> {
        let refused = self.peers.iter().filter(|(_, entry)| entry.is_refused());
        let refused: BTreeSet<SubnetKey> = refused.map(|(key, _)| *key).collect();
        let nets: Vec<IpNetwork> = refused.iter().flat_map(SubnetKey::networks).collect();
        let used: BTreeSet<Mac> = old.iter().filter_map(|step| next_hop(&step.op, &nets)).collect();
        let is_used = |op: &Op| {
            let leads_on = matches!(op, Op::DelFdb(entry) if used.contains(&entry.mac));
            leads_on || next_hop(op, &nets).is_some()
        };
        let (kept, gone): (Vec<_>, Vec<_>) = old.into_iter().partition(|step| is_used(&step.op));
        self.left.keys.clear();
        if kept.is_empty() {
            self.left.retry = None;
        } else {
            self.leave(refused);
        }
        self.apply_plan(&Plan { steps: gone }).map_or(Ok(()), Err)
    }
}

/// The link-layer address of a neighbour that goes, where it is the next hop to one of these networks.
fn next_hop(op: &Op, nets: &[IpNetwork]) -> Option<Mac> {
    let Op::DelNeigh(neigh) = op else { return None };
    nets.iter().any(|net| net.contains(neigh.ip)).then_some(neigh.mac)
}
