//! An ordered list of changes, and how it is computed.
//!
//! The five questions differ only in what is taken to be there, what may go, and how much is
//! compared; one planner answers them all. Which step comes before which is in module `order`.

mod build;
pub(crate) mod compare;
mod neighs;
mod order;
mod planner;
mod remove;
mod room;
#[cfg(test)]
mod tests;
mod wireguard;

use compare::Rigour;
use order::arrange;
use planner::{Owned, Planner};

use crate::op::{Mode, Step};
use crate::scope::Scope;
use crate::state::{Desired, Observed, State};

/// Changes in the order in which they must be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Makes what is this attachment's own: that something is there already is an error.
    ///
    /// Loopback and physical links (an empty kind) are never made, only set. A veth pair is made
    /// in one step in the namespace that sorts first.
    #[must_use]
    pub fn create(desired: &Desired) -> Self {
        Self::make(desired, Mode::Fresh)
    }

    /// Makes what is shared: what is there already is fine if it is what is wanted. Nothing is
    /// looked at before, so parallel plans for the same things cannot race.
    #[must_use]
    pub fn ensure(desired: &Desired) -> Self {
        Self::make(desired, Mode::Ensure)
    }

    /// Takes away what [`Plan::create`] makes, in the reverse order. What is on a link that goes is
    /// not named, and of a veth only the end that sorts first. Tables and sysctls stay, and so do
    /// loopback and physical links with what was set of them.
    #[must_use]
    pub fn remove(desired: &Desired) -> Self {
        let mut there = desired.0.clone();
        let spaces: Vec<_> = there.iter().map(|(ns, _)| ns.clone()).collect();
        for ns in spaces {
            there.ns_mut(ns).tables.clear();
        }
        let nothing = State::default();
        let mut planner =
            Planner::new(there, &nothing, Owned::Everything, Rigour::Exact, Mode::Fresh);
        planner.remove_unwanted();
        arrange(planner.into_steps())
    }

    /// What is wanted and not there, or there and different, as the changes that would put it
    /// right: what CHECK asks. Anything else that is there is no error, and an attribute that is
    /// `None` (or `false`: up, promiscuous) is not compared.
    #[must_use]
    pub fn missing(observed: &Observed, desired: &Desired) -> Self {
        Self::compare(observed, desired, Owned::Nothing, Rigour::Contained)
    }

    /// The changes from what is there to what is wanted, removals too, but only of what is in the
    /// scope. What can be changed in place is; what dies with a link that must be made anew, or
    /// that goes down, is made again. Routes and addresses that the kernel made by itself stay.
    #[must_use]
    pub fn between(observed: &Observed, desired: &Desired, scope: &Scope) -> Self {
        Self::compare(observed, desired, Owned::Scope(scope), Rigour::Exact)
    }

    /// The changes from what was made before, all of it ours, to what is wanted now. Nothing is
    /// looked at: the price depends on these two alone, not on what else there is.
    #[must_use]
    pub fn update(before: &Desired, desired: &Desired) -> Self {
        let there = Observed(before.0.clone());
        Self::compare(&there, desired, Owned::Everything, Rigour::Exact)
    }

    /// Whether nothing has to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds the steps of another plan after these.
    pub fn extend(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    fn make(desired: &Desired, mode: Mode) -> Self {
        let there = State::default();
        let mut planner = Planner::new(there, &desired.0, Owned::Nothing, Rigour::Contained, mode);
        planner.build_wanted();
        arrange(planner.into_steps())
    }

    fn compare(observed: &Observed, desired: &Desired, owned: Owned<'_>, rigour: Rigour) -> Self {
        let there = observed.0.clone();
        let mut planner = Planner::new(there, &desired.0, owned, rigour, Mode::Ensure);
        planner.remove_unwanted();
        planner.build_wanted();
        arrange(planner.into_steps())
    }
}
