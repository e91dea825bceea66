//! What systemd is told (sd_notify(3)); without `NOTIFY_SOCKET` nothing is.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::standing::Standing;
use crate::reconcile::{Input, Inputs};

/// Tells of every change of how the agent stands, until dropped.
pub(super) fn status(mut standing: watch::Receiver<Standing>) -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut told = String::new();
        loop {
            let line = standing.borrow_and_update().line();
            if line != told {
                tell(&[NotifyState::Status(&line)]);
                told = line;
            }
            if standing.changed().await.is_err() {
                return;
            }
        }
    });
    task
}

/// The agent does what it is there for.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The agent is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Shows signs of life, if systemd wants them (`WatchdogSec=`), as long as both the runtime and
/// the loop answer.
pub(super) fn watchdog(inputs: Inputs) -> JoinSet<()> {
    let mut task = JoinSet::new();
    if let Some(limit) = sd_notify::watchdog_enabled() {
        task.spawn(feed(limit / 3, inputs));
    }
    task
}

async fn feed(pause: Duration, inputs: Inputs) {
    loop {
        let (answer, answered) = oneshot::channel();
        if inputs.send(Input::Ping(answer)).is_err() {
            return;
        }
        if answered.await.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(pause).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
