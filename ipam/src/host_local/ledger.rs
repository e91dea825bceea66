//! What is reserved in a directory: which addresses, and by whom.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;

use crate::allocator::Taken;

use super::directory::{Directory, Entry};
use super::error::{Error, Warning};

/// The reservations of a directory, valid as long as its lock is held.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    taken: BTreeSet<IpAddr>,
    owned: BTreeMap<Vec<u8>, BTreeSet<IpAddr>>,
}

impl Ledger {
    /// Reads the directory. Void reservations are removed, with a warning.
    pub(super) fn open(dir: &Directory, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let mut ledger = Self::default();
        for (address, entry) in dir.scan()? {
            match entry {
                Entry::Reserved(content) => ledger.add(address, &content),
                Entry::Foreign => ledger.add_unowned(address),
                Entry::Void(reason) => {
                    let path = dir.join(&address.to_string());
                    match dir.remove(address) {
                        Ok(()) => warnings.push(Warning::VoidReservation { path, reason }),
                        Err(_) => {
                            ledger.add_unowned(address);
                            warnings.push(Warning::StuckReservation { path, reason });
                        }
                    }
                }
            }
        }
        Ok(ledger)
    }

    /// The addresses reserved with exactly this content.
    pub(super) fn reserved_with(&self, content: &[u8]) -> Vec<IpAddr> {
        self.owned.get(content).into_iter().flatten().copied().collect()
    }

    pub(super) fn add(&mut self, address: IpAddr, content: &[u8]) {
        self.taken.insert(address);
        self.owned.entry(content.to_vec()).or_default().insert(address);
    }

    pub(super) fn add_unowned(&mut self, address: IpAddr) {
        self.taken.insert(address);
    }

    pub(super) fn remove(&mut self, address: IpAddr, content: &[u8]) {
        self.taken.remove(&address);
        if let Some(addresses) = self.owned.get_mut(content) {
            addresses.remove(&address);
        }
    }
}

impl Taken for Ledger {
    type Error = Infallible;

    fn first_free(&mut self, first: IpAddr, last: IpAddr) -> Result<Option<IpAddr>, Infallible> {
        self.taken.first_free(first, last)
    }
}
