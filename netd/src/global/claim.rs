//! Claiming addresses for this host.

mod error;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnetwork::IpNetwork;

use super::blocks::Share;
use super::cluster::Cluster;
use super::record::{Claim, encode};
use super::session::Confirmed;
use super::view::OfNetwork;
use crate::network::Id;
use crate::store::{Change, Error, Followed, Session, Txn};

pub use error::ClaimError;

/// Hosts that claim at the same moment come one after the other.
const ATTEMPTS: usize = 32;

/// How long after an agent has started whoever asks for an address waits for the store's first answer, be it
/// that a try of it fails.
const FIRST_WORD: Duration = Duration::from_secs(2);

/// Whether something was claimed.
pub type Claimed = bool;

impl Cluster {
    /// Sees to it that this host may give out an address of each family, and those that are wanted. Where it
    /// may already, nobody is asked. `used` are the addresses of its containers on the network.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn make_room(
        &self,
        id: &Id,
        used: &BTreeSet<IpAddr>,
        wanted: &[IpAddr],
    ) -> Result<Claimed, ClaimError> {
        self.wait_confirmed().await?;
        let mut claimed = false;
        for ip in wanted {
            // What no container can have is refused where addresses are taken.
            if self.share(id, used, |share| share.can_be_had(*ip) && !share.has(*ip))? {
                self.claim_address(id, *ip, used).await?;
                claimed = true;
            }
        }
        let is_wanted = |v6: bool| wanted.iter().any(|ip| ip.is_ipv6() == v6);
        for v6 in self.share(id, used, |share| share.lacking())? {
            if !is_wanted(v6) {
                self.claim_block(id, used, v6, |share| share.lacking()).await?;
                claimed = true;
            }
        }
        Ok(claimed)
    }

    /// Whether [`Self::make_room`] could do so for one more container, as far as this host knows.
    ///
    /// # Errors
    /// Why not.
    pub fn could_make_room(&self, id: &Id, used: &BTreeSet<IpAddr>) -> Result<(), ClaimError> {
        self.may_allocate()?;
        let full = self.share(id, used, |share| {
            share.lacking().into_iter().find(|v6| share.next(*v6).is_none())
        })?;
        full.map_or(Ok(()), |v6| Err(self.exhausted(id, v6)))
    }

    /// Claims the next block of a family, as long as it is needed: another container here may be faster.
    ///
    /// # Errors
    /// Where there is none, or the store does not do it.
    pub(super) async fn claim_block(
        &self,
        id: &Id,
        used: &BTreeSet<IpAddr>,
        v6: bool,
        needed: impl Fn(&Share<'_>) -> Vec<bool>,
    ) -> Result<(), ClaimError> {
        for _ in 0..ATTEMPTS {
            let next =
                self.share(id, used, |share| needed(share).contains(&v6).then(|| share.next(v6)))?;
            let Some(next) = next else { return Ok(()) };
            let Some(block) = next else { return Err(self.exhausted(id, v6)) };
            if self.claim(id, Some(block), self.0.keys.block(id, block), Txn::new()).await? {
                return Ok(());
            }
        }
        Err(self.exhausted(id, v6))
    }

    /// Claims one address: with its block where nobody has that, else alone, as of a container that moves to
    /// this host. Then nobody else gives it out.
    ///
    /// # Errors
    /// Where a container has it, or a host may have given it to one, or the store does not do it.
    pub(super) async fn claim_address(
        &self,
        id: &Id,
        ip: IpAddr,
        used: &BTreeSet<IpAddr>,
    ) -> Result<(), ClaimError> {
        for _ in 0..ATTEMPTS {
            if self.share(id, used, |share| share.has(ip))? {
                return Ok(());
            }
            self.is_unused(id, ip)?;
            let as_freed = self.as_freed(id, ip)?;
            if let Some(theirs) = self.look(|view| view.of(id)?.addresses.get(&ip).cloned()) {
                self.wait_given_back(id, ip, &theirs, as_freed.clone()).await?;
            }
            let (block, key) = match self.share(id, used, |share| share.free_block_of(ip))? {
                Some(block) => (Some(block), self.0.keys.block(id, block)),
                None => (None, self.0.keys.address(id, ip)),
            };
            if self.claim(id, block, key.clone(), as_freed).await? {
                let left_out = self.wait_left_out(id, ip).await;
                if left_out.is_err() {
                    self.give_back(vec![key]).await?;
                }
                return left_out;
            }
        }
        let host = self.look(|view| {
            let claim = view.of(id).and_then(|of| of.addresses.get(&ip));
            claim.map(|claim| view.name(&claim.value.machine).to_owned()).unwrap_or_default()
        });
        Err(ClaimError::Claimed { ip, host })
    }

    /// One attempt, with conditions of the caller's. Where another was faster, what it has is known then.
    async fn claim(
        &self,
        id: &Id,
        block: Option<IpNetwork>,
        key: String,
        conditions: Txn,
    ) -> Result<bool, ClaimError> {
        let keys = &self.0.keys;
        let network = self.look(|view| {
            let network = view.of(id).and_then(|of| of.network.as_ref());
            network.map(|network| network.changed).ok_or(ClaimError::Gone)
        })?;
        let below = if block.is_some() { keys.blocks(id) } else { keys.addresses(id) };
        let claim = encode(&Claim { machine: self.machine().to_owned(), without: Vec::new() });
        let txn = conditions
            .if_unchanged(keys.network(id), network)
            .if_absent(&key)
            .put(key, claim, Some(self.wait_session().await?))
            .list(below);
        let outcome = self.commit(txn).await?;
        if !outcome.committed {
            if self.0.store.get(&keys.network(id)).await?.is_none() {
                return Err(ClaimError::Gone);
            }
            let theirs = outcome.listed.into_iter().map(Change::Put).collect();
            self.take(&Followed::Changed(theirs));
        }
        Ok(outcome.committed)
    }

    /// Gives back what is claimed.
    ///
    /// # Errors
    /// Where the store does not do it.
    pub(super) async fn give_back(&self, keys: Vec<String>) -> Result<(), Error> {
        let txn = keys.into_iter().fold(Txn::new(), Txn::delete);
        if txn.writes.is_empty() { Ok(()) } else { self.commit(txn).await.map(drop) }
    }

    /// Looks at this host's share of a network.
    ///
    /// # Errors
    /// [`ClaimError::Gone`].
    pub fn share<T>(
        &self,
        id: &Id,
        used: &BTreeSet<IpAddr>,
        look: impl FnOnce(&Share<'_>) -> T,
    ) -> Result<T, ClaimError> {
        self.look(|view| {
            let share = view.of(id).and_then(|of| Share::new(of, self.machine(), used));
            share.map(|share| look(&share)).ok_or(ClaimError::Gone)
        })
    }

    /// Whether new addresses may be given out.
    ///
    /// # Errors
    /// [`ClaimError::Unconfirmed`].
    pub fn may_allocate(&self) -> Result<(), ClaimError> {
        let confirmed = self.0.confirmed.borrow();
        match confirmed.may_allocate() {
            true => Ok(()),
            false => Err(ClaimError::Unconfirmed { reason: confirmed.trouble.clone() }),
        }
    }

    /// The same; an agent that has just started is given a moment.
    async fn wait_confirmed(&self) -> Result<(), ClaimError> {
        self.wait_first_word(Confirmed::may_allocate).await;
        self.may_allocate()
    }

    /// What is claimed lives by it. Waits as [`Self::wait_confirmed`]: an agent remembers that it may give out
    /// addresses, and must have asked the store before it can have more.
    pub(super) async fn wait_session(&self) -> Result<Session, ClaimError> {
        self.wait_first_word(|now| now.session.is_some()).await;
        self.session()
    }

    async fn wait_first_word(&self, is_said: impl Fn(&Confirmed) -> bool) {
        let mut confirmed = self.confirmed();
        let said = confirmed.wait_for(is_said);
        // What was not said in time is refused.
        let _ = tokio::time::timeout_at(self.0.since + FIRST_WORD, said).await;
    }

    pub(super) fn session(&self) -> Result<Session, ClaimError> {
        let confirmed = self.0.confirmed.borrow();
        let reason = || ClaimError::Unconfirmed { reason: confirmed.trouble.clone() };
        confirmed.session.ok_or_else(reason)
    }

    fn exhausted(&self, id: &Id, v6: bool) -> ClaimError {
        let family = if v6 { "IPv6" } else { "IPv4" };
        let hosts = self.look(|view| {
            let blocks = view.of(id).map(|of: &OfNetwork| &of.blocks);
            let of_family = blocks.into_iter().flatten().filter(|(block, _)| block.is_ipv6() == v6);
            let mut count = std::collections::BTreeMap::<String, usize>::new();
            for (_, claim) in of_family {
                *count.entry(view.name(&claim.value.machine).to_owned()).or_default() += 1;
            }
            let each = count.into_iter().map(|(host, count)| format!("{host} {count}"));
            each.collect::<Vec<_>>().join(", ")
        });
        ClaimError::Exhausted { family, hosts }
    }
}
