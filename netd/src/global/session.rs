//! This host's two signs of life: what it claims lives by one for a day, and that its agent runs by the other
//! for 20 s.

mod live;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::cluster::Cluster;
use super::keys::Keys;
use super::record::{Member, encode};
use crate::lease::{Host, since_boot};
use crate::store::{Backoff, Error, Fault, Session, Store, Txn};

/// How long the sign of life outlives the agent, at most: it is to be seen within 30 s that one is dead, and etcd
/// takes a second or two to end what is over.
pub(super) const LIVE: Duration = Duration::from_secs(20);
/// And at most this part of the life of what is claimed.
const LIVES: u32 = 8;
/// The least that etcd grants.
const LEAST: Duration = Duration::from_secs(2);
/// The session of what is claimed gets its whole time again three times in it, and at least so often: what was
/// confirmed lately is known to be this host's for longer.
const CONFIRM: Duration = Duration::from_secs(2 * 3600);
/// Between attempts, from the first to the longest: a host is down for others 20 s after the last success.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// The same where the right to write is wanting.
const WITHOUT_RIGHTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// How this host stands with the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// What its claims live by.
    pub session: Option<Session>,
    /// When that had its whole time last, since boot.
    pub at: Option<Duration>,
    /// Until when new addresses may be given out, since boot: half of its time, so that nobody else has them
    /// before others know that this host is gone.
    pub until: Duration,
    /// Why there is no sign of life at present.
    pub trouble: Option<String>,
}

impl Confirmed {
    /// By what is kept of the last time, which was so long ago.
    pub(super) fn before(age: Option<Duration>, time_to_live: Duration) -> Self {
        let left = age.map(|age| (time_to_live / 2).saturating_sub(age)).unwrap_or_default();
        Self { until: since_boot() + left, ..Self::default() }
    }

    /// Whether new addresses may be given out.
    #[must_use]
    pub fn may_allocate(&self) -> bool {
        since_boot() < self.until
    }
}

/// Why there is no sign of life.
#[derive(Debug, thiserror::Error)]
enum Silent {
    #[error("give a sign of life in etcd")]
    Store(#[source] Error),
    #[error(
        "another host, {host}, has this one's machine id in etcd: give one of both a new one \
         (systemd-machine-id-setup), and restart netd; if it is this one before it was booted, with an \
         address that it has no more, this passes within 30 s"
    )]
    Twin { host: String },
    #[error("another sign of life was given in this one's place at the same moment; looking again")]
    Raced,
}

impl From<Error> for Silent {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// What is known of the two sessions.
struct Keeping {
    cluster: Cluster,
    session: Option<Session>,
    /// When the session gets its whole time again, since boot.
    due: Duration,
    /// Of the sign of life.
    live: Option<Session>,
    /// When that gets its whole time again.
    live_due: Duration,
    /// This agent has given one: whoever gives another from then on is another host.
    has_lived: bool,
}

/// Gives signs of life until dropped, and writes what others are to know of this host.
pub(super) async fn keep(cluster: Cluster, mut member: watch::Receiver<Member>) {
    let (due, live_due) = (Duration::ZERO, Duration::ZERO);
    let (session, live, has_lived) = (None, None, false);
    let mut keeping = Keeping { cluster, session, due, live, live_due, has_lived };
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    let mut denied = Backoff::new(WITHOUT_RIGHTS.0, WITHOUT_RIGHTS.1);
    loop {
        let now = member.borrow_and_update().clone();
        let beaten = keeping.beat(&now).await;
        let pause = match &beaten {
            Ok(()) => {
                backoff.reset();
                denied.reset();
                keeping.pause()
            }
            Err(Silent::Store(error)) if error.is_permission_denied() => denied.pause(),
            Err(Silent::Twin { .. }) => {
                keeping.doubt();
                backoff.pause()
            }
            Err(_) => backoff.pause(),
        };
        keeping.tell(beaten.err().map(|error| cni::ErrorChain(&error).to_string()));
        tokio::select! {
            () = sleep(pause) => {}
            // Whoever tells it is there as long as this task.
            _ = member.changed() => {}
        }
    }
}

impl Keeping {
    async fn beat(&mut self, member: &Member) -> Result<(), Silent> {
        self.live(member).await?;
        let session = match self.session {
            Some(session) if since_boot() < self.due => session,
            before => self.renew(before).await?,
        };
        let is_told = self.cluster.look(|view| {
            let there = view.host(self.cluster.machine()).and_then(|host| host.member.as_ref());
            there.is_some_and(|there| there.value == *member)
        });
        // Where the store has not told everything yet, what is known may be of a session of before.
        if !is_told || !self.cluster.is_told() {
            match self.write(member, session).await {
                // As in a store that was built anew, long before the session is due.
                Err(Error { fault: Fault::SessionGone(_), .. }) => {
                    self.session = None;
                    let session = self.renew(None).await?;
                    self.write(member, session).await?;
                }
                written => written?,
            }
        }
        Ok(())
    }

    /// Writes what others are to know of this host.
    async fn write(&self, member: &Member, session: Session) -> Result<(), Error> {
        let key = self.cluster.0.keys.member(self.cluster.machine());
        let txn = Txn::new().put(key, encode(member), Some(session));
        self.cluster.commit(txn).await.map(drop)
    }

    /// Gives the session its whole time again: the one of the last time, as long as there is one.
    async fn renew(&mut self, before: Option<Session>) -> Result<Session, Error> {
        let inner = &self.cluster.0;
        let known = match before {
            Some(session) => Some(session),
            None => inner
                .store
                .get(&inner.keys.member(self.cluster.machine()))
                .await?
                .and_then(|entry| entry.session),
        };
        self.session = None;
        let kept = match known {
            Some(session) => alive(inner.store.keep_alive(session).await)?.then_some(session),
            None => None,
        };
        let session = match kept {
            Some(session) => session,
            None => {
                let session = inner.store.grant(inner.time_to_live).await?;
                tracing::info!(%session, "this host is a member of the cluster's networks");
                session
            }
        };
        if known != Some(session) {
            // Nothing that was told before lives by it.
            let key = inner.keys.member(self.cluster.machine());
            self.cluster.commit(Txn::new().delete(key)).await?;
        }
        let now = since_boot();
        let every = (inner.time_to_live / 3).min(CONFIRM);
        (self.session, self.due) = (Some(session), now + every);
        let until = now + inner.time_to_live / 2;
        inner.confirmed.send_modify(|confirmed| {
            (confirmed.session, confirmed.at, confirmed.until) = (Some(session), Some(now), until);
        });
        Ok(session)
    }

    /// What is claimed by this host's machine id is another host's, as far as it knows: nothing is given out, and
    /// nothing changed, until it has a sign of life of its own.
    fn doubt(&mut self) {
        self.session = None;
        self.cluster.0.confirmed.send_modify(|confirmed| {
            (confirmed.session, confirmed.until) = (None, Duration::ZERO);
        });
    }

    /// How long the sign of life outlives the agent.
    fn life(&self) -> Duration {
        (self.cluster.0.time_to_live / LIVES).clamp(LEAST, LIVE)
    }

    /// Until one of both is due; timers stand still while the host sleeps.
    fn pause(&self) -> Duration {
        let due = if self.live.is_some() { self.due.min(self.live_due) } else { Duration::ZERO };
        due.saturating_sub(since_boot()).clamp(PAUSES.0, self.life() / 3)
    }

    fn tell(&self, trouble: Option<String>) {
        self.cluster.0.confirmed.send_if_modified(|confirmed| {
            let news = confirmed.trouble != trouble;
            if news {
                match &trouble {
                    Some(reason) => tracing::warn!(
                        reason,
                        "for other hosts this one is down, or will be in 30 s; trying again"
                    ),
                    None => tracing::info!("this host gives signs of life"),
                }
                confirmed.trouble = trouble;
            }
            news
        });
    }
}

/// Whether a session lives on.
fn alive(kept: Result<(), Error>) -> Result<bool, Error> {
    match kept {
        Ok(()) => Ok(true),
        Err(Error { fault: Fault::SessionGone(_), .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends what lives by a host's sessions: it is no member any more, and nothing is claimed for it.
///
/// # Errors
/// Where the store does not do it. Want of rights is none: nothing was claimed then.
pub async fn leave(store: &dyn Store, keys: &Keys, host: &Host) -> Result<(), Error> {
    for key in [keys.live(&host.machine_id), keys.member(&host.machine_id)] {
        let entry = match store.get(&key).await {
            Err(error) if error.is_permission_denied() => return Ok(()),
            entry => entry?,
        };
        if let Some(session) = entry.and_then(|entry| entry.session) {
            store.revoke(session).await?;
        }
    }
    Ok(())
}

impl Cluster {
    /// How this host stands with the store.
    #[must_use]
    pub fn confirmed(&self) -> watch::Receiver<Confirmed> {
        self.0.confirmed.subscribe()
    }
}
