//! Watching the other hosts, also over a store that is built anew.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::telling::{Teller, Word};
use super::view::View;
use super::{ClusterEvent, Known, Leases, StoreState, SubnetKey, since_boot};
use crate::store::{Backoff, Change, Error, Followed, Listing, Session, follow};

/// How many events may wait for the agent before the store is read no further.
const WAITING_EVENTS: usize = 64;
/// Between attempts to ask what the store is called.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often it is asked how a lease ended.
const ASKED: usize = 3;
/// Of how many at once.
const ASKED_TOGETHER: usize = 16;
/// How long the news may wait for the answers.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

impl Leases {
    /// Tells what happens to all other hosts, until the receiver is dropped; first comes a
    /// [`ClusterEvent::Reset`], or what the store is before it. Needs a tokio runtime.
    ///
    /// Where the store was built anew since what is `known`, or while it is watched, the hosts that
    /// have not registered again count as there for `window`, or until another host has
    /// addresses of theirs. So do those whose leases end by themselves, or have ended while nobody
    /// watched: they may be cut off from the store, and their containers run.
    #[must_use]
    pub fn watch(
        &self,
        own: SubnetKey,
        known: Known,
        window: Duration,
    ) -> mpsc::Receiver<ClusterEvent> {
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        let (followed, of_store) = mpsc::channel(WAITING_EVENTS);
        let following = follow(Arc::clone(&self.store), self.keys.subnets(), followed);
        tokio::spawn(following.in_current_span());
        let watching = Watching {
            leases: self.clone(),
            state: StoreState {
                name: known.store.name.clone(),
                until: known.store.until,
                ..StoreState::default()
            },
            teller: Teller::begin(self.clone()),
            store: 0,
            is_untold: known.store.until.is_some(),
            view: View::new(self.keys.clone(), own, known),
            window,
            events,
        };
        tokio::spawn(watching.run(of_store).in_current_span());
        receiver
    }
}

struct Watching {
    leases: Leases,
    view: View,
    state: StoreState,
    teller: Teller,
    /// Counts the stores that were built anew.
    store: u64,
    /// Whether this one was not told yet which hosts are missing.
    is_untold: bool,
    window: Duration,
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
            Followed::Listed(listing) => self.listed(listing, false).await,
            Followed::Anew(listing) => self.listed(listing, true).await,
            Followed::Changed(changes) => {
                self.lapses(&changes).await;
                self.view.changed(changes)
            }
        }
    }

    /// Whether leases that are gone have ended by themselves: of one that was given back or deleted
    /// the session lives on.
    async fn lapses(&mut self, changes: &[Change]) {
        let gone = changes.iter().filter_map(|change| match change {
            Change::Deleted { key, .. } => self.view.session(key),
            Change::Put(_) => None,
        });
        let gone: Vec<_> = gone.filter(|(subnet, _)| !self.view.has_another(*subnet)).collect();
        self.lapse_ended(gone).await;
    }

    /// Of these leases, which are gone, those that have ended by themselves.
    async fn lapse_ended(&mut self, gone: Vec<(SubnetKey, Session)>) {
        let (this, end) = (&*self, Instant::now() + ANSWERED_WITHIN);
        let asked = stream::iter(gone).map(async |(subnet, session)| {
            let lives = timeout_at(end, this.lives(session)).await;
            (subnet, lives.unwrap_or(false))
        });
        let asked: Vec<_> = asked.buffer_unordered(ASKED_TOGETHER).collect().await;
        for (subnet, _) in asked.into_iter().filter(|(_, lives)| !lives) {
            self.lapse(subnet);
        }
    }

    fn lapse(&mut self, subnet: SubnetKey) {
        let seconds = self.window.as_secs();
        tracing::warn!(
            %subnet, seconds, "a host's lease has ended without a word; it counts as there"
        );
        self.view.lapse(subnet, since_boot() + self.window);
    }

    /// Whether a session is there. Where the store does not say, which may be why it has ended, it is
    /// not: a host that counts as there for too long does less harm than one that is cut off.
    async fn lives(&self, session: Session) -> bool {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        for _ in 0..ASKED {
            match self.leases.store.time_to_live(session).await {
                Ok(left) => return left.is_some(),
                Err(error) => {
                    let error = cni::ErrorChain(&error).to_string();
                    tracing::debug!(
                        error,
                        "the store does not say how a lease ended; trying again"
                    );
                }
            }
            backoff.wait().await;
        }
        false
    }

    /// How long until somebody's time is over.
    fn left(&self) -> Option<Duration> {
        let lapsed = self.view.next_end().map(|end| end.saturating_sub(since_boot()));
        [self.state.left(since_boot()), lapsed].into_iter().flatten().min()
    }

    /// Those whose time is over are gone.
    fn over(&mut self) -> Vec<ClusterEvent> {
        let mut gone = self.view.expire(since_boot());
        if self.state.left(since_boot()).is_some_and(|left| left.is_zero()) {
            self.state.until = None;
            gone.extend(self.view.give_up());
        }
        gone
    }

    async fn listed(&mut self, listing: Listing, anew: bool) -> Vec<ClusterEvent> {
        let renamed = self.renamed().await;
        if anew || renamed {
            tracing::error!(
                "the store was built anew: hosts that have not registered again count as there \
                 for {} s",
                self.window.as_secs()
            );
            self.state.until = Some(since_boot() + self.window);
            self.view.forget_revisions();
            (self.store, self.is_untold) = (self.store + 1, true);
        }
        let keep = self.state.left(since_boot()).is_some_and(|left| !left.is_zero());
        if !keep {
            // How their leases ended was not heard.
            self.lapse_ended(self.view.vanished(&listing)).await;
        }
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

    /// Tells hosts that have no memory what is missing: they must not take its subnets. A store that
    /// was built anew is told before the agent writes a configuration there, by which others could
    /// take one; later nothing waits for it.
    async fn say(&mut self) {
        let (missing, until) = (Arc::clone(&self.state.missing), self.state.until);
        self.teller.say(Word { store: self.store, missing, until });
        if std::mem::take(&mut self.is_untold) {
            self.teller.asked(self.store).await;
        }
    }
}
