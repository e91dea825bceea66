//! Clients of one listener.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::service::{Reply, Service};
use super::stream;
use super::turns::Turns;
use super::zone::Client;

/// Bytes of a question: more has none.
const QUESTION: usize = 4096;
/// How long a client may take for a question by TCP, and for an answer (RFC 7766, section 6.2.3, wants
/// seconds).
const PATIENCE: Duration = Duration::from_secs(10);
/// Before the next try where nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers datagrams until it is dropped; so end the answers that are waited for: a namespace with a socket in
/// it stays.
pub(super) async fn datagrams(service: Arc<Service>, network: Arc<str>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut waiting = JoinSet::new();
    loop {
        while waiting.try_join_next().is_some() {}
        // An error is one of an earlier answer, or none: the next read tells.
        let _ = socket.readable().await;
        let Some((bytes, source)) = receive(&socket) else { continue };
        let client = Client { network: &network, source: source.ip() };
        match service.reply(client, &bytes, false) {
            Reply::Now(answer) => send(&socket, &answer, source),
            Reply::Later(later) => {
                let (service, socket) = (Arc::clone(&service), Arc::clone(&socket));
                waiting.spawn(async move {
                    if let Some(answer) = service.finish(later).await {
                        send(&socket, &answer, source);
                    }
                });
            }
            Reply::None => {}
        }
    }
}

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; QUESTION];
    let (length, source) = socket.try_recv_from(&mut buffer).ok()?;
    Some((buffer.get(..length)?.to_vec(), source))
}

/// What finds no room is lost, as any datagram may be: the client asks again.
fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.try_send_to(answer, to) {
        tracing::debug!(%error, %to, "an answer is lost");
    }
}

/// Answers connections until it is dropped, with which they end. A client that has its connections gets no more.
pub(super) async fn streams(
    service: Arc<Service>,
    network: Arc<str>,
    listener: TcpListener,
    connections: Turns,
) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let (stream, source) = match listener.accept().await {
            Ok((stream, source)) => (stream, source.ip()),
            Err(error) => {
                tracing::debug!(%error, "a client cannot be let in");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(turn) = connections.take(source) else { continue };
        let (service, network) = (Arc::clone(&service), Arc::clone(&network));
        open.spawn(async move {
            // However it ends, it is the client's loss alone.
            let _ = converse(&service, &network, source, stream).await;
            drop(turn);
        });
    }
}

async fn converse(
    service: &Service,
    network: &str,
    source: IpAddr,
    mut stream: TcpStream,
) -> io::Result<()> {
    loop {
        let bytes = timeout(PATIENCE, stream::receive(&mut stream, QUESTION)).await??;
        let answer = match service.reply(Client { network, source }, &bytes, true) {
            Reply::Now(answer) => Some(answer),
            Reply::Later(later) => service.finish(later).await,
            Reply::None => None,
        };
        let Some(answer) = answer else { return Ok(()) };
        timeout(PATIENCE, stream::send(&mut stream, &answer)).await??;
    }
}
