//! A TCP port: each connection gets one of its own to the container.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::splice;
use super::table::Targets;

/// How long the container may take to accept.
const CONNECT: Duration = Duration::from_secs(10);
/// Before the next try when nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections of one port; more wait in the kernel until one ends.
const MOST: usize = 4096;

/// Carries for ever; dropping it ends its connections too. Where the container is can change: what is
/// open goes on as it began.
pub(super) async fn carry(listener: TcpListener, to: watch::Receiver<Targets>) -> Infallible {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept(), if open.len() < MOST => match accepted {
                Ok((client, from)) => {
                    let Some(to) = to.borrow().of(from.ip()) else { continue };
                    open.spawn(async move {
                        // Either side's end is the other's.
                        if let Err(error) = one(client, to).await {
                            tracing::debug!(%error, %to, "a connection to a published port ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection to a published port");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn one(client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let container = timeout(CONNECT, TcpStream::connect(to)).await??;
    client.set_nodelay(true)?;
    container.set_nodelay(true)?;
    splice::both(&client, &container).await
}
