//! Why a store did not do what it was asked for.

use std::fmt;

/// What was asked for, and why it was not done.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct Error {
    /// As in "list /coreos.com/network/subnets".
    pub action: String,
    /// Why not.
    #[source]
    pub fault: Fault,
}

/// Why a store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody answers; trying again later makes sense.
    #[error("{0}")]
    Unreachable(String),
    /// The user may not do this.
    #[error(
        "etcd's user has no right to it ({0}): grant it with `etcdctl role grant-permission`, or \
         give another --etcd-username"
    )]
    PermissionDenied(String),
    /// The name or the password is wrong, or one is needed.
    #[error("{0}")]
    Unauthenticated(String),
    /// The session has ended.
    #[error("session {0} has ended")]
    SessionGone(super::Session),
    /// What was given makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The store answers with an error.
    #[error("{0}")]
    Refused(String),
    /// The file of a local store.
    #[error("{0}")]
    File(String),
}

impl Error {
    pub(crate) fn new(action: impl fmt::Display, fault: Fault) -> Self {
        Self { action: action.to_string(), fault }
    }

    /// Whether the same may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.fault, Fault::Unreachable(_))
    }

    /// Whether the user's rights are the reason.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        matches!(self.fault, Fault::PermissionDenied(_))
    }
}
