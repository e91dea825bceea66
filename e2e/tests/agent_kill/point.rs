//! One phase that is cut at one place.

use std::fmt;

use e2e::points::How;

use crate::agent::FILES;
use crate::phase::Phase;

/// Where a phase is cut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// The nth place of a kind that crate `kernel` counts (module `inject`), from 0.
    Place(String, usize),
    /// The nth system call of that name about a file, by the main thread, from 1.
    Call(String, usize),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) phase: Phase,
    pub(crate) at: At,
    pub(crate) how: How,
}

/// What is done to a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    Nothing,
    /// `NETD_INJECT`.
    Inject(String),
    /// Options of strace.
    Strace(Vec<String>),
}

/// Options of strace for calls about what the agent writes.
pub(crate) fn about_files() -> Vec<String> {
    FILES.iter().flat_map(|file| ["-P".to_owned(), (*file).to_owned()]).collect()
}

impl At {
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Place(kind, _) | Self::Call(kind, _) => kind,
        }
    }

    pub(crate) fn is_of_store(&self) -> bool {
        matches!(self.kind(), "request" | "answer")
    }

    pub(crate) fn number(&self) -> usize {
        match self {
            Self::Place(_, number) | Self::Call(_, number) => *number,
        }
    }
}

impl Point {
    pub(crate) fn cut(&self) -> Cut {
        match &self.at {
            At::Place(kind, nth) => Cut::Inject(self.how.wish(kind, *nth)),
            At::Call(name, nth) => {
                let mut options = if name == "bind" { Vec::new() } else { about_files() };
                options.extend(self.how.options(name, *nth));
                Cut::Strace(options)
            }
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, at, how } = self;
        write!(f, "{phase:?}, {at:?}, {how:?}")
    }
}
