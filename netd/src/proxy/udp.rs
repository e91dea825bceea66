//! A UDP port: each client gets a socket of its own to the container, so that answers find back.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use super::table::Targets;

/// A client that is silent for so long, and gets no answers, is forgotten; as in docker-proxy.
const IDLE: Duration = Duration::from_secs(90);
/// Clients of one port. One more takes the place of the one that has been silent longest.
const MOST: usize = 4096;
/// The longest packet, in bytes.
const LONGEST: usize = 65_535;
/// Before the next try when the socket fails.
const PAUSE: Duration = Duration::from_millis(100);

/// A client, and the address of this host's that it speaks to: answers must come from there.
type Key = (SocketAddr, Option<IpAddr>);

struct Port {
    socket: UdpSocket,
    state: UdpSocketState,
    /// For an answer at a time, of whichever client: a buffer for each would be most of the memory.
    answer: Mutex<Vec<u8>>,
}

struct Session {
    container: Arc<UdpSocket>,
    to: SocketAddr,
    last: watch::Sender<Instant>,
    task: AbortHandle,
}

/// Carries for ever; dropping it forgets all clients. Where the container is can change: clients are
/// carried to the new one from then on.
///
/// # Errors
/// A socket that this kernel has no packet information for.
pub(super) async fn carry(
    socket: UdpSocket,
    mut to: watch::Receiver<Targets>,
) -> io::Result<Infallible> {
    let state = UdpSocketState::new((&socket).into())?;
    let port = Arc::new(Port { socket, state, answer: Mutex::new(vec![0; LONGEST]) });
    let mut sessions: BTreeMap<Key, Session> = BTreeMap::new();
    let mut answers = JoinSet::new();
    // Few packets are large: what is never written is never in memory.
    let mut buffers: Vec<Vec<u8>> = (0..BATCH_SIZE).map(|_| vec![0; LONGEST]).collect();
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    loop {
        let received = tokio::select! {
            received = receive(&port, &mut buffers, &mut metas) => received,
            Some(ended) = answers.join_next(), if !answers.is_empty() => {
                // One that was opened again under its key goes on.
                let key = ended.ok().filter(|key| {
                    sessions.get(key).is_some_and(|session| session.task.is_finished())
                });
                if let Some(key) = key {
                    sessions.remove(&key);
                }
                continue;
            }
            Ok(()) = to.changed() => {
                let to = *to.borrow_and_update();
                sessions.retain(|(client, _), session| to.of(client.ip()) == Some(session.to));
                continue;
            }
        };
        let count = match received {
            Ok(count) => count,
            Err(error) => {
                tracing::warn!(%error, "receive on a published port");
                sleep(PAUSE).await;
                continue;
            }
        };
        let targets = *to.borrow();
        for (bytes, meta) in buffers.iter().zip(&metas).take(count) {
            let key = (meta.addr, meta.dst_ip);
            let Some(to) = targets.of(meta.addr.ip()) else { continue };
            let Some(session) = session(&mut sessions, &port, key, to, &mut answers).await else {
                continue;
            };
            session.last.send_replace(Instant::now());
            let bytes = bytes.get(..meta.len).unwrap_or_default();
            // What the container does not take is lost, as any packet may be.
            for packet in bytes.chunks(meta.stride.max(1)) {
                let _ = session.container.try_send(packet);
            }
            if bytes.is_empty() {
                let _ = session.container.try_send(bytes);
            }
        }
    }
}

/// That of a client, which is made for one that is new.
async fn session<'s>(
    sessions: &'s mut BTreeMap<Key, Session>,
    port: &Arc<Port>,
    key: Key,
    to: SocketAddr,
    answers: &mut JoinSet<Key>,
) -> Option<&'s Session> {
    let stands = |session: &Session| session.to == to && !session.task.is_finished();
    if !sessions.get(&key).is_some_and(stands) {
        make_room(sessions);
        match Session::open(port, key, to, answers).await {
            Ok(session) => drop(sessions.insert(key, session)),
            Err(error) => {
                tracing::debug!(%error, %to, "a client of a published port is not carried");
                return None;
            }
        }
    }
    sessions.get(&key)
}

impl Session {
    async fn open(
        port: &Arc<Port>,
        key: Key,
        to: SocketAddr,
        answers: &mut JoinSet<Key>,
    ) -> io::Result<Self> {
        let any: IpAddr = if to.is_ipv6() { [0_u16; 8].into() } else { [0; 4].into() };
        let container = Arc::new(UdpSocket::bind((any, 0)).await?);
        container.connect(to).await?;
        // Until it has said so once, nothing is tried.
        container.writable().await?;
        let (last, heard) = watch::channel(Instant::now());
        let (port, from) = (Arc::clone(port), Arc::clone(&container));
        let task = answers.spawn(async move {
            answer(&port, &from, key, heard).await;
            key
        });
        Ok(Self { container, to, last, task })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries what the container says to the client, until both are silent.
async fn answer(port: &Port, from: &UdpSocket, key: Key, heard: watch::Receiver<Instant>) {
    let mut spoke = Instant::now();
    loop {
        let last = spoke.max(*heard.borrow());
        match timeout_at(last + IDLE, from.readable()).await {
            Err(_) if last < *heard.borrow() => {}
            Err(_) => return,
            Ok(_) => {
                // A container where nobody listens says so by ICMP. It may later.
                let Some(bytes) = port.said(from) else { continue };
                spoke = Instant::now();
                port.tell(key, &bytes).await;
            }
        }
    }
}

impl Port {
    /// What a container said, if anything.
    fn said(&self, from: &UdpSocket) -> Option<Vec<u8>> {
        let mut buffer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let length = from.try_recv(&mut buffer).ok()?;
        buffer.get(..length).map(<[u8]>::to_vec)
    }

    async fn tell(&self, (destination, src_ip): Key, contents: &[u8]) {
        let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        if let Err(error) = self.socket.async_io(Interest::WRITABLE, send).await {
            tracing::debug!(%error, client = %destination, "an answer is lost");
        }
    }
}

async fn receive(
    port: &Port,
    buffers: &mut [Vec<u8>],
    metas: &mut [RecvMeta],
) -> io::Result<usize> {
    port.socket
        .async_io(Interest::READABLE, || {
            let mut slices: Vec<IoSliceMut<'_>> =
                buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            port.state.recv((&port.socket).into(), &mut slices, metas)
        })
        .await
}

fn make_room(sessions: &mut BTreeMap<Key, Session>) {
    if sessions.len() < MOST {
        return;
    }
    let oldest = sessions.iter().min_by_key(|(_, session)| *session.last.borrow());
    if let Some(key) = oldest.map(|(key, _)| *key) {
        sessions.remove(&key);
    }
}
