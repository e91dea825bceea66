//! Why the simulated kernel refuses a step.

/// A step that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{command}")]
pub struct SimError {
    /// The command the step stands for.
    pub command: String,
    /// Why.
    #[source]
    pub fault: Fault,
}

/// Reasons, each after the errno that Linux gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `EEXIST`.
    #[error("it exists already")]
    Exists,
    /// It is there, but is not what was asked for.
    #[error("it exists already and is something else")]
    Differs,
    /// `ENODEV`.
    #[error("no such link")]
    NoLink,
    /// `ENOENT`.
    #[error("no such table, chain, set or sysctl")]
    NotFound,
    /// `ENETDOWN`.
    #[error("the link is down")]
    Down,
    /// `ENETUNREACH`.
    #[error("the gateway is not reachable")]
    Unreachable,
    /// `EBUSY`, with what it is taken by.
    #[error("the link is taken by {0}")]
    Busy(&'static str),
    /// `EINVAL`, with what is wrong.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// `EOPNOTSUPP`, with what cannot be done.
    #[error("not supported: {0}")]
    NotSupported(&'static str),
    /// Asked for with [`Sim::fail_at`](super::Sim::fail_at).
    #[error("injected fault")]
    Injected,
}
