//! Applying a plan: runs of steps of one namespace and family, sent together.

mod devconf;
mod ensure;
mod generic;
mod group;
mod link;
mod nft;
mod replace;
mod route;
mod sysctl;
mod wireguard;

use netstate::{Done, Mode, Op, Plan, Report, Step};
use rustix::io::Errno;

use crate::Kernel;
use crate::error::{Error, Kind, Refusal};

/// Applies the steps in order.
pub(crate) fn run(kernel: &mut Kernel, plan: &Plan) -> Report<Error> {
    let teardown = is_teardown(plan);
    let mut work = Work { kernel, report: Report::default(), teardown, stopped: false };
    let mut rest = plan.steps.as_slice();
    while let Some(first) = rest.first() {
        let kind = family(&work, first);
        let together = |s: &&Step| s.ns == first.ns && family(&work, s) == kind;
        let (steps, after) = rest.split_at(rest.iter().take_while(together).count());
        match kind {
            Family::Route => route::run(&mut work, &first.ns, steps),
            Family::Sysctl => sysctl::run(&mut work, &first.ns, steps),
            Family::Netfilter => nft::run(&mut work, &first.ns, steps),
            Family::WireGuard => wireguard::run(&mut work, &first.ns, steps),
        }
        if work.stopped {
            break;
        }
        rest = after;
    }
    link::complete_facts(&mut work);
    work.report
}

/// A plan on its way.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) kernel: &'a mut Kernel,
    pub(crate) report: Report<Error>,
    pub(crate) teardown: bool,
    /// No further steps.
    pub(crate) stopped: bool,
}

impl Work<'_> {
    /// The kernel has acknowledged a step.
    pub(crate) fn done(&mut self, step: &Step, changed: bool, undo: Option<Op>) {
        self.report.done.push(Done { step: step.clone(), changed, undo });
    }

    /// The kernel's word on a step was not heard: it may have been done, and has to be undone.
    pub(crate) fn perhaps_done(&mut self, step: &Step) {
        if step.mode == Mode::Fresh && !step.op.is_removal() {
            self.done(step, true, None);
        }
    }

    /// A step has failed; the first failure is the one reported.
    pub(crate) fn fail(&mut self, step: &Step, error: Error) {
        if self.report.failed.is_none() {
            self.report.failed = Some((step.clone(), error));
        }
        if !self.teardown && !step.op.is_removal() {
            self.stopped = true;
        }
    }

    /// A step was answered.
    pub(crate) fn answered(&mut self, step: &Step, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.done(step, true, None),
            Err(refusal) if step.op.is_removal() && is_gone(&refusal) => {
                self.done(step, false, None);
            }
            Err(refusal) => match self.put_in_place(step, refusal) {
                Ok(changed) => self.done(step, changed, None),
                Err(error) => self.fail(step, error),
            },
        }
    }

    /// What is refused for what is there already; false where that is right.
    fn put_in_place(&mut self, step: &Step, refusal: Refusal) -> Result<bool, Error> {
        let is_there = step.mode != Mode::Fresh && refusal.is(Errno::EXIST);
        match (&step.op, step.mode) {
            (Op::AddRoute(route), Mode::Replace) if is_there || replace::is_led_away(&refusal) => {
                replace::route(self, step, route, refusal)
            }
            _ if is_there => ensure::same(self.kernel, step).map(|()| false),
            _ => Err(Error::refused(step.to_string(), refusal)),
        }
    }

    /// A step could not be sent, for want of a link.
    pub(crate) fn no_link(&mut self, step: &Step, name: &netstate::LinkName) {
        if step.op.is_removal() {
            self.done(step, false, None);
        } else {
            let why = format!("there is no link {name}");
            self.fail(step, Error::found(step.to_string(), Kind::NoDevice, why));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Route,
    Netfilter,
    Sysctl,
    WireGuard,
}

fn family(work: &Work<'_>, step: &Step) -> Family {
    match &step.op {
        Op::SetSysctl { .. } if devconf::of_newborn(work, step).is_some() => Family::Route,
        Op::AddLink { .. }
        | Op::SetLink { .. }
        | Op::DelLink(_)
        | Op::AddAddr(_)
        | Op::DelAddr(_)
        | Op::AddRoute(_)
        | Op::DelRoute(_)
        | Op::AddNeigh(_)
        | Op::DelNeigh(_)
        | Op::AddFdb(_)
        | Op::DelFdb(_)
        | Op::AddRule(_)
        | Op::DelRule(_) => Family::Route,
        Op::AddWgPeer(_) | Op::DelWgPeer(_) => Family::WireGuard,
        Op::SetSysctl { .. } => Family::Sysctl,
        Op::AddTable(_)
        | Op::DelTable(_)
        | Op::AddChain { .. }
        | Op::AddSet { .. }
        | Op::InsertRule { .. }
        | Op::DelRuleOf { .. }
        | Op::FlushChain(_)
        | Op::AddElement { .. }
        | Op::DelElement { .. } => Family::Netfilter,
    }
}

/// Teardown and undo go on to their end: they take away or set back, and make nothing.
fn is_teardown(plan: &Plan) -> bool {
    let sets = |op: &Op| matches!(op, Op::SetLink { .. } | Op::SetSysctl { .. });
    plan.steps.iter().any(|s| s.op.is_removal())
        && plan.steps.iter().all(|s| s.op.is_removal() || sets(&s.op))
}

fn is_gone(refusal: &Refusal) -> bool {
    [Errno::NOENT, Errno::NODEV, Errno::NXIO, Errno::ADDRNOTAVAIL, Errno::SRCH]
        .into_iter()
        .any(|errno| refusal.is(errno))
}

#[cfg(test)]
mod tests;
