//! Addresses of hosts that are down, which an administrator frees, and of containers that have lost theirs.
//!
//! Who is cut off cannot be told from who is dead, and gives its addresses to containers. So they stay its own as
//! long as its claims, unless a person says that they may be had. That is written beside its claims: the host
//! that comes back takes off who has such an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::cluster::Cluster;
use super::record::{EndpointRecord, Freed, encode};
use super::view::{Kept, OfNetwork, View};
use crate::network::Id;
use crate::store::{Change, Error, Followed, Txn};

/// Why nothing is freed.
#[derive(Debug, thiserror::Error)]
pub enum FreeError {
    /// No other host has it.
    #[error("no other host has {0} on this network")]
    Absent(String),
    /// Its host's agent runs.
    #[error("host {host} has {what}, and is up: disconnect the container there")]
    Live {
        /// What was to be freed.
        what: String,
        /// Whose it is.
        host: String,
    },
    /// The host is back, or somebody else was faster.
    #[error("{0} has changed in etcd at the same moment: try again")]
    Changed(String),
    /// The store.
    #[error("free it in etcd")]
    Store(#[source] Error),
}

impl From<Error> for FreeError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// An address of a container here that is another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The address.
    pub ip: IpAddr,
    /// Why, for people.
    pub why: String,
}

/// What is to be freed.
struct Meant {
    machine: String,
    host: String,
    ips: Vec<IpAddr>,
    endpoint: Option<(String, Kept<EndpointRecord>)>,
}

impl Cluster {
    /// Frees what a host that is down has: an endpoint by its id, with its addresses, or an address. Every host
    /// may claim it then, and the host takes the container off when it is back.
    ///
    /// # Errors
    /// [`FreeError`]; nothing is changed then.
    pub async fn free(&self, id: &Id, what: &str) -> Result<(), FreeError> {
        let keys = &self.0.keys;
        let meant = self.look(|view| self.meant(view, id, what));
        let Meant { machine, host, ips, endpoint } =
            meant.ok_or_else(|| FreeError::Absent(what.to_owned()))?;
        let live = || FreeError::Live { what: what.to_owned(), host };
        if self.0.store.get(&keys.live(&machine)).await?.is_some() {
            return Err(live());
        }
        let member = self.0.store.get(&keys.member(&machine)).await?;
        let session = member.and_then(|member| member.session);
        let session = session.ok_or_else(|| FreeError::Changed(what.to_owned()))?;
        let mut txn = Txn::new().if_absent(keys.live(&machine));
        if let Some((endpoint, there)) = endpoint {
            let key = keys.endpoint(id, &endpoint);
            txn = txn.if_unchanged(&key, there.changed).delete(key);
        }
        let freed = encode(&Freed { machine, by: self.0.host.name.clone() });
        for ip in ips {
            txn = txn.put(keys.freed(id, ip), freed.clone(), Some(session));
        }
        match self.commit(txn).await?.committed {
            true => Ok(()),
            false => Err(FreeError::Changed(what.to_owned())),
        }
    }

    fn meant(&self, view: &View, id: &Id, what: &str) -> Option<Meant> {
        let of = view.of(id)?;
        let ip: Option<IpAddr> = what.parse().ok();
        let mut others =
            of.endpoints.iter().filter(|(_, there)| there.value.machine != self.machine());
        let endpoint = others
            .find(|(key, there)| key.as_str() == what || ip.is_some_and(|ip| there.value.has(ip)));
        let (machine, ips) = match (endpoint, ip) {
            (Some((_, there)), _) => {
                let ips = there.value.addresses.iter().map(|net| net.ip()).collect();
                (there.value.machine.as_str(), ips)
            }
            (None, Some(ip)) => (of.claimant(ip)?, vec![ip]),
            (None, None) => return None,
        };
        let endpoint = endpoint.map(|(key, there)| (key.clone(), there.clone()));
        let (machine, host) = (machine.to_owned(), view.name(machine).to_owned());
        (machine != self.machine()).then_some(Meant { machine, host, ips, endpoint })
    }

    /// Addresses of this host's containers that are another's: freed while this host was down, or taken when its
    /// claims had ended. `used` are those of its containers. None until the store has told everything once: what is
    /// remembered from before a kill need not have the last claims of this host.
    #[must_use]
    pub fn lost_addresses(&self, id: &Id, used: &BTreeSet<IpAddr>) -> Vec<Lost> {
        if !self.is_told() {
            return Vec::new();
        }
        self.look(|view| {
            let Some(of) = view.of(id) else { return Vec::new() };
            let why = |ip: &IpAddr| {
                let freed = of.freed.get(ip).filter(|_| of.is_freed_of(*ip, self.machine()));
                let freed = freed.map(|freed| {
                    let by = &freed.value.by;
                    format!("it was freed on host {by} while this one was down")
                });
                freed.or_else(|| taken(view, of, *ip, self.machine()))
            };
            let lost = used.iter().filter_map(|ip| Some(Lost { ip: *ip, why: why(ip)? }));
            lost.collect()
        })
    }

    /// Whether an administrator has freed addresses of this host, as far as the store has told.
    #[must_use]
    pub fn owes_freed(&self, id: &Id) -> bool {
        self.is_told()
            && self.look(|view| {
                let mut freed = view.of(id).into_iter().flat_map(|of| of.freed.values());
                view.is_live(self.machine())
                    && freed.any(|freed| freed.value.machine == self.machine())
            })
    }

    /// Asks who has claimed addresses of a network: news of that may be on their way. Nobody claims what was
    /// freed of this host since it gives signs of life.
    ///
    /// # Errors
    /// Where the store does not say.
    pub async fn hear_of_claims(&self, id: &Id) -> Result<(), Error> {
        let listing = self.0.store.list(&self.0.keys.addresses(id)).await?;
        let there = listing.entries.into_iter().map(Change::Put).collect();
        self.take(&Followed::Changed(there));
        Ok(())
    }

    /// What was freed of this host is its own again, unless another has claimed it: no container here has it.
    ///
    /// # Errors
    /// Where the store does not do it.
    pub async fn settle_freed(&self, id: &Id) -> Result<(), Error> {
        let keys = self.look(|view| {
            let freed = view.of(id).into_iter().flat_map(|of| &of.freed);
            let ours = freed.filter(|(_, freed)| freed.value.machine == self.machine());
            ours.map(|(ip, _)| self.0.keys.freed(id, *ip)).collect()
        });
        self.give_back(keys).await
    }
}

/// Why an address is another host's, where this one has no claim to it, and a container there has it.
fn taken(view: &View, of: &OfNetwork, ip: IpAddr, machine: &str) -> Option<String> {
    let claimant = of.claimant(ip).filter(|claimant| *claimant != machine)?;
    let mut theirs = of.endpoints.values().map(|it| &it.value);
    let theirs = theirs.find(|it| it.machine == claimant && it.has(ip))?;
    let (container, host) = (theirs.name(), view.name(claimant));
    Some(format!("it is that of container {container} on host {host}, which has claimed it"))
}
