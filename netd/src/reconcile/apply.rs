//! Plans of the host's namespace, made and applied.

use std::time::Instant;

use netstate::{Desired, NetState, Ns, NsNames, Plan, State, Step};

use super::burst::{self, Burst};
use super::work::Work;
use crate::lease::SubnetKey;

/// From one state of the host's to another.
pub(super) fn update(before: NetState, after: NetState) -> Plan {
    let on_host = |content| Desired(State::of(Ns::Host, content));
    Plan::update(&on_host(before), &on_host(after))
}

impl Work {
    /// Makes the changes of a burst in one plan; where that fails, each by itself.
    pub(super) fn apply(&mut self, burst: &Burst) {
        let changes = burst.changes(&self.peers);
        let plan = burst::together(&changes);
        if plan.is_empty() {
            return;
        }
        let failed = self.apply_change(plan);
        if let ([(key, ..)], Some(_)) | ([(key, ..)], None) = (changes.as_slice(), &failed) {
            self.note_change(key, failed);
        } else if failed.is_some() {
            for (key, plan) in burst::alone(changes) {
                let failed = self.apply_change(plan);
                self.note_change(&key, failed);
            }
        } else {
            changes.iter().for_each(|(key, ..)| self.note(key, None));
        }
    }

    /// Notes what became of a peer's change: of one that failed what led there before may be left.
    fn note_change(&mut self, key: &SubnetKey, failed: Option<String>) {
        if failed.is_some() {
            self.leave([*key]);
        }
        self.note(key, failed);
    }

    /// Notes what became of a peer.
    pub(super) fn note(&mut self, key: &SubnetKey, failed: Option<String>) {
        match failed {
            None => {
                if self.peers.succeeded(key) {
                    tracing::info!(subnet = %key, "peer is connected");
                }
                if self.left.is_of(key) {
                    self.round_soon();
                }
            }
            Some(reason) if self.peers.get(key).is_none() => {
                tracing::warn!(subnet = %key, %reason, "what led to a peer cannot be removed");
                self.round_soon();
            }
            Some(reason) => {
                if self.peers.failed(key, reason.clone(), Instant::now()) {
                    tracing::warn!(subnet = %key, %reason, "peer cannot be connected; trying again");
                }
            }
        }
    }

    /// Applies a plan and says what failed first.
    pub(super) fn apply_plan(&mut self, plan: &Plan) -> Option<String> {
        if tracing::enabled!(tracing::Level::DEBUG) {
            plan.steps.iter().for_each(log_command);
        }
        let applied = self.host.apply(plan);
        if self.touches_shared(plan) {
            self.round_soon();
        }
        let all = plan.steps.len() as u64;
        self.count(|counts| {
            counts.applied += applied.done;
            counts.failed += all.saturating_sub(applied.done);
        });
        applied.failed
    }
}

fn log_command(step: &Step) {
    tracing::debug!(command = %step.command(&NsNames::default()), "apply");
}
