//! All that the agent knows of a network, put together when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::reach::Reach;
use super::standing::Standing;
use crate::api::status::{
    Backend, ClusterNetworks, Configuration, HostNetworks, LastRound, Lease, Peers, Reconcile,
    Report, Store,
};
use crate::lease::{Held, Status, SubnetKey, since_boot};
use crate::reconcile::{Counts, Input, Inputs};
use crate::registry;
use crate::store::Session;

/// What is known from where.
#[derive(Debug, Clone)]
pub(super) struct Insight {
    /// The network's name, where this host is in several.
    pub(super) network: Option<String>,
    pub(super) endpoints: String,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) store: watch::Receiver<Reach>,
    /// Set once there is a lease, and whenever what is in force changes.
    pub(super) running: Arc<watch::Sender<Option<Running>>>,
}

/// What there is from the lease on.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) subnet: SubnetKey,
    pub(super) backend: Backend,
    pub(super) lease: watch::Receiver<Status>,
    pub(super) inputs: Inputs,
    pub(super) counts: watch::Receiver<Counts>,
    pub(super) since: Instant,
    /// How often the loop looks at everything.
    pub(super) resync: Duration,
    /// When a lease that is only remembered ends, since boot.
    pub(super) remembered_until: Option<Duration>,
}

/// What time has made wrong though nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overdue {
    pub(super) reason: Option<String>,
    /// When that may be another.
    pub(super) look_again: Duration,
}

impl Insight {
    /// How the agent stands.
    pub(super) fn report(&self) -> Report {
        let standing = self.standing.borrow().clone();
        let running = self.running.borrow();
        let running = running.as_ref();
        let counts = running.map(|running| *running.counts.borrow()).unwrap_or_default();
        let reason = standing.not_ready();
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            ready: reason.is_none(),
            reason,
            lease: self.lease(&standing),
            backend: running.map(|running| Backend {
                trouble: standing.trouble_of_commands(),
                ..running.backend.clone()
            }),
            configuration: Configuration { refused: standing.refused.clone() },
            store: self.store(),
            peers: peers(&standing),
            host_networks: host_networks(&standing),
            cluster_networks: cluster_networks(&standing),
            reconcile: reconcile(standing.health.trouble, &counts),
        }
    }

    /// The commands that the loop would run now.
    pub(super) async fn plan(&self) -> Result<Vec<String>, String> {
        let inputs = self.running.borrow().as_ref().map(|running| running.inputs.clone());
        let Some(inputs) = inputs else {
            return Err(self.standing.borrow().not_ready().unwrap_or_default());
        };
        let (answer, answered) = oneshot::channel();
        let ended = || "the loop that changes the kernel has ended".to_owned();
        inputs.send(Input::Plan(answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    fn lease(&self, standing: &Standing) -> Lease {
        let mut lease = Lease { state: standing.subnet().lease, ..Lease::default() };
        lease.reason.clone_from(&standing.lost);
        let running = self.running.borrow();
        let Some(running) = running.as_ref() else { return lease };
        lease.age_seconds = standing.acquired.as_ref().map(|since| seconds(since.age()));
        lease.subnet = Some(running.subnet.v4.to_string());
        lease.ipv6_subnet = running.subnet.v6.map(|subnet| subnet.to_string());
        if let Some(held) = running.lease.borrow().held() {
            lease.id = held.session.map(|session| session.to_string());
            lease.ttl_seconds = held.session.map(|_| seconds(held.time_to_live));
            lease.since_keep_alive_seconds =
                kept(held, &self.store.borrow()).map(|kept| seconds(since(kept)));
        }
        lease
    }

    fn store(&self) -> Store {
        let reach = self.store.borrow();
        Store {
            endpoints: self.endpoints.clone(),
            reachable: reach.trouble.is_none() && reach.answered.is_some(),
            reason: reach.trouble.clone(),
            since_answer_seconds: reach.answered.map(|at| seconds(since(at))),
            answers: reach.answers,
            failures: reach.failures,
        }
    }

    /// What this host's lease lives by.
    pub(super) fn session(&self) -> Option<Session> {
        self.running.borrow().as_ref()?.lease.borrow().held()?.session
    }

    /// Whether the lease may have ended for want of signs of life, or the loop hangs.
    pub(super) fn overdue(&self) -> Overdue {
        let running = self.running.borrow();
        let Some(running) = running.as_ref() else { return NEVER };
        let lapsed = match &*running.lease.borrow() {
            Status::Held(held) => {
                let kept = kept(held, &self.store.borrow()).map(|at| at + held.time_to_live);
                // Until this agent has given a sign of life, that of the last one counts.
                let until = kept.or(held.session.and(running.remembered_until));
                until.map(|end| lapsed(held.time_to_live, end.saturating_sub(since_boot())))
            }
            Status::Lost { .. } => None,
        };
        let lapsed = lapsed.unwrap_or(NEVER);
        let ended = running.counts.borrow().last_round.map_or(running.since, |last| last.ended);
        let stalled = stalled(running.resync, ended.elapsed());
        Overdue {
            reason: lapsed.reason.or(stalled.reason),
            look_again: lapsed.look_again.min(stalled.look_again),
        }
    }
}

/// Nothing is, nor will be.
const NEVER: Overdue = Overdue { reason: None, look_again: Duration::from_secs(3600) };

/// Before a cause of unreadiness that is there already is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// A lease that has got no sign of life for its time may be another host's.
fn lapsed(time_to_live: Duration, left: Duration) -> Overdue {
    if !left.is_zero() {
        return Overdue { reason: None, look_again: left };
    }
    Overdue {
        reason: Some(format!(
            "the store has taken no sign of life for the {} s that the lease lives",
            time_to_live.as_secs()
        )),
        look_again: AGAIN,
    }
}

/// A loop that has not looked at everything for twice its time, and as long as a retry may take.
fn stalled(resync: Duration, since_round: Duration) -> Overdue {
    let bound = resync * 2 + Duration::from_secs(60);
    match bound.checked_sub(since_round) {
        Some(left) if !left.is_zero() => Overdue { reason: None, look_again: left },
        Some(_) | None => Overdue {
            reason: Some(format!(
                "the kernel was not looked at for {} s: the loop hangs, or the store has not \
                 told the peers yet",
                bound.as_secs()
            )),
            look_again: AGAIN,
        },
    }
}

fn kept(held: &Held, reach: &Reach) -> Option<Duration> {
    reach.kept.get(&held.session?).copied()
}

fn since(at: Duration) -> Duration {
    since_boot().saturating_sub(at)
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn peers(standing: &Standing) -> Peers {
    let health = &standing.health;
    let reasons: BTreeMap<String, u64> =
        health.reasons.iter().map(|(kind, count)| ((*kind).to_owned(), *count as u64)).collect();
    Peers {
        total: health.peers as u64,
        unconnected: health.unconnected as u64,
        missing: standing.missing as u64,
        reasons,
        example: health.reason.clone(),
        outside: health.outside as u64,
        outsider: health.outsider.map(|key| key.to_string()),
    }
}

fn host_networks(standing: &Standing) -> HostNetworks {
    let registry::Health { trouble, dns, clashes, .. } = standing.networks.clone();
    HostNetworks { trouble, dns, clashes }
}

fn cluster_networks(standing: &Standing) -> Option<ClusterNetworks> {
    let registry::Health { overlays, membership, .. } = standing.networks.clone();
    membership.map(|membership| ClusterNetworks {
        troubles: membership.troubles(),
        networks: membership.networks as u64,
        live: membership.silent.is_none(),
        since_confirmed_seconds: membership.confirmed.map(|at| seconds(since(at))),
        allocates: membership.allocates,
        remembered: membership.remembered,
        overlays,
    })
}

fn reconcile(trouble: Option<String>, counts: &Counts) -> Reconcile {
    Reconcile {
        trouble,
        last: counts.last_round.map(|last| LastRound {
            succeeded: last.succeeded,
            age_seconds: seconds(last.ended.elapsed()),
            duration_seconds: last.took.as_secs_f64(),
        }),
        first_seconds: counts.first_round.map(|took| took.as_secs_f64()),
        rounds: counts.rounds,
        failed_rounds: counts.failed_rounds,
        steps_applied: counts.applied,
        steps_failed: counts.failed,
        kernel_events: counts.events,
        kernel_events_lost: counts.losses,
        resyncs: counts.listings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lapses_when_it_had_no_sign_of_life_for_its_time() {
        let secs = Duration::from_secs;
        assert_eq!(lapsed(secs(60), secs(40)), Overdue { reason: None, look_again: secs(40) });
        let over = lapsed(secs(60), secs(0));
        assert!(over.reason.unwrap().contains("no sign of life for the 60 s"));
        assert_eq!(over.look_again, AGAIN);
    }

    #[test]
    fn a_loop_that_misses_two_looks_and_a_retry_hangs() {
        let secs = Duration::from_secs;
        assert_eq!(stalled(secs(60), secs(170)), Overdue { reason: None, look_again: secs(10) });
        assert!(stalled(secs(60), secs(181)).reason.unwrap().contains("for 180 s"));
    }
}
