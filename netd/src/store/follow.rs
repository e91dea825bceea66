//! Following what is below a prefix, whatever happens to the store.

use std::sync::Arc;
use std::time::Duration;

use cni::ErrorChain;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::{Backoff, Change, Error, Event, Listing, Position, Store};

/// Between attempts to reach the store: each host at another time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is below a prefix, and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// This is all there is: at the start, and whenever changes may have been missed.
    Listed(Listing),
    /// The same, of a store that was built anew since the last news: it has another history.
    Anew(Listing),
    /// These changed, in order; none did where the store is there again after it was away.
    Changed(Vec<Change>),
}

/// Lists what is below a prefix and tells what happens to it, until the receiver is dropped. The
/// store may be away at any time: it is then tried again for ever, and after a break no change is
/// missed or told twice. A store that was built anew is told from the one before, also where its
/// revision has come as far again.
pub async fn follow(store: Arc<dyn Store>, prefix: String, to: mpsc::Sender<Followed>) {
    let receiver = to.clone();
    let following =
        Following { store, prefix, to, backoff: Backoff::new(PAUSES.0, PAUSES.1), trouble: None };
    tokio::select! {
        () = receiver.closed() => {}
        () = following.run() => {}
    }
}

struct Following {
    store: Arc<dyn Store>,
    prefix: String,
    to: mpsc::Sender<Followed>,
    backoff: Backoff,
    /// What was logged last, so that a store that is away for a day is one line.
    trouble: Option<String>,
}

/// How a watch ended.
enum Ended {
    /// The next one may follow where this one was.
    Broken,
    /// Changes were missed.
    Missed,
    /// The store has another history.
    Anew,
}

impl Following {
    /// Ends when the receiver is gone.
    async fn run(mut self) {
        let (mut known, mut anew) = (Position::default(), false);
        loop {
            let listing = self.list().await;
            anew |= known.contradiction(listing.revision, listing.history).is_some();
            known = Position::of(&listing);
            let news = if anew { Followed::Anew(listing) } else { Followed::Listed(listing) };
            if self.to.send(news).await.is_err() {
                return;
            }
            // Right after a listing the store is the one that was listed.
            let mut after = Position { witness: None, ..known.clone() };
            anew = loop {
                match self.watch(after, &mut known).await {
                    // Without a witness nothing tells whether it is the same store; there was nothing
                    // to list then.
                    Ended::Broken if known.witness.is_some() => after = known.clone(),
                    Ended::Broken | Ended::Missed => break false,
                    Ended::Anew => break true,
                }
            };
            if self.to.is_closed() {
                return;
            }
        }
    }

    async fn list(&mut self) -> Listing {
        loop {
            match self.store.list(&self.prefix).await {
                Ok(listing) => {
                    let _ = self.recovered();
                    return listing;
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// One watch; what is known goes on with it.
    async fn watch(&mut self, after: Position, known: &mut Position) -> Ended {
        let mut events = self.store.watch(&self.prefix, after);
        loop {
            match events.next().await {
                Some(Ok(Event::Changes { revision, changes })) => {
                    let is_back = self.recovered();
                    if revision > known.revision {
                        self.backoff.reset();
                    }
                    known.pass(revision, &changes);
                    // Who waits for the store hears that it is there.
                    if (is_back || !changes.is_empty())
                        && self.to.send(Followed::Changed(changes)).await.is_err()
                    {
                        return Ended::Missed;
                    }
                }
                Some(Ok(Event::Resync(reason))) => {
                    tracing::info!(prefix = self.prefix, reason, "list anew");
                    // A store that is compacted all the time is not listed all the time.
                    self.backoff.wait().await;
                    return Ended::Missed;
                }
                Some(Ok(Event::Anew(reason))) => {
                    tracing::warn!(prefix = self.prefix, reason, "the store was built anew");
                    // It answers: others must not be first to take what was here.
                    self.backoff.reset();
                    self.backoff.wait().await;
                    return Ended::Anew;
                }
                Some(Err(error)) => {
                    self.pause(&error).await;
                    return Ended::Broken;
                }
                None => return Ended::Broken,
            }
        }
    }

    async fn pause(&mut self, error: &Error) {
        let text = ErrorChain(error).to_string();
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(error = text, "the store cannot be followed; trying again");
            self.trouble = Some(text);
        }
        self.backoff.wait().await;
    }

    /// Whether it was away until now.
    fn recovered(&mut self) -> bool {
        let was_away = self.trouble.take().is_some();
        if was_away {
            tracing::info!(prefix = self.prefix, "the store is followed again");
        }
        was_away
    }
}
