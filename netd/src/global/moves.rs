//! Addresses that go from one host to another: those of a host's block that another one claims, and single ones.
//!
//! The claim alone does not do: until its owner has heard of it, it may give the address to a container. So
//! it writes beside its block which addresses it gives to nobody any more, and whoever claims one waits for
//! that. Of an owner that gives no sign of life it waits in vain, and does not: it may run, and what it may have given out
//! is claimed by nobody else, unless an administrator has freed it ([`super::freed`]).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::claim::ClaimError;
use super::cluster::Cluster;
use super::record::{Claim, EndpointRecord, encode};
use super::view::{Kept, OfNetwork, View};
use crate::network::Id;
use crate::store::Txn;

/// For so long an owner is waited for: it answers in milliseconds, unless it is cut off.
const PATIENCE: Duration = Duration::from_secs(2);

impl Cluster {
    /// Waits until the owner of the block that an address is of gives it to nobody any more.
    ///
    /// # Errors
    /// Where it does not, or has given it to a container.
    pub(super) async fn wait_left_out(&self, id: &Id, ip: IpAddr) -> Result<(), ClaimError> {
        let mut news = self.news();
        let waiting = async {
            loop {
                news.borrow_and_update();
                let Some(owner) = self.look(|view| owner(view, id, ip, self.machine())) else {
                    return Ok(());
                };
                self.is_unused(id, ip)?;
                // Who tells it is there as long as this.
                if news.changed().await.is_err() {
                    return Err(ClaimError::Silent { ip, host: owner });
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(left_out) => left_out,
            Err(_) => {
                let host = self.look(|view| owner(view, id, ip, self.machine()));
                host.map_or(Ok(()), |host| Err(ClaimError::Silent { ip, host }))
            }
        }
    }

    /// Asks the host that has a single address to give it back, as it does where no container of it has the
    /// address, and waits for that. Of one that is down the address is taken, as it was freed.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) async fn wait_given_back(
        &self,
        id: &Id,
        ip: IpAddr,
        theirs: &Kept<Claim>,
        as_freed: Txn,
    ) -> Result<(), ClaimError> {
        let (keys, owner) = (&self.0.keys, &theirs.value.machine);
        if !self.look(|view| view.is_live(owner)) {
            let key = keys.address(id, ip);
            self.commit(as_freed.if_unchanged(&key, theirs.changed).delete(&key)).await?;
            return Ok(());
        }
        let claim = encode(&Claim { machine: self.machine().to_owned(), without: Vec::new() });
        let wish = keys.wanted(id, ip);
        self.commit(Txn::new().put(&wish, claim, Some(self.wait_session().await?))).await?;
        let mut news = self.news();
        let waiting = async {
            loop {
                news.borrow_and_update();
                let there = |view: &View| view.of(id)?.addresses.get(&ip).map(|it| it.changed);
                if self.look(there) != Some(theirs.changed) {
                    return Ok(());
                }
                self.is_unused(id, ip)?;
                // Who tells it is there as long as this.
                let _ = news.changed().await;
            }
        };
        let given_back = tokio::time::timeout(PATIENCE, waiting).await;
        self.give_back(vec![wish]).await?;
        given_back.unwrap_or_else(|_| {
            let host = self.look(|view| view.name(owner).to_owned());
            Err(ClaimError::Claimed { ip, host })
        })
    }

    /// Whether others have claimed addresses of this host's blocks, and were not told yet that nobody gets
    /// them here.
    #[must_use]
    pub fn owes_answers(&self, id: &Id, used: &BTreeSet<IpAddr>) -> bool {
        self.share(id, used, |share| !share.to_leave_out().is_empty()).unwrap_or(false)
    }

    /// Tells them. Nothing may be taken of these addresses any more; those that are `used` stay this host's.
    ///
    /// # Errors
    /// Where the store does not do it.
    pub async fn leave_out(&self, id: &Id, used: &BTreeSet<IpAddr>) -> Result<(), ClaimError> {
        let owed = self.share(id, used, |share| share.to_leave_out())?;
        if owed.is_empty() {
            return Ok(());
        }
        let session = self.session()?;
        for (block, changed, without) in owed {
            let key = self.0.keys.block(id, block);
            let claim = encode(&Claim { machine: self.machine().to_owned(), without });
            // Where it was changed meanwhile, that is heard of, too.
            self.commit(Txn::new().if_unchanged(&key, changed).put(&key, claim, Some(session)))
                .await?;
        }
        Ok(())
    }

    /// The conditions on which an address is claimed that belongs to a host which is down: that it was freed, and
    /// the host is not back. Of all others there are none.
    ///
    /// # Errors
    /// [`ClaimError::Away`].
    pub(super) fn as_freed(&self, id: &Id, ip: IpAddr) -> Result<Txn, ClaimError> {
        self.look(|view| {
            let of = view.of(id).ok_or(ClaimError::Gone)?;
            let is_down = |machine: &&str| *machine != self.machine() && !view.is_live(machine);
            let Some(machine) = of.claimant(ip).filter(is_down) else { return Ok(Txn::new()) };
            let live = Txn::new().if_absent(self.0.keys.live(machine));
            let freed = of.freed.get(&ip).filter(|_| of.is_freed_of(ip, machine));
            match freed {
                Some(freed) => Ok(live.if_unchanged(self.0.keys.freed(id, ip), freed.changed)),
                None if is_left_out(of, ip, machine) => Ok(live),
                None => Err(ClaimError::Away { ip, host: view.name(machine).to_owned() }),
            }
        })
    }

    /// Whether no container of another host has an address, as far as this host knows.
    pub(super) fn is_unused(&self, id: &Id, ip: IpAddr) -> Result<(), ClaimError> {
        self.look(|view| {
            let of = view.of(id).ok_or(ClaimError::Gone)?;
            let has = |it: &&EndpointRecord| it.machine != self.machine() && it.has(ip);
            let Some(it) = of.endpoints.values().map(|it| &it.value).find(has) else {
                return Ok(());
            };
            let (container, host) = (it.container.clone(), view.name(&it.machine).to_owned());
            match view.is_live(&it.machine) {
                true => Err(ClaimError::InUse { ip, container, host }),
                false => Err(ClaimError::Down { ip, container, host }),
            }
        })
    }
}

/// The name of the host that may give an address to a container of its own.
fn owner(view: &View, id: &Id, ip: IpAddr, machine: &str) -> Option<String> {
    let of = view.of(id)?;
    let owner = of.block_of(ip)?.value.machine.as_str();
    // What was freed was claimed on the condition that its owner was not back: it hears of that first.
    let may = owner != machine && !is_left_out(of, ip, owner) && !of.is_freed_of(ip, owner);
    may.then(|| view.name(owner).to_owned())
}

/// Whether a host has said that it gives an address of its blocks to nobody.
fn is_left_out(of: &OfNetwork, ip: IpAddr, machine: &str) -> bool {
    of.blocks.values().any(|it| it.value.machine == machine && it.value.without.contains(&ip))
}
