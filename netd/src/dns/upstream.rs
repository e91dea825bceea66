//! One question to one resolver (RFC 5452: a random number and port, and nothing is believed that is
//! not an answer to it).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::encode;
use super::query::{Asked, DATAGRAM};
use super::stream;

/// How long before a datagram is taken for lost, and sent again; twice as long the next time.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a whole answer may take after a part of it.
const WHOLE: Duration = Duration::from_secs(3);

/// Asks until it is dropped, or refused. What does not fit into a datagram is asked for by TCP; where
/// that fails the part of it is better than nothing.
///
/// # Errors
/// Where the resolver cannot be reached, or answers what is no message.
pub(super) async fn ask(server: SocketAddr, asked: &Asked) -> io::Result<Message> {
    let part = by_datagram(server, asked).await?;
    if !part.metadata.truncation {
        return Ok(part);
    }
    match timeout(WHOLE, by_stream(server, asked)).await {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(_)) | Err(_) => Ok(part),
    }
}

async fn by_datagram(server: SocketAddr, asked: &Asked) -> io::Result<Message> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The kernel's choice of a port is random.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let query = Query::new(asked)?;
    let mut pause = AGAIN;
    loop {
        socket.send(&query.bytes).await?;
        if let Ok(heard) = timeout(pause, hear(&socket, &query, asked)).await {
            return heard;
        }
        pause *= 2;
    }
}

/// Whatever is no answer to the question is passed over.
async fn hear(socket: &UdpSocket, query: &Query, asked: &Asked) -> io::Result<Message> {
    let mut buffer = [0; DATAGRAM as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = query.answer(bytes, asked) {
            return answer;
        }
    }
}

async fn by_stream(server: SocketAddr, asked: &Asked) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let query = Query::new(asked)?;
    stream::send(&mut stream, &query.bytes).await?;
    let bytes = stream::receive(&mut stream, u16::MAX.into()).await?;
    query.answer(&bytes, asked).unwrap_or_else(|| Err(no_answer()))
}

struct Query {
    id: u16,
    bytes: Vec<u8>,
}

impl Query {
    fn new(asked: &Asked) -> io::Result<Self> {
        let mut id = [0; 2];
        getrandom(&mut id, GetRandomFlags::empty())?;
        let id = u16::from_ne_bytes(id);
        let bytes = encode::within(asked.onward(id), DATAGRAM.into()).ok_or_else(no_answer)?;
        Ok(Self { id, bytes })
    }

    /// None: it is no answer to this.
    fn answer(&self, bytes: &[u8], asked: &Asked) -> Option<io::Result<Message>> {
        if !bytes.starts_with(&self.id.to_be_bytes()) {
            return None;
        }
        let answer = match Message::from_vec(bytes) {
            Ok(answer) => answer,
            Err(error) => return Some(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
        };
        let metadata = &answer.metadata;
        let is_answer =
            metadata.message_type == MessageType::Response && metadata.op_code == OpCode::Query;
        // Names are compared without case. A refusal may come without the question.
        let is_of_it = match answer.queries.as_slice() {
            [question] => *question == asked.question,
            [] => answer.answers.is_empty(),
            _ => false,
        };
        (is_answer && is_of_it).then_some(Ok(answer))
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no answer to the question")
}
