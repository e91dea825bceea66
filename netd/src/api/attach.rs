//! `attach.sock`: what plugins ask. The host's subnet is answered from what the agent has published, and
//! never waits for etcd or the kernel; containers are attached by the host's networks.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use cni::ErrorChain;
use netd_api::attach::{LONGEST, Reply, Request, Subnet, pass};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::socket;
use crate::registry::{Opened, Registry};

/// The socket's name in the run directory, where plugins look for it.
pub const SOCKET: &str = "attach.sock";

/// How long a client may take to ask and to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many clients are served at once; more wait for their turn.
const CLIENTS: usize = 64;

/// How many may be connected, with those that have not asked yet.
const CONNECTED: usize = 1024;

/// Before the next try when nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// The agent's state, as far as others are told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The host's subnet and its lease, by network; the only network has no name.
    pub subnets: BTreeMap<String, Subnet>,
}

impl Published {
    /// To who asks for the subnet of a network.
    fn reply(&self, network: Option<&str>) -> Reply {
        if let Some(subnet) = self.subnets.get(network.unwrap_or_default()) {
            return Reply::Subnet(subnet.clone());
        }
        let names: Vec<&str> = self.subnets.keys().map(String::as_str).collect();
        let names = names.join(", ");
        Reply::refusal(match network {
            None => format!("netd is in networks {names} here: name one of them by key network"),
            Some(name) if names.is_empty() => format!(
                "netd is in one network here, which has no name, and not in {name}: leave key \
                 network out, or start netd with --networks"
            ),
            Some(name) => format!("netd is not in network {name} here, but in {names}"),
        })
    }
}

/// Answers for ever; dropping it ends it.
pub async fn serve(
    listener: UnixListener,
    published: watch::Receiver<Published>,
    networks: Opened,
) -> Infallible {
    let (turns, places) = (Arc::new(Semaphore::new(CLIENTS)), Arc::new(Semaphore::new(CONNECTED)));
    loop {
        // The semaphores are never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let (published, networks) = (published.clone(), networks.clone());
                let turns = Arc::clone(&turns);
                tokio::spawn(async move {
                    // A client that does not ask, or does not listen, is nobody's loss.
                    let _ = answer(stream, &published, &networks, &turns).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "attach.sock: accept a client");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(
    mut stream: UnixStream,
    published: &watch::Receiver<Published>,
    networks: &Opened,
    turns: &Semaphore,
) -> io::Result<()> {
    let reply = if let Some(why) = socket::refusal(&stream)? {
        Reply::refusal(why)
    } else {
        let (bytes, netns) = timeout(PATIENCE, frame(&stream)).await??;
        let _turn = turns.acquire().await;
        match Request::parse(&bytes) {
            Ok(Request::Subnet { network }) => published.borrow().reply(network.as_deref()),
            Ok(request) => {
                let registry = networks.borrow().clone();
                match registry {
                    Ok(registry) => of_networks(&registry, request, netns).await,
                    Err(reason) => {
                        Reply::refusal(format!("serve the networks of this host: {reason}"))
                    }
                }
            }
            Err(reason) => Reply::refusal(reason),
        }
    };
    let bytes = reply.frame();
    timeout(PATIENCE, stream.write_all(&bytes)).await??;
    stream.shutdown().await
}

/// What is asked about containers on this host's networks. It goes on to its end, whether the client
/// waits for it or not: half of a change is none.
async fn of_networks(registry: &Registry, request: Request, netns: Option<OwnedFd>) -> Reply {
    let reply = match request {
        Request::Attach(attach) => {
            let attached = registry.attach(attach, netns).await;
            attached.map(|result| Reply::Attached(Box::new(result)))
        }
        Request::Detach(detach) => registry.detach(detach).await.map(|()| Reply::Done),
        Request::Check(check) => registry.check(check, netns).await.map(Reply::Missing),
        Request::Status(status) => registry.status(status).await.map(|()| Reply::Done),
        Request::Gc(gc) => registry.collect(gc).await.map(Reply::Collected),
        Request::Subnet { .. } => Ok(Reply::refusal("the subnet is told to who asks for it alone")),
    };
    reply.unwrap_or_else(|error| Reply::Error {
        text: ErrorChain(&error).to_string(),
        code: error.code(),
    })
}

/// A frame without its length, and the file descriptor that came with it.
async fn frame(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let (mut length, mut fd) = ([0; 4], None);
    fill(stream, &mut length, &mut fd).await?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    fill(stream, &mut bytes, &mut fd).await?;
    Ok((bytes, fd))
}

/// Reads until all is there.
async fn fill(stream: &UnixStream, bytes: &mut [u8], fd: &mut Option<OwnedFd>) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || pass::receive(stream, rest, fd)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
