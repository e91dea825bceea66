//! How much one client, and all together, may have under way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Turns to be taken. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    each: usize,
    all: usize,
    taken: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    of: Turns,
    client: IpAddr,
}

impl Turns {
    /// So many for each client, and for all.
    pub(super) fn new(each: usize, all: usize) -> Self {
        Self { each, all, taken: Arc::default() }
    }

    /// None where the client, or all together, have theirs.
    pub(super) fn take(&self, client: IpAddr) -> Option<Turn> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.all {
            return None;
        }
        let own = taken.entry(client).or_default();
        if *own >= self.each {
            return None;
        }
        *own += 1;
        Some(Turn { of: self.clone(), client })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_has_its_turns_leaves_those_of_others() {
        let turns = Turns::new(2, 3);
        let [one, other] = [[10, 0, 0, 2], [10, 0, 0, 3]].map(IpAddr::from);
        let held = [turns.take(one), turns.take(one)];
        assert!(held.iter().all(Option::is_some));
        assert!(turns.take(one).is_none());
        let last = turns.take(other);
        assert!(last.is_some());
        assert!(turns.take(other).is_none(), "all are taken");
        drop(held);
        assert!(turns.take(one).is_some());
    }
}
