//! The networks of this host, within the agent: they are served from its first moment on, whatever
//! the cluster's store does, and without any cluster under `--standalone`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cni::ErrorChain;
use cni::runtime::CONF_DIR;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::insight::Insight;
use super::insights::Insights;
use super::reach::Reach;
use super::signals::Signals;
use super::standing::Standing;
use super::{AgentError, announce, global, http, notify};
use crate::config::options::Options;
use crate::global::Cluster;
use crate::registry::{Claims, Health, OpenError, Opened, Registry};
use crate::store::Backoff;

async fn open(
    options: &Options,
    claims: &Claims,
    cluster: Option<&Cluster>,
) -> Result<Registry, OpenError> {
    let Options { state_dir, run_dir, cni_conf_dir, avoid, resync, .. } = options;
    let cni_dir = cni_conf_dir.as_deref().unwrap_or(Path::new(CONF_DIR));
    let (avoid, claims, cluster) = (avoid.clone(), claims.clone(), cluster.cloned());
    let is_of_cluster = cluster.is_some();
    let registry =
        Registry::open(state_dir, run_dir, cni_dir, avoid, claims, *resync, cluster).await?;
    if is_of_cluster {
        // Before anybody can ask for an overlay.
        global::put_first_underlay(&registry, &options.iface);
    }
    Ok(registry)
}

/// Opens the networks. Where that fails a host of a cluster goes on without them: containers of the
/// cluster need none. It is tried again until the task is dropped. Must be called on a thread that
/// stays in the host's network namespace, which tasks run on, too.
pub(super) async fn open_or_try_again(
    options: &Options,
    claims: &Claims,
    cluster: Option<&Cluster>,
) -> (Opened, JoinSet<()>) {
    let failed = |error: OpenError| ErrorChain(&error).to_string();
    let (tell, opened) = watch::channel(open(options, claims, cluster).await.map_err(failed));
    let mut task = JoinSet::new();
    let (options, claims, cluster) = (options.clone(), claims.clone(), cluster.cloned());
    task.spawn(async move {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut told = String::new();
        loop {
            let Some(reason) = tell.borrow().as_ref().err().cloned() else { return };
            if reason != told {
                tracing::error!(%reason, "no networks of this host are served; trying again");
                told = reason;
            }
            backoff.wait().await;
            let again = open(&options, &claims, cluster.as_ref()).await.map_err(failed);
            tell.send_modify(|opened| *opened = again);
        }
    });
    (opened, task)
}

/// Notes how the networks stand, or why there are none, until dropped.
pub(super) fn follow(opened: &Opened, standing: &watch::Sender<Standing>) -> JoinSet<()> {
    let (mut opened, standing) = (opened.clone(), standing.clone());
    let note = move |networks: Health| {
        standing.send_if_modified(|standing| {
            let news = standing.networks != networks;
            standing.networks = networks;
            news
        });
    };
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut health = loop {
            let now =
                opened.borrow_and_update().as_ref().map(Registry::health).map_err(Clone::clone);
            match now {
                Ok(health) => break health,
                Err(reason) => note(Health { trouble: Some(reason), ..Health::default() }),
            }
            if opened.changed().await.is_err() {
                return;
            }
        };
        loop {
            note(health.now());
            if !health.changed().await {
                return;
            }
        }
    });
    task
}

/// Serves networks, and nothing of a cluster, until a signal. Bridges stay.
///
/// # Errors
/// Where the networks cannot be opened, or a socket cannot be made.
pub(super) async fn alone(options: &Options, signals: &mut Signals) -> Result<(), AgentError> {
    let registry = open(options, &Claims::default(), None).await;
    let registry = registry.map_err(AgentError::Networks)?;
    let (_tell, opened) = watch::channel(Ok(registry.clone()));
    let (standing, seen) = watch::channel(Standing { standalone: true, ..Standing::default() });
    let _trouble = follow(&opened, &standing);
    let (_no_store, store) = watch::channel(Reach::default());
    let insight = Insight {
        network: None,
        endpoints: String::new(),
        standing: seen,
        store,
        running: Arc::default(),
    };
    let insights = Insights::new(std::iter::once(insight));
    let _http = http::serve(options.health, &options.run_dir, &insights, &opened).await?;
    let _socket = announce::socket(&options.run_dir, &insights, &opened)?;
    let _status = notify::status(&insights);
    let _watchdog = notify::watchdog(move || {
        let registry = registry.clone();
        async move { registry.answers().await }
    });
    notify::ready();
    tracing::info!("ready, without a cluster");
    signals.heard().await;
    notify::stopping();
    Ok(())
}
