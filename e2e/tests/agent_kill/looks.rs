//! When to look.

use std::time::{Duration, Instant};

/// Between looks.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// When to look again: later each time, as a look costs more than what is looked at.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    last: Option<(Instant, Duration)>,
}

impl Looks {
    pub(crate) fn is_due(&mut self) -> bool {
        let (last, pause) = match self.last {
            Some(last) => last,
            None => (Instant::now(), Duration::ZERO),
        };
        let due = last.elapsed() >= pause;
        if due {
            let next = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.last = Some((Instant::now(), next));
        }
        due
    }
}
