//! The agent: leases a subnet, connects it with all others, and keeps it so until it is told to
//! stop.
//!
//! The visible order is flanneld's: options, previous subnet, store, signals, health, network
//! configuration, interface, backend, lease, kernel, subnet.env, READY.

mod announce;
mod beside;
mod change;
mod conflict;
mod error;
mod extension;
mod force;
mod global;
mod guard;
mod http;
mod identity;
mod insight;
mod insights;
mod leave;
mod lock;
mod logging;
mod macs;
mod memory;
mod metrics;
mod missing;
mod networks;
mod news;
mod notify;
mod place;
mod reach;
mod secret;
mod serve;
mod serving;
mod signals;
mod standing;
mod start;
mod uplink;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use netd_api::Previous;
use tokio::sync::watch;
use tracing::Instrument;

use crate::config::options::Options;
use crate::lease::{Host, Leases, SubnetKey};
use crate::registry::Claims;
use crate::store::{Backoff, Store};

pub use error::AgentError;
pub use leave::{Left, cleanup, leave};
pub use logging::log_to_stderr;

use insight::Insight;
use insights::Insights;
use lock::Lock;
use memory::Memory;
use place::Place;
use reach::Noted;
use serve::Ended;
use signals::Signals;
use standing::Standing;

/// The local store, below the state directory.
const LOCAL: &str = "netd.redb";

/// What every part of the agent needs, of one network. As a rule a host is in one; one that is in
/// several has one of these for each (docs/adr/0010).
#[derive(Debug)]
struct Agent {
    options: Options,
    leases: Leases,
    local: Arc<dyn Store>,
    memory: Memory,
    standing: watch::Sender<Standing>,
    insight: Insight,
    /// Its place among the networks of this host.
    place: Place,
}

/// Runs the agent until SIGTERM or SIGINT. Must be called on a thread that stays in the host's
/// network namespace, within a tokio runtime with I/O and time.
///
/// What was made stays behind: links, routes, rules, subnet.env, and the lease for its time.
///
/// # Errors
/// What keeps it from starting; nothing has been changed in the kernel then.
pub async fn run(options: Options) -> Result<(), AgentError> {
    options.ignored.iter().for_each(|text| tracing::info!("{text}"));
    let _lock = Lock::take(&options.state_dir)?;
    let mut signals = Signals::install().map_err(AgentError::Signals)?;
    if options.standalone {
        return networks::alone(&options, &mut signals).await;
    }
    let each = options.each();
    let previous: Vec<_> = each.iter().map(|of| previous(&of.subnet_file)).collect();
    let store = options.store.open().map_err(AgentError::StoreOptions)?;
    let host = Host::this().map_err(AgentError::Host)?;
    tracing::info!(
        machine = %host.machine_id, name = %host.name, endpoints = %options.store.etcd_endpoints,
        prefix = %options.store.etcd_prefix, "netd {}", env!("CARGO_PKG_VERSION")
    );
    let local: Arc<dyn Store> = Arc::new(memory::open(&options.state_dir.join(LOCAL))?);
    let (store, reach) = Noted::new(store);
    let store: Arc<dyn Store> = store;
    let claims = Claims::default();
    let all = place::all(&each, &local, &store, &host, &claims).await?;
    let cluster = global::open(&options, &store, &local, &host).await?;
    let (opened, _again) = networks::open_or_try_again(&options, &claims, Some(&cluster)).await;
    let _member = global::run(&cluster, &options, &host, &opened);
    let agents = all.into_iter().zip(each).map(|((leases, place), options)| {
        let (standing, seen) = watch::channel(Standing::default());
        let insight = Insight {
            network: options.network.clone(),
            endpoints: options.store.etcd_endpoints.clone(),
            standing: seen,
            store: reach.clone(),
            running: Arc::default(),
        };
        let memory = Memory::new(Arc::clone(&local), &options.store.etcd_prefix);
        Agent { options, leases, local: Arc::clone(&local), memory, standing, insight, place }
    });
    let agents: Vec<Agent> = agents.collect();
    let insights = Insights::new(agents.iter().map(|agent| agent.insight.clone()));
    let _http = http::serve(options.health, &options.run_dir, &insights, &opened).await?;
    let _socket = announce::socket(&options.run_dir, &insights, &opened)?;
    let _status = notify::status(&insights);
    let follow = |agent: &Agent| networks::follow(&opened, &agent.standing);
    let _trouble: Vec<_> = agents.iter().map(follow).collect();
    let _watchdog = notify::watchdog(move || {
        let insights = insights.clone();
        async move { insights.work().await }
    });
    let (stop, stopped) = watch::channel(false);
    let all = agents.iter().zip(previous);
    let all = all.map(|(agent, previous)| one(agent, previous, Stop(stopped.clone())));
    let mut all = pin!(try_join_all(all));
    tokio::select! {
        ended = &mut all => return ended.map(drop),
        () = signals.heard() => {}
    }
    notify::stopping();
    stop.send_replace(true);
    all.await.map(drop)
}

/// One network, until it is to stop. What keeps it from starting is the end where there is no other
/// one; beside others it is told, and tried again.
async fn one(agent: &Agent, previous: Option<SubnetKey>, mut stop: Stop) -> Result<(), AgentError> {
    let Some(name) = &agent.options.network else { return attempt(agent, previous, stop).await };
    let span = tracing::error_span!("network", %name);
    let tried = async {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        while let Err(error) = attempt(agent, previous, stop.clone()).await {
            start::wait(agent, &cni::ErrorChain(&error).to_string());
            tokio::select! {
                () = backoff.wait() => {}
                () = stop.heard() => break,
            }
        }
        Ok(())
    };
    tried.instrument(span).await
}

async fn attempt(
    agent: &Agent,
    mut previous: Option<SubnetKey>,
    mut stop: Stop,
) -> Result<(), AgentError> {
    loop {
        let started = tokio::select! {
            started = start::start(agent, previous) => started?,
            () = stop.heard() => return Ok(()),
        };
        match serve::serve(agent, started, stop.clone()).await? {
            Ended::Asked => return Ok(()),
            Ended::GivenUp => previous = None,
        }
        tracing::warn!("the lost lease is given up; taking another subnet");
        agent.insight.running.send_replace(None);
        agent.standing.send_modify(Standing::begin_anew);
    }
}

/// Tells all networks to stop.
#[derive(Debug, Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits for it. Safe to be dropped and called again.
    async fn heard(&mut self) {
        // Whoever tells it is there as long as the networks are.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// The subnet of the last time, out of the file that is written for others.
fn previous(path: &Path) -> Option<SubnetKey> {
    if !path.exists() {
        return None;
    }
    match Previous::read(path) {
        Ok(previous) => {
            previous.skipped.iter().for_each(|text| {
                tracing::warn!(file = %path.display(), %text, "passed over in the old subnet file");
            });
            previous.subnet.map(|v4| SubnetKey::new(v4, previous.ipv6_subnet))
        }
        Err(error) => {
            let error = cni::ErrorChain(&error);
            tracing::warn!(%error, "the old subnet file cannot be read");
            None
        }
    }
}
