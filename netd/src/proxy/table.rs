//! Which ports are open, and whose they are.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::bind::Bound;
use super::message::Refused;
use super::{Forward, Protocol, tcp, udp};

/// All ports. Needs a tokio runtime.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<String, Vec<Port>>);

/// What a port is known by.
type Key = (Protocol, SocketAddr);

/// What became of [`Table::set`].
pub(super) struct Outcome {
    /// The ports with the numbers that the kernel chose, in the same order; or one that cannot be
    /// opened, and nothing has changed.
    pub(super) bound: Result<Vec<Forward>, Refused>,
    /// What is to be waited for until others that were open are closed.
    pub(super) closing: Vec<JoinHandle<()>>,
}

/// A socket. One that is open for all addresses of both families is two forwards.
#[derive(Debug)]
struct Port {
    halves: Vec<Half>,
    to: watch::Sender<Targets>,
    carrying: JoinHandle<()>,
}

#[derive(Debug)]
struct Half {
    /// As it was asked for; its port may be 0.
    asked: Forward,
    /// Where it is.
    listen: SocketAddr,
}

/// Where those who arrive at a socket are led to, by the family of their addresses; nowhere where only
/// the other family's port is wanted any more. The socket holds both as long as it is open: whoever opened
/// another for the one half could be outrun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Targets {
    v4: Option<SocketAddr>,
    v6: Option<SocketAddr>,
}

impl Targets {
    /// That of a client.
    pub(super) fn of(self, client: IpAddr) -> Option<SocketAddr> {
        if client.to_canonical().is_ipv4() { self.v4 } else { self.v6 }
    }

    fn put(&mut self, forward: &Forward) {
        let half = if forward.listen.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        *half = Some(forward.to);
    }
}

impl Table {
    /// These ports are the owner's, and no others.
    pub(super) fn set(&mut self, owner: &str, forwards: &[Forward]) -> Outcome {
        let before = self.0.get(owner).map(Vec::as_slice).unwrap_or_default();
        let halves = before.iter().flat_map(|port| &port.halves);
        // The same port, be it by its number or by any number.
        let keys =
            halves.flat_map(|half| [(half.key(), half.listen), (half.key_asked(), half.listen)]);
        let known: BTreeMap<Key, SocketAddr> = keys.collect();
        let is_new = |forward: &&Forward| !known.contains_key(&key(forward));
        let new: Vec<&Forward> = forwards.iter().filter(is_new).collect();
        let mut fresh = Vec::new();
        if let Err(refused) = self.open_all(&new, &mut fresh) {
            let closing = fresh.into_iter().map(Port::close).collect();
            return Outcome { bound: Err(refused), closing };
        }
        let mut opened = fresh.iter().flat_map(|port| &port.halves).map(|half| half.listen);
        let listen =
            |forward: &Forward| known.get(&key(forward)).copied().or_else(|| opened.next());
        let listens: Vec<Option<SocketAddr>> = forwards.iter().map(listen).collect();
        let bound = forwards.iter().zip(listens);
        let bound =
            bound.map(|(of, at)| Forward { listen: at.unwrap_or(of.listen), ..*of }).collect();
        let wanted: BTreeMap<Key, &Forward> = forwards.iter().map(|of| (key(of), of)).collect();
        let before = self.0.remove(owner).unwrap_or_default();
        let (mut kept, gone): (Vec<Port>, Vec<Port>) =
            before.into_iter().partition(|port| port.lead(&wanted));
        kept.extend(fresh);
        if !kept.is_empty() {
            self.0.insert(owner.to_owned(), kept);
        }
        Outcome { bound: Ok(bound), closing: gone.into_iter().map(Port::close).collect() }
    }

    /// Opens ports in their order, up to the first that cannot be opened.
    fn open_all(&self, mut new: &[&Forward], opened: &mut Vec<Port>) -> Result<(), Refused> {
        while let [first, rest @ ..] = new {
            let together = rest.first().filter(|second| first.goes_with(second));
            // Which of the two is in the way is found out one by one.
            let both = together.and_then(|second| Port::open(&[first, second]).ok());
            new = if both.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
            let one = both.map_or_else(|| self.open(first, opened), Ok)?;
            opened.push(one);
        }
        Ok(())
    }

    pub(super) fn owners(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Beside those that were opened for the same owner just now.
    fn open(&self, forward: &Forward, beside: &[Port]) -> Result<Port, Refused> {
        Port::open(&[forward]).map_err(|error| {
            let bars = |port: &Port| port.halves.iter().any(|half| half.bars(forward));
            let holder = self.0.iter().find(|(_, ports)| ports.iter().any(bars));
            let why = match (&holder, error.kind()) {
                _ if beside.iter().any(bars) => "it is published twice".to_owned(),
                (Some(_), io::ErrorKind::AddrInUse) => "it is held already".to_owned(),
                (None, io::ErrorKind::AddrInUse) => "another program listens there".to_owned(),
                (_, io::ErrorKind::AddrNotAvailable) => "this host has no such address".to_owned(),
                _ => error.to_string(),
            };
            let holder = holder.map(|(owner, _)| owner.clone());
            Refused { forward: *forward, why, holder }
        })
    }
}

impl Port {
    /// Of one forward, or of two that go together.
    fn open(forwards: &[&Forward]) -> io::Result<Self> {
        let Some(first) = forwards.iter().max_by_key(|forward| forward.listen.is_ipv6()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let bound = Bound::open(first, forwards.len() > 1)?;
        let port = match first.listen.port() {
            0 => bound.address()?.port(),
            port => port,
        };
        let half = |forward: &&Forward| Half {
            asked: **forward,
            listen: SocketAddr::new(forward.listen.ip(), port),
        };
        let halves: Vec<Half> = forwards.iter().map(half).collect();
        let mut targets = Targets::default();
        forwards.iter().for_each(|forward| targets.put(forward));
        let to = watch::Sender::new(targets);
        let heard = to.subscribe();
        let carrying = match bound {
            Bound::Tcp(listener) => {
                let listener = TcpListener::from_std(listener)?;
                tokio::spawn(async move { match tcp::carry(listener, heard).await {} })
            }
            Bound::Udp(socket) => {
                let (socket, at) = (
                    UdpSocket::from_std(socket)?,
                    Forward { listen: (first.listen.ip(), port).into(), ..**first },
                );
                tokio::spawn(async move {
                    let Err(error) = udp::carry(socket, heard).await;
                    tracing::error!(port = %at, %error, "a published port is not carried");
                })
            }
        };
        Ok(Self { halves, to, carrying })
    }

    /// Leads who arrives there from now on to where this says; false where it speaks of none of it.
    fn lead(&self, wanted: &BTreeMap<Key, &Forward>) -> bool {
        let mut targets = Targets::default();
        for half in &self.halves {
            let forward = wanted.get(&half.key()).or_else(|| wanted.get(&half.key_asked()));
            forward.into_iter().for_each(|forward| targets.put(forward));
        }
        self.to.send_if_modified(|before| std::mem::replace(before, targets) != targets);
        targets != Targets::default()
    }

    /// Ends it with its connections, which takes a moment.
    fn close(self) -> JoinHandle<()> {
        self.carrying.abort();
        self.carrying
    }
}

impl Half {
    fn key(&self) -> Key {
        (self.asked.protocol, self.listen)
    }

    fn key_asked(&self) -> Key {
        key(&self.asked)
    }

    /// Whether the kernel refuses another because of this one.
    fn bars(&self, other: &Forward) -> bool {
        let (mine, theirs) = (self.listen, other.listen);
        let overlaps = mine.ip() == theirs.ip()
            || (mine.is_ipv4() == theirs.is_ipv4()
                && (mine.ip().is_unspecified() || theirs.ip().is_unspecified()));
        overlaps && mine.port() == theirs.port() && self.asked.protocol == other.protocol
    }
}

impl Forward {
    /// Whether one socket does for both: the same port of all addresses, of either family.
    fn goes_with(&self, other: &Self) -> bool {
        let is_any = |forward: &Self| forward.listen.ip().is_unspecified();
        let port = self.listen.port();
        is_any(self)
            && is_any(other)
            && self.listen.is_ipv4() != other.listen.is_ipv4()
            && self.protocol == other.protocol
            && port != 0
            && port == other.listen.port()
    }
}

fn key(forward: &Forward) -> Key {
    (forward.protocol, forward.listen)
}
