//! Plans of what networks and containers have on this host, applied.

use attach::Refusal;
use kernel::Kernel;
use netstate::{Datapath, NsNames, Plan, Step};

/// Applies a plan. Gives the commands that stand for what was changed.
///
/// # Errors
/// The first failure, with its command.
pub(super) fn apply(kernel: &mut Kernel, plan: &Plan) -> Result<Vec<String>, String> {
    let command = |step: &Step| step.command(&NsNames::default());
    let commands: Vec<String> = plan.steps.iter().map(command).collect();
    for command in &commands {
        tracing::debug!(command, "apply");
    }
    match kernel.apply(plan).failed {
        None => Ok(commands),
        Some((step, error)) => Err(format!("{}: {}", command(&step), Refusal(error))),
    }
}
