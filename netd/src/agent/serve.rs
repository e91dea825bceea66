//! With a lease: keep it, keep the kernel right, tell others.

use std::time::Duration;

use tokio::time::Interval;

use super::insight::Overdue;
use super::serving::Serving;
use super::start::Started;
use super::{Agent, AgentError, Stop, notify};
use crate::lease::{Keeper, Status};

/// How long the store may take for a last word.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long before files that could not be written are tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(5);
/// How long before a configuration that the store did not let be followed, or what the disk did not
/// keep, is tried again, and how often a lost lease is looked at.
const RETRY: Duration = Duration::from_secs(5);

/// Why the agent does not go on with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is to stop.
    Asked,
    /// The lease is another host's, and nothing here needs it.
    GivenUp,
}

/// Runs until it is to stop, or until a lost lease is given up; then lets everything end in order. The kernel keeps what was made.
///
/// # Errors
/// Where the loop cannot be started.
pub(super) async fn serve(
    agent: &Agent,
    started: Started,
    mut stop: Stop,
) -> Result<Ended, AgentError> {
    let mut serving = tokio::select! {
        begun = Serving::begin(agent, started) => begun?,
        () = stop.heard() => return Ok(Ended::Asked),
    };
    let status = serving.lease.borrow_and_update().clone();
    note_lease(agent, &status).await;
    let mut health = serving.health();
    let mut store = agent.insight.store.clone();
    // Timers that other events do not begin anew.
    let [mut given_up, mut again] = [(); 2].map(|()| tokio::time::interval(RETRY));
    let ended = loop {
        note_away(agent);
        reset_unless(is_lost(agent), &mut given_up);
        let is_left = serving.is_pending() || agent.memory.has_unwritten();
        reset_unless(is_left, &mut again);
        let pause = announce_if_due(agent, &mut serving).min(note_overdue(agent));
        tokio::select! {
            () = stop.heard() => break Ended::Asked,
            Ok(()) = health.changed() => {
                let health = health.borrow_and_update().clone();
                agent.standing.send_modify(|standing| standing.health = health);
            }
            Ok(()) = serving.lease.changed() => {
                let status = serving.lease.borrow_and_update().clone();
                note_lease(agent, &status).await;
            }
            Ok(()) = serving.uplink.seen.changed() => {
                if ends_before(&mut stop, serving.looked()).await { break Ended::Asked }
            }
            Ok(()) = serving.store.changed() => {
                if ends_before(&mut stop, serving.told_of_store()).await { break Ended::Asked }
            }
            Some(news) = serving.configured.recv() => {
                if ends_before(&mut stop, serving.reconfigured(news)).await { break Ended::Asked }
            }
            Ok(()) = store.changed() => {
                let session = agent.insight.session();
                let kept = session.and_then(|id| store.borrow_and_update().kept.get(&id).copied());
                keep(agent.memory.keep_sign(kept).await, "the lease's sign of life");
            }
            _ = again.tick(), if is_left => {
                keep(agent.memory.write_again().await, "what could not be kept before");
                if ends_before(&mut stop, serving.retry()).await { break Ended::Asked }
            }
            _ = given_up.tick(), if is_lost(agent) => {
                let mut is_given_up = false;
                let asked = async { is_given_up = serving.is_given_up().await };
                if ends_before(&mut stop, asked).await { break Ended::Asked }
                if is_given_up { break Ended::GivenUp }
            }
            () = tokio::time::sleep(pause) => {}
        }
    };
    drain(serving.keeper).await;
    Ok(ended)
}

fn reset_unless(is_needed: bool, timer: &mut Interval) {
    if !is_needed {
        timer.reset();
    }
}

fn is_lost(agent: &Agent) -> bool {
    agent.standing.borrow().lost.is_some()
}

/// Whether the end comes before something is done: an administrator's command may take its time.
async fn ends_before(stop: &mut Stop, work: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = stop.heard() => true,
        () = work => false,
    }
}

/// Writes the files for others where they are due. Gives how long to wait before another try.
fn announce_if_due(agent: &Agent, serving: &mut Serving<'_>) -> Duration {
    let unwritten = serving.announce().err();
    let announced = serving.is_announced();
    let first = announced && !agent.standing.borrow().announced;
    let pause = if unwritten.is_some() { WRITE_PAUSE } else { Duration::from_secs(3600) };
    agent.standing.send_if_modified(|standing| {
        let news = standing.unwritten != unwritten;
        if let Some(reason) = unwritten.as_ref().filter(|_| news) {
            tracing::error!("{reason}; trying again");
        }
        standing.announced |= announced;
        standing.unwritten = unwritten;
        first || news
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
    let acquired = match status {
        Status::Held(held) => {
            keep(agent.memory.keep_lease(held).await, "the lease");
            let known = agent.standing.borrow().acquired.clone();
            Some(agent.memory.acquired(held, known).await)
        }
        Status::Lost { reason } => {
            keep(agent.memory.keep_lost(reason).await, "that the lease is lost");
            None
        }
    };
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
        standing.acquired = acquired;
        news
    });
}

/// The lease stays for its time; only the sign of life ends.
async fn drain(keeper: Keeper) {
    if tokio::time::timeout(LAST_WORD, keeper.stop()).await.is_err() {
        tracing::warn!("the store took no last word in time");
    }
}
