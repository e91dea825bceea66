//! What is wrong with a network configuration.

use std::fmt;

/// One sentence: key, value, remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(String);

impl InvalidConfig {
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    /// `KEY VALUE: WHAT IS WRONG; REMEDY`.
    pub(super) fn of(
        key: &str,
        value: impl fmt::Display,
        wrong: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        Self(format!("{key} {value}: {wrong}; {remedy}"))
    }

    pub(super) fn without_ipv4() -> Self {
        Self::of(
            "EnableIPv4",
            false,
            "leases in etcd have no key without an IPv4 subnet",
            "leave EnableIPv4 out and give a Network, beside IPv6Network if IPv6 is wanted",
        )
    }
}
