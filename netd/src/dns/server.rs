//! The server, as the agent has it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use kernel::Netns;
use kernel::events::Events;
use tokio::sync::{oneshot, watch};

use super::listeners::{Listeners, Order};
use super::places::{Ground, Grounds, places};
use super::service::Service;
use super::zone::Zone;
use super::{Endpoint, EndpointKey, Names, Network};
use crate::limits;
use crate::reconcile::Entrance;
use crate::reconcile::inbox::Inbox;

/// What is not told by [`Names`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the host's resolvers are named: resolv.conf(5). It may change at any time.
    pub resolv_conf: PathBuf,
    /// Where to listen: 53, as containers ask nowhere else.
    pub port: u16,
}

/// Why DNS is not served somewhere.
pub type Trouble = Option<String>;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket, or the runtime.
    #[error("open the sockets of the DNS server's threads")]
    Sockets(#[source] io::Error),
    /// A thread.
    #[error("start the DNS server's threads")]
    Thread(#[source] io::Error),
}

/// The DNS server, from outside. Dropping it ends it.
///
/// It has threads and a runtime of its own: questions of containers hold nothing up, and are not held
/// up. Calls return at once, and what they tell is what every later answer is by. Sockets
/// follow soon after; where one cannot be had is told by [`Self::trouble`], and tried again.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    orders: Entrance<Order>,
    /// Whoever changes where to listen has them: so the newest order is the last one.
    grounds: Mutex<Grounds>,
    trouble: watch::Receiver<Trouble>,
    /// Dropped, it ends the runtime.
    serving: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Default for Config {
    fn default() -> Self {
        Self { resolv_conf: PathBuf::from("/etc/resolv.conf"), port: 53 }
    }
}

impl Server {
    /// Starts it in the calling thread's network namespace, in which it listens and asks others. Raises
    /// the process's soft limit of open files to the hard one: each address has two sockets, and each
    /// question to others one for each resolver.
    ///
    /// # Errors
    /// [`StartError`]; that it cannot listen somewhere is none.
    pub fn start(config: Config) -> Result<Self, StartError> {
        limits::raise_open_files();
        let service = Arc::new(Service::new(config.resolv_conf));
        let (tell, trouble) = watch::channel(None);
        let (serving, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StartError::Sockets)?;
        let handle = runtime.handle().clone();
        let runtime = Unwaited(Some(runtime));
        let listeners = Listeners::new(Arc::clone(&service), handle, config.port, tell);
        let events = Events::of_links().map_err(StartError::Sockets)?;
        let (orders, mut inbox) = Inbox::new(Some(events)).map_err(StartError::Sockets)?;
        let (grounds, serving, threads) = (Mutex::default(), Some(serving), Vec::new());
        let mut server = Self { service, orders, grounds, trouble, serving, threads };
        server.run("netd-dns", move || runtime.until(ended))?;
        server.run("netd-dns-places", move || listeners.run(&mut inbox))?;
        Ok(server)
    }

    /// Everything anew: what is not in it is gone.
    pub fn update(&self, names: Names) {
        self.change_networks(|zone| zone.update(names, Instant::now()));
    }

    /// A network that is new, or has changed; what is on it stays.
    pub fn put_network(&self, network: Network) {
        self.change_networks(|zone| zone.put_network(network));
    }

    /// The end of a network, and of what is on it.
    pub fn remove_network(&self, id: &str) {
        self.change_networks(|zone| zone.remove_network(id));
    }

    /// The namespace of a network that has one of its own, once its bridges are there, and whenever they
    /// are made anew. When this returns the sockets are there, or [`Self::trouble`] says why not; it waits for
    /// the thread that opens them.
    pub fn put_namespace(&self, network: &str, netns: &Netns) {
        let (done, is_done) = mpsc::channel();
        self.change_places(
            |grounds, _| drop(grounds.insert(network.into(), Ground::of(netns))),
            Some(done),
        );
        // It is dropped unheard where the thread has ended.
        let _ = is_done.recv();
    }

    /// The end of such a namespace: what is open in it is closed, so that it can go.
    pub fn remove_namespace(&self, network: &str) {
        self.change_places(|grounds, _| drop(grounds.remove(network)), None);
    }

    /// An endpoint that is new, or has changed. Its network must have been told of before.
    pub fn put_endpoint(&self, endpoint: Endpoint) {
        self.service.change(|zone| zone.put_endpoint(endpoint, Instant::now()));
    }

    /// The end of an endpoint: nobody is told of its addresses any more.
    pub fn remove_endpoint(&self, key: &EndpointKey) {
        self.service.change(|zone| zone.remove_endpoint(key, Instant::now()));
    }

    /// Why it does not listen everywhere; changes are told.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.clone()
    }

    /// What changes where to listen.
    fn change_networks(&self, change: impl FnOnce(&mut Zone)) {
        self.change_places(|_, zone| change(zone), None);
    }

    fn change_places(
        &self,
        change: impl FnOnce(&mut Grounds, &mut Zone),
        done: Option<mpsc::Sender<()>>,
    ) {
        let mut grounds = self.grounds.lock().unwrap_or_else(PoisonError::into_inner);
        let places = self.service.change(|zone| {
            change(&mut grounds, zone);
            places(zone.networks(), &grounds)
        });
        // An address in another namespace is somebody else's on the host.
        let own = places.keys().filter(|place| place.ground.is_none());
        self.service.set_own(own.map(|place| place.ip).collect());
        // Only where the thread has ended, which it does at the end alone.
        let _ = self.orders.send(Order::Listen { places, done });
    }

    fn run(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        self.threads.push(thread.map_err(StartError::Thread)?);
        Ok(())
    }
}

/// A runtime that may be dropped where nothing may wait, as where another one runs.
struct Unwaited(Option<tokio::runtime::Runtime>);

impl Unwaited {
    fn until(self, ended: oneshot::Receiver<()>) {
        if let Some(runtime) = &self.0 {
            // It ends with its sender.
            let _ = runtime.block_on(ended);
        }
    }
}

impl Drop for Unwaited {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What has ended already takes no orders.
        let _ = self.orders.send(Order::Stop);
        self.serving = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
