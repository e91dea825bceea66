//! The proxy's side of its socket.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::message::{self, Reply, Request};
use super::table::{Outcome, Table};
use crate::api::socket;

/// Before the next try when nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the agent that started it may take to connect; it may have been killed.
const FIRST: Duration = Duration::from_secs(10);

/// Holds and carries ports for whoever connects to the socket, which is the agent; returns when there
/// are no ports any more and nobody is connected. The agent may connect a moment later: what it asks
/// then is not answered, and it starts another.
///
/// # Errors
/// The socket.
pub async fn serve(listener: StdListener) -> io::Result<()> {
    let listener = socket::adopt(listener)?;
    let table = Arc::new(Mutex::new(Table::default()));
    let mut clients = JoinSet::new();
    let mut begun = false;
    loop {
        if begun && clients.is_empty() && lock(&table).is_empty() {
            return Ok(());
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    begun = true;
                    clients.spawn(client(stream, Arc::clone(&table)));
                }
                Err(error) => {
                    tracing::warn!(%error, "{}: accept the agent", super::SOCKET);
                    sleep(PAUSE).await;
                }
            },
            () = sleep(FIRST), if !begun => return Ok(()),
            Some(ended) = clients.join_next(), if !clients.is_empty() => {
                if let Ok(Err(error)) = ended {
                    tracing::debug!(%error, "{}: the agent", super::SOCKET);
                }
            }
        }
    }
}

async fn client(stream: UnixStream, table: Arc<Mutex<Table>>) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("user {uid} may not ask")));
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let line = message::read(&mut read).await?;
        if line.is_empty() {
            return Ok(());
        }
        let reply = match serde_json::from_slice(&line) {
            Ok(request) => answer(&table, &request).await,
            Err(error) => Reply::Error { text: error.to_string() },
        };
        write.write_all(&message::line(&reply)).await?;
    }
}

async fn answer(table: &Mutex<Table>, request: &Request) -> Reply {
    match request {
        Request::Owners => Reply::Owners { owners: lock(table).owners() },
        Request::Set { owner, forwards } => {
            let Outcome { bound, closing } = lock(table).set(owner, forwards);
            for closed in closing {
                // It was ended, and says so.
                let _ = closed.await;
            }
            match bound {
                Ok(bound) if bound == *forwards => Reply::Bound { forwards: Vec::new() },
                Ok(forwards) => Reply::Bound { forwards },
                Err(refused) => Reply::Refused(refused),
            }
        }
    }
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    // A change that panicked has dropped what it was about to keep.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
