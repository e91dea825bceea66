//! Telling other hosts of this one's endpoints, and keeping the right number of addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnetwork::IpNetwork;

use super::claim::ClaimError;
use super::cluster::Cluster;
use super::record::{EndpointRecord, encode};
use crate::network::Id;
use crate::store::{Error, Txn};

/// How long a block stays with a host after its last container: one that starts again waits for nobody.
const SPARE: Duration = Duration::from_secs(300);
/// Endpoints in one transaction; etcd takes 128 operations.
const TOGETHER: usize = 64;

/// The endpoints that this host has, by network and endpoint.
pub type Wanted = BTreeMap<(Id, String), EndpointRecord>;

/// An endpoint by its id.
type Named = (String, EndpointRecord);

/// Since when something is claimed that nobody needs.
#[derive(Debug, Default)]
pub struct Spare(BTreeMap<Unneeded, Instant>);

/// Something claimed that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unneeded {
    /// A block.
    Block(Id, IpNetwork),
    /// A single address.
    Address(Id, IpAddr),
}

impl Cluster {
    /// Writes what differs of this host's endpoints. Those of networks that are gone are passed over.
    ///
    /// # Errors
    /// Where the store does not do it; what was written stays.
    pub async fn publish(&self, wanted: &Wanted) -> Result<(), ClaimError> {
        let (put, gone) = self.difference(wanted);
        if put.is_empty() && gone.is_empty() {
            return Ok(());
        }
        // What is in the store may be of another host that has this one's machine id.
        let session = self.session()?;
        for keys in gone.chunks(TOGETHER) {
            self.give_back(keys.to_vec()).await?;
        }
        for (id, endpoints) in put {
            let network = self.look(|view| Some(view.of(&id)?.network.as_ref()?.changed));
            let Some(network) = network else { continue };
            for together in endpoints.chunks(TOGETHER) {
                let key = self.0.keys.network(&id);
                let mut txn = Txn::new().if_unchanged(key, network);
                for (endpoint, record) in together {
                    let key = self.0.keys.endpoint(&id, endpoint);
                    txn = txn.put(key, encode(record), Some(session));
                }
                if !self.commit(txn).await?.committed {
                    tracing::warn!(network = %id.short(), "the network of containers here is gone from etcd");
                }
            }
        }
        Ok(())
    }

    /// Fetches the next block where one runs out, and claims again what the store has lost. Gives what nobody has
    /// needed for long, or another host would have.
    ///
    /// # Errors
    /// Where the store does not do it, or this host is not confirmed there.
    pub async fn tend(
        &self,
        used: &BTreeMap<Id, BTreeSet<IpAddr>>,
        spare: &mut Spare,
    ) -> Result<Vec<Unneeded>, ClaimError> {
        self.session()?;
        self.restore().await?;
        let none = BTreeSet::new();
        let (mut unneeded, mut wanted) = (BTreeSet::new(), Vec::new());
        let ids: Vec<Id> =
            self.look(|view| view.networks().map(|it| it.value.id.clone()).collect());
        for id in ids {
            let used = used.get(&id).unwrap_or(&none);
            match self.tend_one(&id, used).await {
                // The next one to ask is told.
                Ok(()) | Err(ClaimError::Gone | ClaimError::Exhausted { .. }) => {}
                Err(error) => return Err(error),
            }
            let of_network = self.share(&id, used, |share| {
                let blocks = share.spare().into_iter();
                let blocks = blocks.map(|block| Unneeded::Block(id.clone(), block));
                let single = share.spare_addresses().into_iter();
                let single = single.map(|ip| Unneeded::Address(id.clone(), ip));
                blocks.chain(single).collect::<Vec<_>>()
            });
            unneeded.extend(of_network.unwrap_or_default());
            let of_network = self.share(&id, used, |share| share.wanted_addresses());
            let of_network = of_network.unwrap_or_default().into_iter();
            wanted.extend(of_network.map(|ip| Unneeded::Address(id.clone(), ip)));
        }
        // Whoever would have it waits.
        let due = spare.due(unneeded).into_iter().filter(|one| !wanted.contains(one));
        Ok(due.chain(wanted.iter().cloned()).collect())
    }

    /// Gives something back. Nothing may be taken of it any more.
    ///
    /// # Errors
    /// Where the store does not do it.
    pub async fn give_up(&self, unneeded: &Unneeded) -> Result<(), Error> {
        let keys = &self.0.keys;
        let key = match unneeded {
            Unneeded::Block(id, block) => keys.block(id, *block),
            Unneeded::Address(id, ip) => keys.address(id, *ip),
        };
        self.give_back(vec![key]).await
    }

    async fn tend_one(&self, id: &Id, used: &BTreeSet<IpAddr>) -> Result<(), ClaimError> {
        for ip in self.share(id, used, |share| share.unclaimed())? {
            match self.claim_address(id, ip, used).await {
                Ok(()) => {}
                Err(
                    error @ (ClaimError::Gone
                    | ClaimError::Unconfirmed { .. }
                    | ClaimError::Store(_)
                    | ClaimError::Exhausted { .. }),
                ) => return Err(error),
                // Whoever has it says so soon, and then it is lost here.
                Err(error) => {
                    tracing::error!(network = %id.short(), %error, "a container here has it, too");
                }
            }
        }
        for v6 in self.share(id, used, |share| share.running_out())? {
            self.claim_block(id, used, v6, |share| share.running_out()).await?;
        }
        Ok(())
    }

    /// What is to be put, by network, and the keys that are to go.
    fn difference(&self, wanted: &Wanted) -> (BTreeMap<Id, Vec<Named>>, Vec<String>) {
        let mut put: BTreeMap<Id, Vec<Named>> = BTreeMap::new();
        self.look(|view| {
            for ((id, endpoint), record) in wanted {
                let Some(of) = view.of(id) else { continue };
                if of.endpoints.get(endpoint).map(|there| &there.value) != Some(record) {
                    put.entry(id.clone()).or_default().push((endpoint.clone(), record.clone()));
                }
            }
            let ours = view.endpoints().filter(|(.., it)| it.value.machine == self.machine());
            let gone =
                ours.filter(|(id, key, _)| !wanted.contains_key(&((*id).clone(), (*key).clone())));
            let gone = gone.map(|(id, key, _)| self.0.keys.endpoint(id, key)).collect();
            (put, gone)
        })
    }
}

impl Unneeded {
    /// Of which network.
    #[must_use]
    pub fn network(&self) -> &Id {
        match self {
            Self::Block(id, _) | Self::Address(id, _) => id,
        }
    }

    /// Its addresses.
    #[must_use]
    pub fn net(&self) -> IpNetwork {
        match self {
            Self::Block(_, block) => *block,
            Self::Address(_, ip) => (*ip).into(),
        }
    }
}

impl Spare {
    /// Of what nobody needs now, what nobody has needed for long.
    fn due(&mut self, unneeded: BTreeSet<Unneeded>) -> Vec<Unneeded> {
        let now = Instant::now();
        self.0.retain(|one, _| unneeded.contains(one));
        for one in unneeded {
            self.0.entry(one).or_insert(now);
        }
        let is_due = |since: &Instant| now.duration_since(*since) >= SPARE;
        self.0.iter().filter(|(_, since)| is_due(since)).map(|(one, _)| one.clone()).collect()
    }
}
