//! What the agent and the proxy say to each other: a line of JSON each way.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::Forward;

/// The longest line either side reads, in bytes: some 10,000 ports.
const LONGEST: u64 = 2 << 20;

/// What is sent, as a line.
pub(super) fn line(what: &impl Serialize) -> Vec<u8> {
    let mut text = cni::json::compact(what);
    text.push(b'\n');
    text
}

/// Receives a line behind what has come of it before.
///
/// # Errors
/// The end, too, and `TimedOut` where none comes in time; what has come of it stays.
pub(super) fn receive(from: &mut BufReader<UnixStream>, line: &mut Vec<u8>) -> io::Result<()> {
    let before = line.len();
    match from.take(LONGEST).read_until(b'\n', line) {
        Ok(_) if line.len() == before => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::TimedOut.into())
        }
        Err(error) => Err(error),
    }
}

/// Receives a line; nothing at the end.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line).await?;
    Ok(line)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase", try_from = "Asked")]
pub(super) enum Request {
    /// These ports are the owner's, and no others: what it has already stays open, with the
    /// connections on it. All of it is done, or nothing.
    Set { owner: String, forwards: Vec<Forward> },
    /// Whose ports there are.
    Owners,
}

/// A request as it is read: flat, as serde would copy hundreds of forwards until it knows which it is.
#[derive(Deserialize)]
struct Asked {
    request: What,
    owner: Option<String>,
    forwards: Option<Vec<Forward>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum What {
    Set,
    Owners,
}

impl TryFrom<Asked> for Request {
    type Error = &'static str;

    fn try_from(asked: Asked) -> Result<Self, Self::Error> {
        match (asked.request, asked.owner, asked.forwards) {
            (What::Owners, ..) => Ok(Self::Owners),
            (What::Set, Some(owner), Some(forwards)) => Ok(Self::Set { owner, forwards }),
            (What::Set, ..) => Err("set without an owner and forwards"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "camelCase")]
pub(super) enum Reply {
    /// To `Set`: with the ports that the kernel chose; none where it chose none.
    Bound { forwards: Vec<Forward> },
    /// To `Owners`.
    Owners { owners: Vec<String> },
    /// A port that cannot be held.
    Refused(Refused),
    /// A request that was not understood.
    Error { text: String },
}

/// Why a port cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("hold port {forward}: {why}{}", .holder.iter().map(|by| format!(" by {by}")).collect::<String>())]
pub struct Refused {
    /// Which.
    pub forward: Forward,
    /// What the kernel said, or that another owner has it.
    pub why: String,
    /// The other owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}
