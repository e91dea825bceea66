//! What the server listens with: kept so while networks, and their bridges, come and go.
//!
//! A thread of its own that waits for orders and for the kernel's events; clients are the runtime's.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kernel::events::Notice;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::places::{Ground, Place, Places, Whose};
use super::server::Trouble;
use super::service::Service;
use super::turns::Turns;
use super::{serve, socket as sockets};
use crate::reconcile::inbox::Inbox;
use crate::reconcile::retry::Retry;

/// Connections of one client, and of all.
const CONNECTIONS: (usize, usize) = (16, 256);
/// Failures that are told at once: one program that has the port is in the way of all.
const TOLD: usize = 3;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    /// These are the places now. It is dropped when they have been tried.
    Listen { places: Places, done: Option<mpsc::Sender<()>> },
    /// The end.
    Stop,
}

/// All listeners.
pub(super) struct Listeners {
    service: Arc<Service>,
    /// Where clients are served.
    runtime: Handle,
    port: u16,
    trouble: watch::Sender<Trouble>,
    wanted: Places,
    bound: BTreeMap<Place, Bound>,
    /// What could not be bound. What is in neither waits for its device.
    failed: BTreeMap<Place, Retry>,
    connections: Turns,
}

/// A listener.
struct Bound {
    whose: Whose,
    /// Of the device: one that is made anew has another.
    index: u32,
    /// They end with it.
    _tasks: JoinSet<()>,
}

impl Listeners {
    pub(super) fn new(
        service: Arc<Service>,
        runtime: Handle,
        port: u16,
        trouble: watch::Sender<Trouble>,
    ) -> Self {
        Self {
            service,
            runtime,
            port,
            trouble,
            wanted: Places::new(),
            bound: BTreeMap::new(),
            failed: BTreeMap::new(),
            connections: Turns::new(CONNECTIONS.0, CONNECTIONS.1),
        }
    }

    /// Listens until it is told to stop.
    pub(super) fn run(mut self, inbox: &mut Inbox<Order>) {
        loop {
            inbox.wait(self.pause());
            for order in inbox.inputs() {
                match order {
                    Order::Listen { places, done } => {
                        self.listen(places);
                        drop(done);
                    }
                    Order::Stop => return,
                }
            }
            let places = self.places_of(&inbox.notices());
            if !places.is_empty() {
                self.settle(&places);
            }
        }
    }

    fn listen(&mut self, wanted: Places) {
        self.bound.retain(|place, _| wanted.contains_key(place));
        self.failed.retain(|place, _| wanted.contains_key(place));
        self.wanted = wanted;
        let all: Vec<Place> = self.wanted.keys().cloned().collect();
        self.settle(&all);
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        let next = self.failed.values().map(|retry| retry.due).min();
        next.map_or(Duration::MAX, |next| next.saturating_duration_since(Instant::now()))
    }

    /// Places that something has happened to, and those that are due for another attempt.
    fn places_of(&self, notices: &[Notice]) -> Vec<Place> {
        if notices.contains(&Notice::Anywhere) {
            return self.wanted.keys().cloned().collect();
        }
        let now = Instant::now();
        let due = self.failed.iter().filter(|(_, retry)| retry.due <= now);
        let mut places: Vec<Place> = due.map(|(place, _)| place.clone()).collect();
        for notice in notices {
            let Notice::Link(device) = notice else { continue };
            // Of bridges in namespaces of networks it is told by who keeps them.
            let (device, ip) = (device.clone(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let from = Place { ground: None, device, ip };
            let is_there = |place: &&Place| place.ground.is_none() && place.device == from.device;
            let of_device = self.wanted.range(&from..).map(|(place, _)| place);
            places.extend(of_device.take_while(is_there).cloned());
        }
        places
    }

    fn settle(&mut self, places: &[Place]) {
        for place in places {
            self.settle_one(place);
        }
        self.tell();
    }

    fn settle_one(&mut self, place: &Place) {
        let Some(whose) = self.wanted.get(place).cloned() else { return };
        let (port, ip) = (self.port, place.ip);
        let inside = whose.ground.as_ref().map(Ground::netns);
        let index = sockets::index(inside, &place.device);
        let bound = self.bound.get(place);
        if bound.is_some_and(|bound| bound.whose == whose && Some(bound.index) == index) {
            return;
        }
        // The one that is there has the port.
        self.bound.remove(place);
        let earlier = self.failed.remove(place);
        let Some(index) = index else { return };
        match sockets::open(&self.runtime, inside, &place.device, (ip, port).into()) {
            Ok(sockets) => {
                if earlier.is_some() {
                    tracing::info!(network = %whose.name, %ip, "DNS is served after all");
                }
                let bound = self.serve(whose, index, sockets);
                self.bound.insert(place.clone(), bound);
            }
            Err(error) => {
                let reason = self.reason(&whose.name, ip, &error);
                if earlier.as_ref().is_none_or(|retry| retry.reason != reason) {
                    tracing::error!(%reason, "DNS is not served; trying again");
                }
                let retry = Retry::after(earlier.as_ref(), reason, Instant::now());
                self.failed.insert(place.clone(), retry);
            }
        }
    }

    fn serve(&self, whose: Whose, index: u32, sockets: (UdpSocket, TcpListener)) -> Bound {
        let (datagrams, streams) = sockets;
        let (service, network) = (&self.service, &whose.id);
        let mut tasks = JoinSet::new();
        let datagrams = serve::datagrams(Arc::clone(service), Arc::clone(network), datagrams);
        tasks.spawn_on(datagrams, &self.runtime);
        let turns = self.connections.clone();
        let streams = serve::streams(Arc::clone(service), Arc::clone(network), streams, turns);
        tasks.spawn_on(streams, &self.runtime);
        Bound { whose, index, _tasks: tasks }
    }

    fn reason(&self, network: &str, ip: IpAddr, error: &io::Error) -> String {
        let port = self.port;
        let remedy = if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                ": another program listens there (ss -lnp sport = :{port} names it): let it listen on \
                 addresses of its own"
            )
        } else {
            String::new()
        };
        format!("serve DNS on network {network}, {ip} port {port}: {error}{remedy}")
    }

    fn tell(&self) {
        let mut told: Vec<&str> =
            self.failed.values().map(|retry| retry.reason.as_str()).take(TOLD).collect();
        let more = format!("and {} more", self.failed.len().saturating_sub(TOLD));
        told.extend((self.failed.len() > TOLD).then_some(more.as_str()));
        let trouble = (!told.is_empty()).then(|| told.join("; "));
        self.trouble.send_if_modified(|is| {
            let news = *is != trouble;
            *is = trouble;
            news
        });
    }
}
