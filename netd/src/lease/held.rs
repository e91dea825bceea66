//! A lease that this host has.

use std::time::Duration;

use super::{LeaseValue, SubnetKey};
use crate::store::{Revision, Session};

/// A lease that this host has.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The subnet.
    pub subnet: SubnetKey,
    /// What is published with it.
    pub value: LeaseValue,
    /// What it ends with; a reservation has none and never ends.
    pub session: Option<Session>,
    /// How long that lives after a sign of life.
    pub time_to_live: Duration,
    /// The revision that wrote it.
    pub(super) revision: Revision,
    /// Whether our own record stood beside it when it was acquired.
    pub(super) recorded: bool,
}
