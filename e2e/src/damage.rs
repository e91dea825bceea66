//! What somebody does to what netd has made.

use std::fmt;

/// One damage.
#[derive(Debug, Clone, Copy)]
pub struct Damage {
    /// The kind of object.
    pub kind: &'static str,
    /// What becomes of it.
    pub what: &'static str,
    /// The commands.
    pub script: &'static str,
}

/// One of these.
#[must_use]
pub const fn of(kind: &'static str, what: &'static str, script: &'static str) -> Damage {
    Damage { kind, what, script }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.kind, self.what)
    }
}
