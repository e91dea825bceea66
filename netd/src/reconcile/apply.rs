//! Plans of the host's namespace, made and applied.

use netstate::{Datapath, Desired, NetState, Ns, NsNames, Plan, State, Step};

use super::work::Work;

/// From one state of the host's to another.
pub(super) fn update(before: NetState, after: NetState) -> Plan {
    Plan::update(&Desired(on_host(before)), &Desired(on_host(after)))
}

/// The content of the host's namespace as a state.
pub(super) fn on_host(content: NetState) -> State {
    let mut state = State::default();
    *state.ns_mut(Ns::Host) = content;
    state
}

impl Work {
    /// Applies a plan and says what failed first.
    pub(super) fn apply_plan(&mut self, plan: &Plan) -> Option<String> {
        if tracing::enabled!(tracing::Level::DEBUG) {
            plan.steps.iter().for_each(log_command);
        }
        let report = self.kernel.apply(plan);
        if self.touches_shared(plan) {
            self.round_soon();
        }
        let (all, applied) = (plan.steps.len() as u64, report.done.len() as u64);
        self.count(|counts| {
            counts.applied += applied;
            counts.failed += all.saturating_sub(applied);
        });
        let (_, error) = report.failed?;
        Some(cni::ErrorChain(&error).to_string())
    }
}

fn log_command(step: &Step) {
    tracing::debug!(command = %step.command(&NsNames::default()), "apply");
}
