//! What a change of our key means. Pure.

use super::Status;
use crate::lease::{Held, LeaseValue};
use crate::store::Change;

/// How our key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lease) enum Standing {
    /// It is ours.
    Ours,
    /// It is not there.
    Absent,
    /// Somebody else wrote it, or what is in its way.
    Other(String),
}

impl Standing {
    /// As others are told.
    pub(super) fn status(&self, held: &Held) -> Status {
        match self {
            Self::Ours => Status::Held(held.clone()),
            Self::Other(reason) => Status::Lost { reason: reason.clone() },
            Self::Absent => Status::Lost { reason: "its key was deleted".to_owned() },
        }
    }

    /// What a change of our key means. A lease that an administrator wrote anew without a lease of
    /// the store's, with our address in it, is ours and has become a reservation.
    pub(super) fn of(held: &Held, change: &Change) -> Self {
        let Change::Put(entry) = change else { return Self::Absent };
        if entry.session.is_some() && entry.session == held.session {
            return Self::Ours;
        }
        match (LeaseValue::decode(&entry.value), entry.session) {
            (Ok(value), None) if value.public_ip == held.value.public_ip => Self::Ours,
            (Ok(value), Some(session)) if value.public_ip == held.value.public_ip => {
                Self::Other(format!(
                    "another agent with this host's address {} leased it anew (lease {session})",
                    value.public_ip
                ))
            }
            (Ok(value), _) => Self::Other(format!("the host at {} has it", value.public_ip)),
            (Err(error), _) => Self::Other(format!("its key was overwritten ({error})")),
        }
    }
}

#[cfg(test)]
mod tests;
