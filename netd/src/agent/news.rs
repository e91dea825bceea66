//! News of the other hosts, and what is remembered of them as long as there are none.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::lease::{ClusterEvent, ClusterView, Known};

/// So long the store has to tell who there is: a host that remembers others does not wait for ever until it
/// connects its containers to them.
const PATIENCE: Duration = Duration::from_secs(2);

/// What counts until the store tells.
#[derive(Debug)]
pub(super) struct Remembered {
    view: ClusterView,
    /// For how long it is waited for what the store tells.
    patience: Duration,
}

impl Remembered {
    /// What is `known` of before: it counts at once where the store is known to be away (`alone`). A host that
    /// remembers nothing waits: what is in its kernel may be of hosts that live.
    pub(super) fn of(known: &Known, alone: bool) -> Option<Self> {
        let patience = if alone { Duration::ZERO } else { PATIENCE };
        let knows = alone || *known != Known::default();
        knows.then(|| Self { view: known.view.clone(), patience })
    }
}

/// Passes on all `events`, until one cannot be. What is `remembered` comes first where the store has not told in
/// time who there is; whether an event is of the store goes with each.
pub(super) async fn pass_on(
    mut events: mpsc::Receiver<ClusterEvent>,
    remembered: Option<Remembered>,
    pass: impl Fn(ClusterEvent, bool) -> bool,
) {
    let patience = remembered.as_ref().map_or(Duration::ZERO, |remembered| remembered.patience);
    let late = tokio::time::sleep(patience);
    tokio::pin!(late);
    let mut remembered = remembered.map(|remembered| remembered.view);
    loop {
        let (event, of_store) = tokio::select! {
            biased;
            () = &mut late, if remembered.is_some() => {
                let Some(view) = remembered.take() else { continue };
                if !patience.is_zero() {
                    tracing::warn!(
                        hosts = view.peers.len(),
                        "the store does not tell who there is; those that are remembered count"
                    );
                }
                (ClusterEvent::Reset(view), false)
            }
            event = events.recv() => match event {
                Some(event) => (event, true),
                None => return,
            },
        };
        if of_store && matches!(event, ClusterEvent::Reset(_)) {
            remembered = None;
        }
        if !pass(event, of_store) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
