//! What the loop has done, in numbers. Whoever wants them looks; nobody is woken by them.

use std::time::{Duration, Instant};

use super::work::Work;

/// What the loop has done since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that the kernel has taken.
    pub applied: u64,
    /// Steps that the kernel has refused, or left undone after one that was.
    pub failed: u64,
    /// Events of the kernel that were heard.
    pub events: u64,
    /// How often events of the kernel were lost, so that everything had to be looked at.
    pub losses: u64,
    /// How often the peers were listed anew, the first time too.
    pub listings: u64,
    /// Looks at everything after which all was well.
    pub rounds: u64,
    /// Looks at everything that failed.
    pub failed_rounds: u64,
    /// How long the first of those took, with which all peers were connected.
    pub first_round: Option<Duration>,
    /// The latest look at everything.
    pub last_round: Option<LastRound>,
}

/// A look at everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRound {
    /// When it ended.
    pub ended: Instant,
    /// How long it took.
    pub took: Duration,
    /// Whether all was well then.
    pub succeeded: bool,
}

impl Work {
    /// Counts something, and wakes nobody.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_if_modified(|counts| {
            change(counts);
            false
        });
    }

    /// Counts a look at everything that has ended now.
    pub(super) fn count_round(&self, began: Instant, succeeded: bool) {
        let ended = Instant::now();
        let took = ended.duration_since(began);
        self.count(|counts| {
            counts.first_round = counts.first_round.or(succeeded.then_some(took));
            counts.rounds += u64::from(succeeded);
            counts.failed_rounds += u64::from(!succeeded);
            counts.last_round = Some(LastRound { ended, took, succeeded });
        });
    }
}
