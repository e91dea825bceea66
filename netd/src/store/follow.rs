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
    /// These changed, in order.
    Changed(Vec<Change>),
}

/// Lists what is below a prefix and tells what happens to it, until the receiver is dropped. The
/// store may be away at any time: it is then tried again for ever, and after a break no change is
/// missed or told twice.
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

impl Following {
    /// Ends when the receiver is gone.
    async fn run(mut self) {
        loop {
            let listing = match self.store.list(&self.prefix).await {
                Ok(listing) => listing,
                Err(error) => {
                    self.pause(&error).await;
                    continue;
                }
            };
            self.recovered();
            let Listing { revision, history, .. } = listing;
            let mut known = Position { revision, history };
            if self.to.send(Followed::Listed(listing)).await.is_err() {
                return;
            }
            while let Some(told) = self.watch(known).await {
                known = told;
            }
            if self.to.is_closed() {
                return;
            }
        }
    }

    /// One watch; the point that the next one is to follow, `None` when everything must be
    /// listed again.
    async fn watch(&mut self, mut known: Position) -> Option<Position> {
        let mut events = self.store.watch(&self.prefix, known);
        loop {
            match events.next().await {
                Some(Ok(Event::Changes { revision, changes })) => {
                    self.recovered();
                    if revision > known.revision {
                        self.backoff.reset();
                        known.revision = revision;
                    }
                    if !changes.is_empty()
                        && self.to.send(Followed::Changed(changes)).await.is_err()
                    {
                        return None;
                    }
                }
                Some(Ok(Event::Resync(reason))) => {
                    tracing::info!(prefix = self.prefix, reason, "list anew");
                    // A store that is compacted all the time is not listed all the time.
                    self.backoff.wait().await;
                    return None;
                }
                Some(Err(error)) => {
                    self.pause(&error).await;
                    return Some(known);
                }
                None => return Some(known),
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

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(prefix = self.prefix, "the store is followed again");
        }
    }
}
