//! One peer.

use netstate::NetState;

use super::super::places::{Claim, Place};
use super::super::retry::Retry;
use crate::backend::UnusablePeer;
use crate::lease::Peer;

/// A peer.
#[derive(Debug)]
pub(in crate::reconcile) struct Entry {
    pub(in crate::reconcile) peer: Peer,
    /// What the backend leads to it by, or why it cannot.
    pub(super) found: Result<NetState, UnusablePeer>,
    /// Why it is refused for another peer's sake.
    pub(super) refused: Option<UnusablePeer>,
    pub(super) retry: Option<Retry>,
}

impl Entry {
    pub(super) fn claim(&self) -> Claim {
        (self.peer.revision, self.peer.subnet)
    }

    /// What is to lead to it; none where it cannot be used.
    pub(super) fn wanted(&self) -> Option<&NetState> {
        self.found.as_ref().ok().filter(|_| self.refused.is_none())
    }

    /// Whether the kernel has refused what is to lead to it.
    pub(in crate::reconcile) fn is_refused(&self) -> bool {
        self.retry.is_some()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.wanted().into_iter().flat_map(Place::all)
    }

    pub(super) fn unusable(&self) -> Option<&UnusablePeer> {
        self.found.as_ref().err().or(self.refused.as_ref())
    }

    /// What is wanted in a place.
    pub(in crate::reconcile) fn at(&self, place: Place) -> NetState {
        self.wanted().map_or_else(NetState::default, |state| Place::only(state, |p| p == place))
    }

    /// Whether the backend finds the same of it.
    pub(in crate::reconcile) fn is_found(&self, found: &Result<NetState, UnusablePeer>) -> bool {
        self.found == *found
    }
}
