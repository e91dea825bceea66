//! Acquiring a lease.

use std::time::Duration;

use super::choose::{Asking, Choice, choose, twin};
use super::claims::{Claims, Record, encode};
use super::leased::{Lease, Leased};
use super::taken::taken;
use super::{AcquireError, Held, Keyspace, Leases, SubnetKey, Wanted};
use crate::config::network::NetworkConfig;
use crate::store::{
    Backoff, Condition, Error, Expected, Fault, Outcome, Session, Target, Txn, random,
};

/// How often other hosts may be faster before this one gives up.
const ATTEMPTS: u32 = 20;

/// One host's way to a lease.
pub(super) struct Acquiring<'a> {
    pub(super) leases: &'a Leases,
    config: &'a NetworkConfig,
    pub(super) wanted: &'a Wanted,
    /// Whether netd's own prefix may be written.
    recorded: bool,
    /// Granted for this way; ended again if it leads nowhere.
    session: Option<Session>,
    /// That of the sign of life, if this way gave it.
    pub(super) sign: Option<Session>,
}

/// What came of one attempt.
enum Attempt {
    Done(Held),
    /// Something changed between listing and writing.
    Again,
}

impl<'a> Acquiring<'a> {
    pub(super) fn new(leases: &'a Leases, config: &'a NetworkConfig, wanted: &'a Wanted) -> Self {
        Self { leases, config, wanted, recorded: true, session: None, sign: None }
    }

    pub(super) async fn run(mut self) -> Result<Held, AcquireError> {
        self.sign().await?;
        let done = self.attempts().await;
        let unused = match &done {
            Ok(held) => self.session.filter(|session| held.session != Some(*session)),
            Err(_) => self.session,
        };
        let sign = self.sign.filter(|_| done.is_err() || !self.wanted.is_kept);
        for session in unused.into_iter().chain(sign) {
            if let Err(error) = self.leases.store.revoke(session).await {
                tracing::debug!(%error, "an unused lease of the store is left to its end");
            }
        }
        done
    }

    async fn attempts(&mut self) -> Result<Held, AcquireError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        for _ in 0..ATTEMPTS {
            match self.attempt().await? {
                Attempt::Done(held) => return Ok(held),
                Attempt::Again => backoff.wait().await,
            }
        }
        let network = self.config.network.to_string();
        Err(AcquireError::Outrun { network, attempts: ATTEMPTS })
    }

    async fn attempt(&mut self) -> Result<Attempt, AcquireError> {
        let listing = self.leases.store.list(&self.leases.keys.subnets()).await;
        let leased = Leased::read(&self.leases.keys, listing.map_err(AcquireError::Store)?.entries);
        // After the leases: whoever has one of them has said so by now.
        let claims = self.claims().await?;
        let host = &self.leases.host;
        if let Some(twin) = twin(&claims, host, self.wanted.value.public_ip) {
            return Err(self.twin(twin));
        }
        let asking = Asking { host, wanted: self.wanted, session: self.session };
        let number = || u128::from(random()) << 64 | u128::from(random());
        let choice = choose(&leased, &claims, self.config, &asking, number);
        taken(self.config, self.wanted, &leased, &choice).map_or(Ok(()), Err)?;
        let done = match choice {
            Choice::Keep(lease) => self.keep(lease, &claims).await,
            Choice::Create { subnet, instead_of } => self.create(subnet, instead_of).await,
            Choice::Exhausted(why) => return Err(AcquireError::exhausted(&why)),
        };
        match done {
            // Rights end at flannel's prefix: leases work all the same, proven by address.
            Err(error) if error.is_permission_denied() && self.recorded => {
                self.without_record(&error);
                Ok(Attempt::Again)
            }
            Err(Error { fault: Fault::SessionGone(_), .. }) => {
                self.session = None;
                Ok(Attempt::Again)
            }
            other => other.map_err(AcquireError::Store),
        }
    }

    async fn claims(&mut self) -> Result<Claims, AcquireError> {
        if !self.recorded {
            return Ok(Claims::default());
        }
        let keys = &self.leases.keys;
        match self.leases.store.list(&keys.hosts()).await {
            Ok(listing) => Ok(Claims::read(keys, &listing.entries)),
            Err(error) if error.is_permission_denied() => {
                self.without_record(&error);
                Ok(Claims::default())
            }
            Err(error) => Err(AcquireError::Store(error)),
        }
    }

    pub(super) fn without_record(&mut self, error: &Error) {
        self.recorded = false;
        let why = cni::ErrorChain(error).to_string();
        tracing::warn!(why, "leases are told apart by address alone, as flannel does it");
    }

    /// Takes a lease that is this host's over: its session lives on, and where the value is the
    /// same nothing is written below flannel's prefix. One that another machine proves, whose agent
    /// is gone, gets a session of our own: if it comes back, it knows that the lease is not its any
    /// more.
    async fn keep(&mut self, lease: &Lease, claims: &Claims) -> Result<Attempt, Error> {
        let store = &self.leases.store;
        let (mut session, mut time_to_live) = (lease.entry.session, self.wanted.time_to_live);
        let owner = claims.owner(&lease.subnet, session).map(|(machine_id, _)| machine_id);
        if let Some(other) = owner.filter(|owner| *owner != self.leases.host.machine_id) {
            tracing::warn!(
                subnet = %lease.subnet, other,
                "a host with another machine id and this address had this subnet; it is taken over"
            );
            session = Some(self.session().await?);
        } else if let Some(old) = session {
            match store.time_to_live(old).await? {
                Some(life) if life.granted == time_to_live || Some(old) == self.session => {
                    store.keep_alive(old).await?;
                    time_to_live = life.granted;
                }
                Some(_) | None => session = Some(self.session().await?),
            }
        }
        let value = self.wanted.value.encode();
        let same = session == lease.entry.session && value == lease.entry.value;
        let proven = |session| claims.prove(&self.leases.host.machine_id, &lease.subnet, session);
        let mut held = Held {
            subnet: lease.subnet,
            value: self.wanted.value.clone(),
            session,
            time_to_live,
            created: lease.entry.create_revision,
            revision: lease.entry.mod_revision,
            recorded: self.recorded,
        };
        let mut txn = Txn::new().if_unchanged(&lease.entry.key, lease.entry.mod_revision);
        if !same {
            txn = txn.put(&lease.entry.key, value, session);
        }
        if self.recorded && !proven(session) {
            txn = self.leases.put_record(txn, &lease.subnet, session);
        }
        if !txn.writes.is_empty() {
            let outcome = store.txn(txn).await?;
            if !outcome.committed {
                return Ok(Attempt::Again);
            }
            if !same {
                held.revision = outcome.revision;
            }
        }
        // One that netd began holds nothing else.
        let left = lease.entry.session.filter(|old| session != Some(*old) && proven(Some(*old)));
        if let Some(left) = left {
            store.revoke(left).await?;
        }
        Ok(Attempt::Done(held))
    }

    async fn create(
        &mut self,
        subnet: SubnetKey,
        instead_of: Option<&Lease>,
    ) -> Result<Attempt, Error> {
        let session = self.session().await?;
        let leases = self.leases;
        let value = &self.wanted.value;
        let mut txn = creation(&leases.keys, &subnet, instead_of, value.encode(), Some(session));
        if self.recorded {
            txn = leases.put_record(txn, &subnet, Some(session));
        }
        let outcome = leases.store.txn(txn).await?;
        if !outcome.committed {
            return Ok(Attempt::Again);
        }
        if let Some(earlier) = earlier_overlap(&leases.keys, &subnet, &outcome) {
            tracing::info!(%subnet, %earlier, "another host was faster at an overlapping subnet");
            leases.withdraw(&subnet, outcome.revision, self.recorded).await?;
            return Ok(Attempt::Again);
        }
        Ok(Attempt::Done(Held {
            subnet,
            value: value.clone(),
            session: Some(session),
            time_to_live: self.wanted.time_to_live,
            created: outcome.revision,
            revision: outcome.revision,
            recorded: self.recorded,
        }))
    }

    async fn session(&mut self) -> Result<Session, Error> {
        if let Some(session) = self.session {
            return Ok(session);
        }
        let session = self.leases.store.grant(self.wanted.time_to_live).await?;
        self.session = Some(session);
        Ok(session)
    }
}

impl Leases {
    /// Adds this host's record of its lease.
    pub(super) fn put_record(&self, txn: Txn, subnet: &SubnetKey, session: Option<Session>) -> Txn {
        let record = Record::new(subnet, session, &self.host.name);
        txn.put(self.keys.record(&self.host.machine_id), encode(&record), session)
    }

    /// Takes back a lease that was just created.
    pub(super) async fn withdraw(
        &self,
        subnet: &SubnetKey,
        revision: crate::store::Revision,
        recorded: bool,
    ) -> Result<(), Error> {
        let key = self.keys.subnet(subnet);
        let mut txn = Txn::new().if_unchanged(&key, revision).delete(key);
        if recorded {
            txn = txn.delete(self.keys.record(&self.host.machine_id));
        }
        self.store.txn(txn).await.map(|_| ())
    }
}

/// Creates a lease where there is none of its IPv4 subnet, with or without an IPv6 one, and lists
/// all leases as they then are.
pub(super) fn creation(
    keys: &Keyspace,
    subnet: &SubnetKey,
    instead_of: Option<&Lease>,
    value: Vec<u8>,
    session: Option<Session>,
) -> Txn {
    let v4 = keys.subnet(&SubnetKey::new(subnet.v4, None));
    let dual = format!("{v4}&");
    let old = instead_of.map(|lease| &lease.entry);
    let mut txn = Txn::new();
    if old.is_none_or(|old| old.key != v4) {
        txn = txn.if_absent(v4);
    }
    txn = match old {
        // The old lease is of the same IPv4 subnet, and is the only one.
        Some(old) if old.key.starts_with(&dual) => {
            let expected = Expected::ChangedBy(old.mod_revision);
            txn.conditions.push(Condition { target: Target::Prefix(dual), expected });
            txn
        }
        Some(_) | None => txn.if_none_below(dual),
    };
    if let Some(old) = old {
        txn = txn.if_unchanged(&old.key, old.mod_revision).delete(&old.key);
    }
    txn.put(keys.subnet(subnet), value, session).list(keys.subnets())
}

/// A lease that overlaps a new one and was there before it. Of two hosts that create overlapping
/// leases only the later sees the other's, and it gives way.
pub(super) fn earlier_overlap(
    keys: &Keyspace,
    subnet: &SubnetKey,
    created: &Outcome,
) -> Option<SubnetKey> {
    let leased = Leased::read(keys, created.listed.clone());
    leased.overlapping(subnet).map(|lease| lease.subnet)
}

#[cfg(test)]
mod tests;
