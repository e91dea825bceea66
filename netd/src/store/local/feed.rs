//! The last changes, for those who watch.

use std::collections::VecDeque;
use std::time::Duration;

use crate::store::{Change, Event, Position, Revision};

/// How many revisions are remembered.
const REMEMBERED: usize = 4096;

/// The last changes, and what else is known without reading the file.
pub(super) struct Feed {
    history: u64,
    revision: Revision,
    /// When the next session ends, since 1970.
    next_end: Option<Duration>,
    /// Changes up to here are not remembered.
    forgotten: Revision,
    changes: VecDeque<(Revision, Vec<Change>)>,
}

/// What happened since a revision.
pub(super) enum Since {
    Nothing {
        next_end: Option<Duration>,
    },
    Changes {
        revision: Revision,
        changes: Vec<Change>,
    },
    /// The watch ends so.
    Ended(Event),
}

impl Feed {
    pub(super) fn new(history: u64, revision: Revision, next_end: Option<Duration>) -> Self {
        Self { history, revision, next_end, forgotten: revision, changes: VecDeque::new() }
    }

    pub(super) fn position(&self) -> Position {
        Position { history: self.history, ..self.revision.into() }
    }

    pub(super) fn next_end(&self) -> Option<Duration> {
        self.next_end
    }

    pub(super) fn push(
        &mut self,
        revision: Revision,
        next_end: Option<Duration>,
        changes: Vec<Change>,
    ) {
        self.next_end = next_end;
        if revision > self.revision {
            self.revision = revision;
            self.changes.push_back((revision, changes));
        }
        if self.changes.len() > REMEMBERED
            && let Some((revision, _)) = self.changes.pop_front()
        {
            self.forgotten = revision;
        }
    }

    pub(super) fn since(&self, after: &Position, prefix: &str) -> Since {
        if let Some(reason) = after.contradiction(self.revision, self.history) {
            return Since::Ended(Event::Anew(reason));
        }
        let after = after.revision;
        if after < self.forgotten {
            let reason = format!("changes up to {} are forgotten", self.forgotten);
            return Since::Ended(Event::Resync(reason));
        }
        let new = self.changes.iter().filter(|(revision, _)| *revision > after);
        let changes: Vec<Change> = new
            .flat_map(|(_, changes)| changes)
            .filter(|change| change.key().starts_with(prefix))
            .cloned()
            .collect();
        if changes.is_empty() {
            return Since::Nothing { next_end: self.next_end };
        }
        Since::Changes { revision: self.revision, changes }
    }
}

#[cfg(test)]
mod tests;
