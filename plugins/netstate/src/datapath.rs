//! What can hold network state: the kernel, or the simulation of it.

use crate::plan::Plan;
use crate::report::Report;
use crate::scope::Scope;
use crate::state::Observed;

/// Somewhere a plan can be applied.
pub trait Datapath {
    /// Why something failed.
    type Error: std::error::Error;

    /// Reads what is in the scope.
    ///
    /// # Errors
    /// Where the state cannot be read; what is absent is not an error.
    fn observe(&mut self, scope: &Scope) -> Result<Observed, Self::Error>;

    /// Applies the steps in order and stops at the first failure; nothing is undone by itself
    /// ([`Report::undo`] does that). Removals go on past failures.
    fn apply(&mut self, plan: &Plan) -> Report<Self::Error>;
}
