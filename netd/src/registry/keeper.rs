//! The thread that makes what networks have on the host, bridges above all, and keeps it and what containers
//! have on this host.
//!
//! It has its own sockets, and listens to links, addresses, routes, rules and forwarding. What happens to a
//! bridge, or to what a container has on this host, brings a look at that; everything is looked at once for
//! all at the start, on a timer and after losses. What is not a network's is never removed: see
//! [`Device::adopted`] and [`devices`].

mod clashes;
mod devices;
mod seen;
mod touched;
mod work;

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use kernel::Kernel;
use netstate::LinkName;
use tokio::sync::{oneshot, watch};

use super::Trouble;
use crate::network::{ClusterNetwork, Device, Id};
use crate::reconcile::Entrance;
use crate::reconcile::inbox::Inbox;
pub(super) use clashes::ClashTexts;
use seen::Seen;
pub(super) use touched::{Members, THREADS, Touched};
use touched::{THREAD, listen};
use work::{Telling, Work};

/// Whether the host has IPv6.
pub(super) fn has_ipv6() -> bool {
    devices::has_ipv6(&mut Kernel::open(None))
}

type Answer<T> = oneshot::Sender<Result<T, String>>;

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// There are to be these bridges.
    Put(Vec<Device>, Answer<()>),
    /// There is to be none of this network.
    Remove(Id, Answer<()>),
    /// These are the networks of the host's clusters.
    Clusters(Vec<ClusterNetwork>),
    /// How does the host look? With the names of all links, or without.
    Look(bool, Answer<Seen>),
    /// Is a link a bridge, if it is there?
    Bridge(LinkName, Answer<Option<bool>>),
    /// Everything is to be looked at.
    Again(Answer<()>),
    /// This is the interface between hosts.
    Uplink(LinkName),
    /// Does it take orders?
    Ping(Answer<()>),
    /// The end.
    Stop,
}

/// The thread, from outside. Dropping it ends the thread; bridges stay.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Entrance<Order>,
    trouble: watch::Receiver<Trouble>,
    clashes: watch::Receiver<ClashTexts>,
    uplink: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it in the calling thread's network namespace.
    pub(super) fn start(resync: Duration, members: Members) -> io::Result<Self> {
        let (orders, mut inbox) = Inbox::new(Some(listen()?))?;
        let (tell, trouble) = watch::channel(None);
        let (tell_clashes, clashes) = watch::channel(ClashTexts::new());
        let (hint, uplink) = watch::channel(());
        let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            let telling = Telling { trouble: tell, clashes: tell_clashes, uplink: hint };
            Work::new(resync, telling, members).run(&mut inbox);
        })?;
        Ok(Self { orders, trouble, clashes, uplink, thread: Some(thread) })
    }

    /// Makes bridges, and keeps them from now on, also those that cannot be made now.
    pub(super) async fn put(&self, devices: Vec<Device>) -> Result<(), String> {
        self.ask(|answer| Order::Put(devices, answer)).await
    }

    /// Removes the bridge of a network.
    pub(super) async fn remove(&self, id: Id) -> Result<(), String> {
        self.ask(|answer| Order::Remove(id, answer)).await
    }

    /// Tells of the networks of the host's clusters.
    pub(super) fn put_clusters(&self, clusters: Vec<ClusterNetwork>) {
        // Only where the thread has ended, which it does at the end alone.
        let _ = self.orders.send(Order::Clusters(clusters));
    }

    /// Looks at the host, also at the names of all links if that is wanted.
    pub(super) async fn look(&self, links: bool) -> Result<Seen, String> {
        self.ask(|answer| Order::Look(links, answer)).await
    }

    /// Whether a link is a bridge, if it is there.
    pub(super) async fn is_bridge(&self, name: LinkName) -> Result<Option<bool>, String> {
        self.ask(|answer| Order::Bridge(name, answer)).await
    }

    /// Looks at everything once, and puts it right; what cannot be is told as trouble.
    pub(super) async fn look_again(&self) {
        // A thread that has ended is noticed by whoever asks whether it answers.
        let _ = self.ask(Order::Again).await;
    }

    /// Whether the thread takes orders.
    pub(super) async fn answers(&self) -> bool {
        self.ask(Order::Ping).await.is_ok()
    }

    pub(super) fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.clone()
    }

    /// Tells whenever the interface between hosts may be another one, or may have changed.
    pub(super) fn uplink(&self) -> watch::Receiver<()> {
        self.uplink.clone()
    }

    /// This is the interface between hosts: of other links nothing is told by [`Self::uplink`].
    pub(super) fn put_uplink(&self, link: LinkName) {
        let _ = self.orders.send(Order::Uplink(link));
    }

    /// What overlaps subnets of networks.
    pub(super) fn clashes(&self) -> watch::Receiver<ClashTexts> {
        self.clashes.clone()
    }

    async fn ask<T>(&self, order: impl FnOnce(Answer<T>) -> Order) -> Result<T, String> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(order(answer)).map_err(|ended| ended.to_string())?;
        answered.await.unwrap_or_else(|_| Err("the thread that keeps bridges has ended".to_owned()))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A thread that has ended takes no more orders, and has nothing left to do.
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
