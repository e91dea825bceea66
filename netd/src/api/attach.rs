//! `attach.sock`: what plugins ask, answered from what the agent has published, and from nothing
//! else: an answer never waits for etcd or the kernel.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use netd_api::attach::{LONGEST, Reply, Request, Subnet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// How long a client may take to ask and to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many clients are served at once; more wait for their turn.
const CLIENTS: usize = 64;

/// Before the next try when nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// The agent's state, as far as others are told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The host's subnet and its lease.
    pub subnet: Subnet,
}

/// Opens the socket, for root only. It takes the place of one that is there, without a moment in
/// which there is none; that no other netd serves that one is for the caller to know. Needs a
/// tokio runtime.
///
/// # Errors
/// The directory, or the socket in it, cannot be made.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let draft = netd_api::file::draft(path);
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&draft)?;
    std::fs::set_permissions(&draft, Permissions::from_mode(0o600))?;
    std::fs::rename(&draft, path)?;
    Ok(listener)
}

/// Answers for ever; dropping it ends it.
pub async fn serve(listener: UnixListener, published: watch::Receiver<Published>) -> Infallible {
    let turns = Arc::new(Semaphore::new(CLIENTS));
    loop {
        // The semaphore is never closed.
        let turn = Arc::clone(&turns).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let published = published.clone();
                tokio::spawn(async move {
                    // A client that does not ask, or does not listen, is nobody's loss.
                    let _ = timeout(PATIENCE, answer(stream, &published)).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "attach.sock: accept a client");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, published: &watch::Receiver<Published>) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let reply = if uid == 0 {
        match Request::parse(&frame(&mut stream).await?) {
            Ok(Request::Subnet) => Reply::Subnet(published.borrow().subnet.clone()),
            Err(reason) => Reply::Error(reason),
        }
    } else {
        Reply::Error(format!("only root may ask, and user {uid} does"))
    };
    stream.write_all(&reply.frame()).await?;
    stream.shutdown().await
}

async fn frame(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    stream.take(length.into()).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
