//! With a lease: keep it, keep the kernel right, tell others.

use std::time::{Duration, Instant};

use drivers::traffic::Traffic;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::insight::{Overdue, Running};
use super::signals::Signals;
use super::start::Started;
use super::{Agent, AgentError, announce, beside, guard, notify};
use crate::api::status::Backend;
use crate::lease::{ClusterEvent, Keeper, Status};
use crate::reconcile::{self, Goal, Input, Inputs, Reconciler};

/// How long the store may take for a last word.
const LAST_WORD: Duration = Duration::from_secs(2);
/// How long before files that could not be written are tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(5);

/// Runs until a signal; then lets everything end in order. The kernel keeps what was made.
///
/// # Errors
/// Where the loop cannot be started.
pub(super) async fn serve(
    agent: &Agent,
    started: Started,
    signals: &mut Signals,
) -> Result<(), AgentError> {
    let beside = beside::start(agent, &started).await?;
    let goal = goal(agent, &started);
    let keeper = agent.leases.keep(started.held.clone());
    // Before the first look, so that nothing falls between.
    let events = reconcile::listen().map_err(AgentError::Events)?;
    let reconciler = Reconciler::start(goal, events).map_err(AgentError::Thread)?;
    let _watchdog = notify::watchdog(reconciler.inputs());
    if let Some(view) = started.peers.clone() {
        let known = Input::Cluster(ClusterEvent::Reset(view));
        // It has ended only if it could not begin.
        let _ = reconciler.inputs().send(known);
    }
    let events = agent.leases.watch(started.held.subnet);
    let _peers = forward(agent, events, reconciler.inputs(), beside.tell.clone());
    agent.standing.send_modify(|standing| standing.env = Some(started.env.clone()));
    let mut health = reconciler.health();
    let mut lease = keeper.status();
    let running = running(agent, &started, &reconciler, keeper.status());
    // Set once, here.
    let _ = agent.insight.running.set(running);
    let mut store = agent.insight.store.clone();
    let files = announce::files(&agent.options, &started.env);
    let mut guarded = None;
    loop {
        note_away(agent);
        let pause = announce_if_due(agent, &files).min(note_overdue(agent));
        if agent.standing.borrow().announced {
            guarded.get_or_insert_with(|| guard::files(files.clone()));
        }
        tokio::select! {
            () = signals.heard() => break,
            Ok(()) = health.changed() => {
                let health = health.borrow_and_update().clone();
                agent.standing.send_modify(|standing| standing.health = health);
            }
            Ok(()) = lease.changed() => {
                let status = lease.borrow_and_update().clone();
                note_lease(agent, &status).await;
            }
            Ok(()) = store.changed() => {
                let session = agent.insight.session();
                let kept = session.and_then(|id| store.borrow_and_update().kept.get(&id).copied());
                keep(agent.memory.keep_sign(kept).await, "the lease's sign of life");
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
    notify::stopping();
    drain(keeper).await;
    Ok(())
}

fn running(
    agent: &Agent,
    started: &Started,
    reconciler: &Reconciler,
    lease: watch::Receiver<Status>,
) -> Running {
    Running {
        subnet: started.held.subnet,
        backend: Backend {
            kind: started.overlay.backend().kind().to_owned(),
            interface: started.overlay.parent().to_string(),
            public_ip: started.held.value.public_ip.to_string(),
            mtu: started.overlay.mtu(),
        },
        lease,
        inputs: reconciler.inputs(),
        counts: reconciler.counts(),
        since: Instant::now(),
        resync: agent.options.resync,
        remembered_until: started.remembered_until,
    }
}

fn goal(agent: &Agent, started: &Started) -> Goal {
    let options = &agent.options;
    let v6 = started.config.ipv6.map(|(network, _)| network.into());
    Goal {
        overlay: started.overlay.clone(),
        traffic: Traffic {
            networks: std::iter::once(started.config.network.into()).chain(v6).collect(),
            subnets: started.held.subnet.networks().collect(),
            masquerade: options.ip_masq,
            fully_random: options.ip_masq_fully_random,
        },
        forward_rules: options.forward_rules,
        blackhole: options.blackhole_route,
        resync: options.resync,
    }
}

/// Hands the cluster's events to the loop, to the memory, and to what else the backend consists of.
fn forward(
    agent: &Agent,
    mut events: mpsc::Receiver<ClusterEvent>,
    to: Inputs,
    beside: Option<mpsc::UnboundedSender<ClusterEvent>>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (keep, kept) = mpsc::unbounded_channel();
    tasks.spawn(agent.memory.clone().follow(kept));
    tasks.spawn(async move {
        while let Some(event) = events.recv().await {
            // The memory ends with this task only.
            let _ = keep.send(event.clone());
            if let Some(beside) = &beside {
                let _ = beside.send(event.clone());
            }
            if to.send(Input::Cluster(event)).is_err() {
                return;
            }
        }
    });
    tasks
}

/// Writes the files for others once everything was made for the first time. Gives how long to
/// wait before another try.
fn announce_if_due(agent: &Agent, files: &[guard::Wanted]) -> Duration {
    let due = {
        let standing = agent.standing.borrow();
        standing.health.synced && !standing.announced
    };
    if !due {
        return Duration::from_secs(3600);
    }
    match announce::write(files) {
        Ok(()) => {
            agent.standing.send_modify(|standing| {
                standing.announced = true;
                standing.unwritten = None;
            });
            notify::ready();
            tracing::info!("ready");
            Duration::from_secs(3600)
        }
        Err(reason) => {
            tracing::error!("{reason}; trying again");
            agent.standing.send_modify(|standing| standing.unwritten = Some(reason));
            WRITE_PAUSE
        }
    }
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
fn keep(kept: Result<(), AgentError>, what: &str) {
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
