//! Transactions: what must hold, what is then written, and what is read with it.

use super::{Entry, Revision, Session};

/// Writes that happen together, if all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// What is written then; no key twice.
    pub writes: Vec<Write>,
    /// Prefix of keys to list in the same transaction, after the writes or in place of them.
    pub list: Option<String>,
}

/// What must hold of a key or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which keys.
    pub target: Target,
    /// What holds for each.
    pub expected: Expected,
}

/// Keys that a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This one.
    Key(String),
    /// All that begin so.
    Prefix(String),
}

/// What is expected of each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// That there is none.
    Absent,
    /// That this revision was the last to change it.
    ChangedBy(Revision),
}

/// A change that a transaction makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key.
        key: String,
        /// What it is to hold.
        value: Vec<u8>,
        /// The session it is to vanish with.
        session: Option<Session>,
    },
    /// Deletes a key; one that is not there is no error.
    Delete(String),
}

/// What came of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the conditions held, and so the writes happened.
    pub committed: bool,
    /// The store's revision after it; where it wrote, the revision of its writes.
    pub revision: Revision,
    /// The keys below [`Txn::list`], as they were then.
    pub listed: Vec<Entry>,
}

impl Txn {
    /// A transaction that does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects that a key does not exist.
    #[must_use]
    pub fn if_absent(mut self, key: impl Into<String>) -> Self {
        let target = Target::Key(key.into());
        self.conditions.push(Condition { target, expected: Expected::Absent });
        self
    }

    /// Expects that no key begins with a prefix.
    #[must_use]
    pub fn if_none_below(mut self, prefix: impl Into<String>) -> Self {
        let target = Target::Prefix(prefix.into());
        self.conditions.push(Condition { target, expected: Expected::Absent });
        self
    }

    /// Expects that a revision was the last to change a key.
    #[must_use]
    pub fn if_unchanged(mut self, key: impl Into<String>, since: Revision) -> Self {
        let target = Target::Key(key.into());
        self.conditions.push(Condition { target, expected: Expected::ChangedBy(since) });
        self
    }

    /// Sets a key.
    #[must_use]
    pub fn put(
        mut self,
        key: impl Into<String>,
        value: impl Into<Vec<u8>>,
        session: Option<Session>,
    ) -> Self {
        self.writes.push(Write::Put { key: key.into(), value: value.into(), session });
        self
    }

    /// Deletes a key.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.writes.push(Write::Delete(key.into()));
        self
    }

    /// Lists the keys below a prefix in the same transaction.
    #[must_use]
    pub fn list(mut self, prefix: impl Into<String>) -> Self {
        self.list = Some(prefix.into());
        self
    }
}

impl Txn {
    /// What it does, for errors: the keys it writes.
    pub(crate) fn action(&self) -> String {
        let keys: Vec<String> = self
            .writes
            .iter()
            .map(|write| match write {
                Write::Put { key, .. } => format!("write {key}"),
                Write::Delete(key) => format!("delete {key}"),
            })
            .collect();
        if keys.is_empty() { "read in a transaction".to_owned() } else { keys.join(" and ") }
    }
}
