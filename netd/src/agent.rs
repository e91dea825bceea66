//! The agent: leases a subnet, connects it with all others, and keeps it so until it is told to
//! stop.
//!
//! The visible order is flanneld's: options, previous subnet, store, signals, health, network
//! configuration, interface, backend, lease, kernel, subnet.env, READY.

mod announce;
mod beside;
mod change;
mod error;
mod extension;
mod force;
mod guard;
mod http;
mod identity;
mod insight;
mod leave;
mod lock;
mod logging;
mod macs;
mod memory;
mod metrics;
mod missing;
mod notify;
mod reach;
mod secret;
mod serve;
mod serving;
mod signals;
mod standing;
mod start;
mod uplink;

use std::path::Path;
use std::sync::Arc;

use netd_api::Previous;
use tokio::sync::watch;

use crate::config::options::Options;
use crate::lease::{Host, Leases, SubnetKey};
use crate::store::Store;

pub use error::AgentError;
pub use leave::{Left, cleanup, leave};
pub use logging::log_to_stderr;

use insight::Insight;
use lock::Lock;
use memory::Memory;
use reach::Noted;
use signals::Signals;
use standing::Standing;

/// The local store, below the state directory.
const LOCAL: &str = "netd.redb";

/// What every part of the agent needs.
#[derive(Debug)]
struct Agent {
    options: Options,
    leases: Leases,
    local: Arc<dyn Store>,
    memory: Memory,
    standing: watch::Sender<Standing>,
    insight: Insight,
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
    let previous = previous(&options.subnet_file);
    let store = options.store.open().map_err(AgentError::StoreOptions)?;
    let keys = options.store.keyspace().map_err(AgentError::Prefix)?;
    let host = Host::this().map_err(AgentError::Host)?;
    tracing::info!(
        machine = %host.machine_id, name = %host.name, endpoints = %options.store.etcd_endpoints,
        prefix = %options.store.etcd_prefix, "netd {}", env!("CARGO_PKG_VERSION")
    );
    let local = memory::open(&options.state_dir.join(LOCAL))?;
    let mut signals = Signals::install().map_err(AgentError::Signals)?;
    let (standing, seen) = watch::channel(Standing::default());
    let (store, reach) = Noted::new(store);
    let insight = Insight {
        endpoints: options.store.etcd_endpoints.clone(),
        standing: seen.clone(),
        store: reach,
        running: Arc::default(),
    };
    let _http = http::serve(options.health, &options.run_dir, &insight).await?;
    let _socket = announce::socket(&options.run_dir, &seen)?;
    let _status = notify::status(seen);
    let leases = Leases::new(store, keys, host);
    let local: Arc<dyn Store> = Arc::new(local);
    let memory = Memory::new(Arc::clone(&local), &options.store.etcd_prefix);
    let agent = Agent { options, leases, local, memory, standing, insight };
    let started = tokio::select! {
        started = start::start(&agent, previous) => started?,
        () = signals.heard() => {
            notify::stopping();
            return Ok(());
        }
    };
    serve::serve(&agent, started, &mut signals).await
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
