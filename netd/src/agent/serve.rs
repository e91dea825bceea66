//! With a lease: keep it, keep the kernel right, tell others.

use std::sync::mpsc::Sender;
use std::time::Duration;

use drivers::traffic::Traffic;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::signals::Signals;
use super::start::Started;
use super::{Agent, AgentError, announce, guard, notify};
use crate::lease::{ClusterEvent, Keeper, Status};
use crate::reconcile::{Goal, Input, Listener, Reconciler};

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
    let goal = goal(agent, &started);
    let keeper = agent.leases.keep(started.held.clone());
    let reconciler = Reconciler::start(goal).map_err(AgentError::Thread)?;
    // Before the first look, so that nothing falls between.
    let _listener = Listener::start(reconciler.inputs()).map_err(AgentError::Events)?;
    let _watchdog = notify::watchdog(reconciler.inputs());
    if let Some(view) = started.peers.clone() {
        let known = Input::Cluster(ClusterEvent::Reset(view));
        // It has ended only if it could not begin.
        let _ = reconciler.inputs().send(known);
    }
    let _peers = forward(agent, agent.leases.watch(started.held.subnet), reconciler.inputs());
    agent.standing.send_modify(|standing| standing.env = Some(started.env.clone()));
    let mut health = reconciler.health();
    let mut lease = keeper.status();
    let files = announce::files(&agent.options, &started.env);
    let mut guarded = None;
    loop {
        let pause = announce_if_due(agent, &files);
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
            () = tokio::time::sleep(pause) => {}
        }
    }
    notify::stopping();
    drain(keeper).await;
    Ok(())
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

/// Hands the cluster's events to the loop, and to the memory; says whether the store is there.
fn forward(
    agent: &Agent,
    mut events: mpsc::Receiver<ClusterEvent>,
    to: Sender<Input>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (keep, kept) = mpsc::unbounded_channel();
    tasks.spawn(agent.memory.clone().follow(kept));
    let standing = agent.standing.clone();
    tasks.spawn(async move {
        while let Some(event) = events.recv().await {
            if let ClusterEvent::Away(reason) = event {
                standing.send_modify(|standing| standing.away = reason);
                continue;
            }
            if matches!(event, ClusterEvent::Reset(_)) {
                standing.send_if_modified(|standing| standing.away.take().is_some());
            }
            // The memory ends with this task only.
            let _ = keep.send(event.clone());
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

async fn note_lease(agent: &Agent, status: &Status) {
    if let Status::Held(held) = status
        && let Err(error) = agent.memory.keep_lease(held).await
    {
        let error = cni::ErrorChain(&error).to_string();
        tracing::warn!(error, "the lease is not kept on this host");
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
