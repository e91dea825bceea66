//! What runs with a lease: the loop, the lease's keeper, the news of peers, of the interface and of
//! the configuration. What is in force can be changed while all of it runs.

mod reconfigure;

use std::time::{Duration, Instant};

use cni::ErrorChain;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::beside::{self, Beside, News};
use super::force::InForce;
use super::insight::Running;
use super::start::Started;
use super::uplink::{Following, Unfit, Uplink};
use super::{Agent, AgentError, announce, conflict, guard, news};
use crate::config::network::NetworkConfig;
use crate::lease::{ClusterEvent, Configured, Keeper, Known, Status, StoreState};
use crate::reconcile::{self, Input, Inputs, Reconciler};
use crate::underlay::Underlay;

/// What runs with a lease.
pub(super) struct Serving<'a> {
    agent: &'a Agent,
    force: InForce,
    reconciler: Reconciler,
    pub(super) keeper: Keeper,
    /// How the lease is.
    pub(super) lease: watch::Receiver<Status>,
    /// News of the network configuration.
    pub(super) configured: mpsc::Receiver<Configured>,
    /// News of the interface between hosts.
    pub(super) uplink: Following,
    /// Which store it is.
    pub(super) store: watch::Receiver<StoreState>,
    telling: watch::Sender<StoreState>,
    /// The store was built anew, and has had no network configuration since.
    restoring: bool,
    /// The interface has changed, and that could not be followed yet.
    unmoved: bool,
    /// A configuration that is to be followed as soon as the store does what it takes.
    pending: Option<(NetworkConfig, Vec<u8>)>,
    /// Until when hosts may be missing in it.
    until: Option<Duration>,
    since: Instant,
    remembered_until: Option<Duration>,
    /// What others read, and whether it is to be written.
    files: Vec<guard::Wanted>,
    to_write: bool,
    guarded: Option<JoinSet<()>>,
    peers: JoinSet<()>,
    /// What the backend does beside the kernel's state.
    beside: Beside,
}

impl<'a> Serving<'a> {
    /// Begins.
    ///
    /// # Errors
    /// Where the loop cannot be started.
    pub(super) async fn begin(agent: &'a Agent, started: Started) -> Result<Self, AgentError> {
        let beside = beside::start(agent, &started).await?;
        let Started { force, known, alone, lost, remembered_until } = started;
        let keeper = match lost {
            None => agent.leases.keep(force.held.clone()),
            Some(reason) => agent.leases.keep_lost(force.held.clone(), reason),
        };
        // Before the first look, so that nothing falls between.
        let events = reconcile::listen().map_err(AgentError::Events)?;
        let goal = force.goal(&agent.options);
        let reconciler = Reconciler::start(goal, events, agent.place.part.clone())
            .map_err(AgentError::Thread)?;
        let remembered = news::Remembered::of(&known, alone);
        let (telling, store) = watch::channel(known.store.clone());
        let restoring = known.store.until.is_some();
        let uplink = follow_uplink(agent, &force, &reconciler);
        let serving = Self {
            agent,
            lease: keeper.status(),
            keeper,
            configured: agent.leases.follow_config(),
            uplink,
            unmoved: false,
            pending: None,
            since: Instant::now(),
            remembered_until,
            files: Vec::new(),
            to_write: false,
            guarded: None,
            peers: forward(
                agent,
                &force,
                (known, remembered),
                reconciler.inputs(),
                (telling.clone(), beside.tell.clone()),
            ),
            store,
            telling,
            restoring,
            until: None,
            force,
            reconciler,
            beside,
        };
        Ok(serving.told())
    }

    /// Whether the lease is lost for good: no container has an address of it any more, or an
    /// administrator got this host another. Where the store does not say, it is not.
    pub(super) async fn is_given_up(&self) -> bool {
        let (subnet, public_ip) = (self.force.held.subnet, self.force.held.value.public_ip);
        match self.agent.leases.has_another_than(&subnet, public_ip).await {
            Ok(has_another) => has_another || !conflict::is_used(&subnet),
            Err(_) => false,
        }
    }

    /// How the kernel is.
    pub(super) fn health(&self) -> watch::Receiver<reconcile::Health> {
        self.reconciler.health()
    }

    /// The interface was looked at.
    pub(super) async fn looked(&mut self) {
        let seen = self.uplink.seen.borrow_and_update().clone();
        let changed = match &seen {
            Ok(underlay) if *underlay != self.force.underlay => self.moves(underlay).await,
            Ok(_) => None,
            Err(unfit) => Some(unfit.clone()),
        };
        self.unmoved = seen.is_ok() && changed.is_some();
        self.agent.standing.send_if_modified(|standing| {
            let news = standing.unfit != changed;
            if let Some(Unfit { reason, .. }) = changed.as_ref().filter(|_| news) {
                tracing::warn!(%reason, "the interface between hosts");
            }
            standing.unfit = changed;
            news
        });
    }

    /// Writes the files for others, if they are due: once everything was made for the first time,
    /// and whenever what is in force has changed.
    ///
    /// # Errors
    /// A sentence with the file and the reason.
    pub(super) fn announce(&mut self) -> Result<(), String> {
        if !self.to_write || !self.agent.standing.borrow().health.synced {
            return Ok(());
        }
        self.guarded = None;
        announce::write(&self.files)?;
        self.guarded = Some(guard::files(self.files.clone()));
        self.to_write = false;
        Ok(())
    }

    /// Whether the files for others are as they should be.
    pub(super) fn is_announced(&self) -> bool {
        !self.to_write
    }

    /// The interface has another address or MTU. Gives why that cannot be used.
    async fn moves(&mut self, underlay: &Underlay) -> Option<Unfit> {
        let (config, old) = (self.force.config.clone(), self.force.underlay.clone());
        let changed = match self.backend(&config).await {
            Ok(backend) => {
                let force = self.force.with(&config, &backend, underlay);
                force.map_err(|e| ErrorChain(&e).to_string()).and_then(|force| self.change(force))
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = changed {
            return Some(Unfit { harmless: false, reason });
        }
        tracing::info!(
            interface = %underlay.link, address = %underlay.v4, mtu = underlay.mtu,
            before = %old.v4, mtu_before = old.mtu, "the interface between hosts changed"
        );
        None
    }

    /// Puts something else in force. Gives why that cannot be; what was before stays then.
    fn change(&mut self, force: InForce) -> Result<(), String> {
        self.beside.change(&force).map_err(|error| ErrorChain(&error).to_string())?;
        let goal = Box::new(force.goal(&self.agent.options));
        // It has ended only where the whole agent does.
        let _ = self.reconciler.inputs().send(Input::Goal(goal));
        self.keeper.publish(force.held.value.clone());
        let other_families = force.underlay.v6.is_some() != self.force.underlay.v6.is_some();
        self.force = force;
        if other_families {
            self.uplink = follow_uplink(self.agent, &self.force, &self.reconciler);
        }
        self.tell();
        Ok(())
    }

    fn told(mut self) -> Self {
        self.tell();
        self
    }

    /// Tells administrators and plugins what is in force.
    fn tell(&mut self) {
        let (agent, force) = (self.agent, &self.force);
        let env = force.env(&agent.options);
        let files = announce::files(&agent.options, &env);
        self.to_write |= files != self.files;
        self.files = files;
        agent.insight.running.send_replace(Some(Running {
            subnet: force.held.subnet,
            backend: force.backend(),
            lease: self.keeper.status(),
            inputs: self.reconciler.inputs(),
            counts: self.reconciler.counts(),
            since: self.since,
            resync: agent.options.resync,
            remembered_until: self.remembered_until,
        }));
        agent.standing.send_modify(|standing| standing.env = Some(env));
    }
}

fn uplink(agent: &Agent, force: &InForce) -> Uplink {
    Uplink {
        options: agent.options.iface.clone(),
        dual: force.underlay.v6.is_some(),
        link: force.underlay.link.clone(),
        every: agent.options.resync,
    }
}

fn follow_uplink(agent: &Agent, force: &InForce, reconciler: &Reconciler) -> Following {
    uplink(agent, force).follow(force.underlay.clone(), agent.leases.clone(), reconciler.uplink())
}

/// Hands the cluster's events to the loop, and to the memory.
fn forward(
    agent: &Agent,
    force: &InForce,
    (known, remembered): (Known, Option<news::Remembered>),
    to: Inputs,
    (store, beside): (watch::Sender<StoreState>, Option<mpsc::UnboundedSender<News>>),
) -> JoinSet<()> {
    let held = &force.held;
    let events = agent.leases.watch(held.subnet, known, agent.options.window());
    let mut tasks = JoinSet::new();
    let (keep, kept) = mpsc::unbounded_channel();
    tasks.spawn(agent.memory.clone().follow(kept).in_current_span());
    let told = news::pass_on(events, remembered, move |event, of_store| {
        if of_store {
            // The memory ends with this task only.
            let _ = keep.send(event.clone());
        }
        if let ClusterEvent::Store(state) = event {
            store.send_replace(state);
            return true;
        }
        if matches!(event, ClusterEvent::Renewed(_)) {
            return true;
        }
        if let Some(beside) = &beside {
            let _ = beside.send(News::Cluster(event.clone()));
        }
        to.send(Input::Cluster(event)).is_ok()
    });
    tasks.spawn(told.in_current_span());
    tasks
}
