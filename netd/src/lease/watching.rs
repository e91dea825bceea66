//! Watching the other hosts, also over a store that is built anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::view::View;
use super::{ClusterEvent, Known, Leases, StoreState, SubnetKey};
use crate::store::{Backoff, Change, Error, Followed, Listing, Position, follow};

/// How many events may wait for the agent before the store is read no further.
const WAITING_EVENTS: usize = 64;
/// Between attempts to ask what the store is called.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Leases {
    /// Tells what happens to all other hosts, until the receiver is dropped; first comes a
    /// [`ClusterEvent::Reset`], or what the store is before it. Needs a tokio runtime.
    ///
    /// Where the store was built anew since what is `known`, or while it is watched, the hosts that
    /// have not registered again count as there for `time_to_live`, or until another host has
    /// addresses of theirs. So do those whose leases end by themselves: they may be cut off from the
    /// store, and their containers run.
    #[must_use]
    pub fn watch(
        &self,
        own: SubnetKey,
        known: Known,
        time_to_live: Duration,
    ) -> mpsc::Receiver<ClusterEvent> {
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        let (followed, of_store) = mpsc::channel(WAITING_EVENTS);
        tokio::spawn(follow(Arc::clone(&self.store), self.keys.subnets(), followed));
        let watching = Watching {
            view: View::new(self.keys.clone(), own, known.view),
            leases: self.clone(),
            state: StoreState {
                name: known.store.name,
                until: known.store.until,
                ..StoreState::default()
            },
            said: known.store.until.is_none().then(BTreeSet::new),
            time_to_live,
            last: Position::default(),
            events,
        };
        tokio::spawn(watching.run(of_store));
        receiver
    }
}

struct Watching {
    leases: Leases,
    view: View,
    state: StoreState,
    /// What the store was told to be missing, if that is known.
    said: Option<BTreeSet<SubnetKey>>,
    time_to_live: Duration,
    /// What was heard of the store so far.
    last: Position,
    events: mpsc::Sender<ClusterEvent>,
}

impl Watching {
    async fn run(mut self, mut of_store: mpsc::Receiver<Followed>) {
        loop {
            let (left, before) = (self.left(), self.state.clone());
            let mut news = tokio::select! {
                followed = of_store.recv() => match followed {
                    Some(followed) => self.take(followed).await,
                    None => return,
                },
                () = self.events.closed() => return,
                () = tokio::time::sleep(left.unwrap_or_default()), if left.is_some() => self.over(),
            };
            self.state.missing = self.view.missing();
            self.state.lapsed = self.view.lapsed();
            if self.state != before {
                news.insert(0, ClusterEvent::Store(self.state.clone()));
            }
            // Before others can find a configuration there, and take a subnet.
            self.say().await;
            for event in news {
                if self.events.send(event).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn take(&mut self, news: Followed) -> Vec<ClusterEvent> {
        match news {
            Followed::Listed(listing) => self.listed(listing).await,
            Followed::Changed(changes) => {
                let last = changes.iter().map(Change::revision).max();
                self.last.revision = last.unwrap_or_default().max(self.last.revision);
                for change in &changes {
                    self.lapses(change).await;
                }
                self.view.changed(changes)
            }
        }
    }

    /// Whether a lease that is gone has ended by itself: of one that was given back or deleted the
    /// session lives on.
    async fn lapses(&mut self, change: &Change) {
        let Change::Deleted { key, .. } = change else { return };
        let Some((subnet, session)) = self.view.session(key) else { return };
        if matches!(self.leases.store.time_to_live(session).await, Ok(None)) {
            let seconds = self.time_to_live.as_secs();
            tracing::warn!(
                %subnet, seconds, "a host's lease has ended without a word; it counts as there"
            );
            self.view.lapse(subnet, now() + self.time_to_live);
        }
    }

    /// How long until somebody's time is over.
    fn left(&self) -> Option<Duration> {
        let lapsed = self.view.next_end().map(|end| end.saturating_sub(now()));
        [self.state.left(now()), lapsed].into_iter().flatten().min()
    }

    /// Those whose time is over are gone.
    fn over(&mut self) -> Vec<ClusterEvent> {
        let mut gone = self.view.expire(now());
        if self.state.left(now()).is_some_and(|left| left.is_zero()) {
            self.state.until = None;
            gone.extend(self.view.give_up());
        }
        gone
    }

    async fn listed(&mut self, listing: Listing) -> Vec<ClusterEvent> {
        let went_back = listing.revision < self.last.revision
            || (self.last.history != 0 && listing.history != self.last.history);
        self.last = Position { revision: listing.revision, history: listing.history };
        let renamed = self.renamed().await;
        if went_back || renamed {
            tracing::error!(
                "the store was built anew: hosts that have not registered again count as there \
                 for {} s",
                self.time_to_live.as_secs()
            );
            self.state.until = Some(now() + self.time_to_live);
            self.view.forget_revisions();
        }
        let keep = self.state.left(now()).is_some_and(|left| !left.is_zero());
        self.view.reset(listing, keep)
    }

    /// Whether the store has another name than it had. It gets one where it has none.
    async fn renamed(&mut self) -> bool {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let mut lost = false;
        loop {
            match self.named(&mut lost).await {
                Ok(Some(name)) => {
                    let before = self.state.name.replace(name);
                    return lost || (before.is_some() && before != self.state.name);
                }
                // Another host was faster at naming it.
                Ok(None) => {}
                // Without rights only its revisions tell.
                Err(error) if error.is_permission_denied() => return false,
                Err(error) => {
                    let error = cni::ErrorChain(&error).to_string();
                    tracing::debug!(error, "the store does not say which it is; trying again");
                }
            }
            tokio::select! {
                () = self.events.closed() => return false,
                () = backoff.wait() => {}
            }
        }
    }

    async fn named(&self, lost: &mut bool) -> Result<Option<String>, Error> {
        if let Some(name) = self.leases.store_name().await? {
            return Ok(Some(name));
        }
        *lost |= self.state.name.is_some();
        self.leases.name_store().await
    }

    /// Tells hosts that have no memory what is missing: they must not take its subnets. It is said
    /// again with the next news where the store does not take it.
    async fn say(&mut self) {
        if self.said.as_ref() == Some(&self.state.missing) {
            return;
        }
        let left = self.state.left(now()).unwrap_or_default();
        match self.leases.miss(&self.state.missing, left).await {
            Ok(()) => self.said = Some(self.state.missing.clone()),
            Err(error) if error.is_permission_denied() => {}
            Err(error) => {
                let error = cni::ErrorChain(&error).to_string();
                tracing::warn!(error, "others are not told yet which hosts are missing");
            }
        }
    }
}

/// Since the beginning of 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
