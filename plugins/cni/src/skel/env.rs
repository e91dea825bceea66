//! The environment of a call, as a plain value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Environment variables: those of CNI, and all others, which delegates inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// What is not set here is this process's. It is looked up when it is asked for: a plugin asks
    /// for a few, and there may be hundreds.
    inherits: bool,
    set: BTreeMap<OsString, OsString>,
}

impl Env {
    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self { inherits: true, set: BTreeMap::new() }
    }

    /// A variable; one that is set to nothing counts as missing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<OsString> {
        let value = match self.set.get(OsStr::new(name)) {
            Some(value) => Some(value.clone()),
            None if self.inherits => std::env::var_os(name),
            None => None,
        };
        value.filter(|value| !value.is_empty())
    }

    /// A variable as text, empty if missing. Bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let value = self.get(name).unwrap_or_default();
        value.into_string().unwrap_or_else(|bytes| bytes.to_string_lossy().into_owned())
    }

    /// The same environment with a variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.set.insert(name.into(), value.into());
        self
    }

    /// All variables, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<OsString, OsString> {
        let mut all = BTreeMap::new();
        if self.inherits {
            all.extend(std::env::vars_os());
        }
        all.extend(self.set.clone());
        all
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let set = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { inherits: false, set }
    }
}
