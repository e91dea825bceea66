//! With a lease: keep it, keep the kernel right, tell others.

use std::time::Duration;

use super::insight::Overdue;
use super::serving::Serving;
use super::signals::Signals;
use super::start::Started;
use super::{Agent, AgentError, notify};
use crate::lease::{Keeper, Status};

/// How long the store may take for a last word.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long before files that could not be written are tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(5);
/// How long before a configuration that the store did not let be followed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until a signal; then lets everything end in order. The kernel keeps what was made.
///
/// # Errors
/// Where the loop cannot be started.
pub(super) async fn serve(
    agent: &Agent,
    started: Started,
    signals: &mut Signals,
) -> Result<(), AgentError> {
    let mut serving = Serving::begin(agent, started).await?;
    let mut health = serving.health();
    let mut store = agent.insight.store.clone();
    loop {
        note_away(agent);
        let pause = announce_if_due(agent, &mut serving).min(note_overdue(agent));
        tokio::select! {
            () = signals.heard() => break,
            Ok(()) = health.changed() => {
                let health = health.borrow_and_update().clone();
                agent.standing.send_modify(|standing| standing.health = health);
            }
            Ok(()) = serving.lease.changed() => {
                let status = serving.lease.borrow_and_update().clone();
                note_lease(agent, &status).await;
            }
            Ok(()) = serving.uplink.seen.changed() => serving.looked(),
            Ok(()) = serving.store.changed() => serving.told_of_store().await,
            Some(news) = serving.configured.recv() => serving.reconfigured(news).await,
            Ok(()) = store.changed() => {
                let session = agent.insight.session();
                let kept = session.and_then(|id| store.borrow_and_update().kept.get(&id).copied());
                keep(agent.memory.keep_sign(kept).await, "the lease's sign of life");
            }
            () = tokio::time::sleep(RETRY), if serving.is_pending() => serving.retry().await,
            () = tokio::time::sleep(pause) => {}
        }
    }
    notify::stopping();
    drain(serving.keeper).await;
    Ok(())
}

/// Writes the files for others where they are due. Gives how long to wait before another try.
fn announce_if_due(agent: &Agent, serving: &mut Serving<'_>) -> Duration {
    let unwritten = serving.announce().err();
    let announced = serving.is_announced();
    let first = announced && !agent.standing.borrow().announced;
    let pause = if unwritten.is_some() { WRITE_PAUSE } else { Duration::from_secs(3600) };
    agent.standing.send_if_modified(|standing| {
        let news = first || standing.unwritten != unwritten;
        if let Some(reason) = &unwritten {
            tracing::error!("{reason}; trying again");
        }
        standing.announced |= announced;
        standing.unwritten = unwritten;
        news
    });
    if first {
        notify::ready();
        tracing::info!("ready");
    }
    pause
}

/// Notes whether the store answers.
fn note_away(agent: &Agent) {
    let away = agent.insight.store.borrow().trouble.clone();
    agent.standing.send_if_modified(|standing| {
        let news = standing.away.is_some() != away.is_some();
        if news {
            standing.away = away;
        }
        news
    });
}

/// Notes what time has made wrong. Gives how long that stays so, if nothing happens.
fn note_overdue(agent: &Agent) -> Duration {
    let Overdue { reason, look_again } = agent.insight.overdue();
    agent.standing.send_if_modified(|standing| {
        let news = standing.overdue != reason;
        match &reason {
            Some(reason) if news => tracing::error!(%reason, "not ready"),
            Some(_) | None => {}
        }
        standing.overdue = reason;
        news
    });
    look_again
}

/// What is not kept is missed only when the store is away at the next start.
pub(super) fn keep(kept: Result<(), AgentError>, what: &str) {
    if let Err(error) = kept {
        let error = cni::ErrorChain(&error).to_string();
        tracing::warn!(error, "{what} is not kept on this host");
    }
}

async fn note_lease(agent: &Agent, status: &Status) {
    if let Status::Held(held) = status {
        keep(agent.memory.keep_lease(held).await, "the lease");
    }
    agent.standing.send_if_modified(|standing| {
        let lost = match status {
            Status::Held(_) => None,
            Status::Lost { reason } => Some(reason.clone()),
        };
        let news = standing.lost != lost;
        match (&standing.lost, &lost) {
            (Some(_), None) => tracing::info!("the lease is this host's again"),
            (_, Some(reason)) if news => tracing::error!(
                %reason, "the lease is lost; containers stay as they are, and it is tried for again"
            ),
            _ => {}
        }
        standing.lost = lost;
        news
    });
}

/// The lease stays for its time; only the sign of life ends.
async fn drain(keeper: Keeper) {
    if tokio::time::timeout(LAST_WORD, keeper.stop()).await.is_err() {
        tracing::warn!("the store took no last word in time");
    }
}
