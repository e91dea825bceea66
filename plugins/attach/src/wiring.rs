//! Applies plans, and takes them back where one fails.

use kernel::Kernel;
use netstate::{Datapath, Desired, Mode, NsNames, Plan, Report, Scope};

use crate::{Error, Refusal, trace};

/// Plans applied one after another for one attachment. Dropping it leaves what was done.
#[derive(Debug)]
pub struct Wiring<'k> {
    kernel: &'k mut Kernel,
    names: NsNames,
    report: Report<kernel::Error>,
    left: Vec<String>,
}

impl<'k> Wiring<'k> {
    /// Nothing done yet; `names` says how commands in errors name the namespaces.
    #[must_use]
    pub fn new(kernel: &'k mut Kernel, names: NsNames) -> Self {
        Self { kernel, names, report: Report::default(), left: Vec::new() }
    }

    /// What is wired.
    pub fn kernel(&mut self) -> &mut Kernel {
        self.kernel
    }

    /// Applies one more plan.
    ///
    /// # Errors
    /// [`Error::Refused`], after all that was done was taken back, as by [`Wiring::undo`].
    pub fn run(&mut self, plan: &Plan) -> Result<(), Error> {
        trace::commands(plan, &self.names);
        let report = self.kernel.apply(plan);
        let taken_up = self.take_up(report);
        if taken_up.is_err() {
            self.take_back();
        }
        taken_up
    }

    /// Applies a plan of nf_tables changes as one transaction, unless the ruleset has another
    /// generation by now.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`kernel::Kind::Interrupted`] where it has; nothing was changed
    /// then, and what was done before stands.
    pub fn run_at(&mut self, plan: &Plan, generation: u32) -> Result<(), Error> {
        trace::commands(plan, &self.names);
        let report = self.kernel.apply_at(plan, generation);
        self.take_up(report)
    }

    /// Applies a plan of nf_tables changes that are shared with others and stay.
    ///
    /// # Errors
    /// [`Error::Refused`]; nothing was changed then, and what was done before stands.
    pub fn run_shared(&mut self, plan: &Plan) -> Result<(), Error> {
        let mut report = self.kernel.apply(plan);
        report.done.clear();
        self.take_up(report)
    }

    /// Takes back what was done; returns what could not be, by a failed [`Wiring::run`] too.
    /// Shared objects stay: others may use them already.
    pub fn undo(&mut self) -> Vec<String> {
        self.take_back();
        std::mem::take(&mut self.left)
    }

    /// What was done and what the kernel chose.
    #[must_use]
    pub fn report(&self) -> &Report<kernel::Error> {
        &self.report
    }

    fn take_up(&mut self, report: Report<kernel::Error>) -> Result<(), Error> {
        self.report.merge(report);
        match self.report.failed.take() {
            None => Ok(()),
            Some((step, source)) => {
                let step = step.command(&self.names);
                Err(Error::Refused { step, source: Refusal(source) })
            }
        }
    }

    fn take_back(&mut self) {
        self.report.done.retain(|d| d.step.mode == Mode::Fresh);
        let plan = self.report.undo();
        self.report.done.clear();
        self.left.extend(remove(self.kernel, &plan, &self.names));
    }
}

/// Applies removals to the end, whatever fails; returns the commands that failed, with reasons.
pub fn remove(kernel: &mut Kernel, plan: &Plan, names: &NsNames) -> Vec<String> {
    trace::commands(plan, names);
    let mut left = Vec::new();
    let mut rest = plan.clone();
    while !rest.is_empty() {
        let report = kernel.apply(&rest);
        let Some((step, error)) = report.failed else { break };
        left.push(format!("{}: {}", step.command(names), Refusal(error)));
        let at = rest.steps.iter().position(|s| *s == step).map_or(rest.steps.len(), |i| i + 1);
        rest.steps.drain(..at);
    }
    left
}

/// The commands that would repair what differs from what there should be; empty is right.
///
/// # Errors
/// [`Error::Kernel`] where the state cannot be read.
pub fn missing(
    kernel: &mut Kernel,
    desired: &Desired,
    names: &NsNames,
) -> Result<Vec<String>, Error> {
    let observed = kernel.observe(&Scope::of(desired))?;
    let plan = Plan::missing(&observed, desired);
    Ok(plan.steps.iter().map(|step| step.command(names)).collect())
}
