//! The containers on this host's networks.
//!
//! An endpoint is written down before anything is made for it, and forgotten after all of it is gone: a
//! crash at any moment leaves one that is whole, or one that the next start takes back. What it
//! consists of is in a record of crate `attach` beside it, so that a plugin can undo it without netd.
//!
//! Everything here blocks: it is for threads that may wait. In one container one thing is done at a
//! time; containers do not wait for each other.

mod adopt;
mod announce;
mod attach;
mod detach;
mod direct;
mod files;
mod gateway;
mod held;
mod index;
mod inside;
mod life;
mod look;
mod overlay;
mod place;
mod ports;
mod repair;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ::attach::Store;
use ipnetwork::IpNetwork;
use kernel::{Kernel, Pins};
use netstate::LinkName;
use tokio::sync::{Notify, watch};

use crate::dns;
use crate::endpoint::{Endpoint, EndpointError, Sandbox};
use crate::network::{Id, Network};

use announce::Announcer;
use files::Files;
use held::Ports;
use index::Index;
pub(super) use index::Place;

/// The containers on this host's networks.
#[derive(Debug)]
pub(super) struct Endpoints {
    files: Files,
    records: Store,
    ports: Ports,
    has_ipv6: bool,
    /// The namespaces of overlays.
    pins: Pins,
    /// Counts what changes of endpoints on networks of the cluster.
    changes: watch::Sender<u64>,
    index: Mutex<Index>,
    dns: Arc<dns::Server>,
    /// Told when something in a namespace is done.
    done: Condvar,
    /// Tells neighbours of addresses.
    announcer: Arc<Announcer>,
    /// Told when a container may be gone.
    suspected: Arc<Notify>,
}

/// Nothing else is done in a namespace until this is dropped.
struct Hold<'a> {
    of: &'a Endpoints,
    sandbox: Sandbox,
}

impl Endpoints {
    /// None yet; see [`Self::adopt`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// Where this run of the kernel has no id.
    pub(super) fn new(
        run_dir: &Path,
        has_ipv6: bool,
        pins: Pins,
        dns: Arc<dns::Server>,
    ) -> Result<Self, ::attach::Error> {
        let records = Store::open()?;
        Ok(Self {
            files: Files::new(run_dir),
            records,
            ports: Ports::new(run_dir),
            has_ipv6,
            pins,
            changes: watch::Sender::new(0),
            index: Mutex::default(),
            dns,
            done: Condvar::new(),
            announcer: Arc::default(),
            suspected: Arc::default(),
        })
    }

    /// Whether there is a file of any endpoint of a network, whatever it says.
    pub(super) fn are_written(&self, network: &Id) -> bool {
        self.files.are_there(network)
    }

    /// All.
    pub(super) fn all(&self) -> Vec<Arc<Endpoint>> {
        self.index().all()
    }

    /// Those of a network.
    pub(super) fn of_network(&self, network: &Id) -> Vec<Arc<Endpoint>> {
        self.index().of_network(network)
    }

    /// How many a network has.
    pub(super) fn count(&self, network: &Id) -> usize {
        self.index().count(network)
    }

    /// The one whose interface on the host is called so.
    pub(super) fn with_link(&self, name: &LinkName) -> Option<Place> {
        self.index().with_link(name)
    }

    /// The one whose elements have this comment.
    pub(super) fn with_comment(&self, comment: &str) -> Option<Place> {
        self.index().with_comment(comment)
    }

    /// Whether somebody has deleted an endpoint's interface.
    pub(super) fn is_lost(&self, endpoint: &Endpoint) -> bool {
        self.index().is_lost(endpoint)
    }

    /// Lets nobody attach to a network any more, if nobody is on it.
    ///
    /// # Errors
    /// Who is on it.
    pub(super) fn close(&self, network: &Id) -> Result<(), Vec<Arc<Endpoint>>> {
        self.index().close(network)
    }

    /// Takes back [`Self::close`].
    pub(super) fn reopen(&self, network: &Id) {
        self.index().open(network);
    }

    /// From now on addresses of a network of the cluster are taken from these blocks.
    pub(super) fn limit(&self, network: &Id, blocks: Vec<IpNetwork>) {
        self.index().limit(network, blocks);
    }

    /// Forgets a network that is gone.
    pub(super) fn forget(&self, network: &Id) {
        let mut index = self.index();
        index.open(network);
        index.unlimit(network);
        drop(index);
        self.files.forget(network);
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // A change is one call that does not fail.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is done in a namespace, and keeps it so.
    fn hold(&self, sandbox: Sandbox) -> Hold<'_> {
        let mut index = self.index();
        while index.busy.contains(&sandbox) {
            index = self.done.wait(index).unwrap_or_else(PoisonError::into_inner);
        }
        index.busy.insert(sandbox);
        Hold { of: self, sandbox }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.of.index().busy.remove(&self.sandbox);
        self.of.done.notify_all();
    }
}

/// The networks that endpoints are of, as far as something is asked about them.
pub(super) type Networks = BTreeMap<Id, Network>;

pub(super) use self::attach::Attachment;
pub(super) use self::life::is_at_path;
pub(super) use self::overlay::Below as Overlaid;
pub(super) use self::ports::dynamic;

/// Runs `ask` with this thread's sockets to the host's namespace, which are kept: closing one for nf_tables
/// makes others wait.
fn with_host<T>(ask: impl FnOnce(&mut Kernel) -> T) -> T {
    thread_local! {
        static HOST: RefCell<Kernel> = RefCell::new(Kernel::open(None));
    }
    HOST.with(|host| {
        let mut host = host.borrow_mut();
        // Links come and go and are renamed.
        host.forget();
        ask(&mut host)
    })
}

/// An error, with what could not be taken back.
fn with_left(error: EndpointError, left: Vec<String>) -> EndpointError {
    if left.is_empty() {
        return error;
    }
    EndpointError::Left { error: cni::ErrorChain(&error).to_string(), left }
}
