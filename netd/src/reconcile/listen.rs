//! What the kernel tells of changes, as [`Notice`]s: rtnetlink's and nf_tables' multicast groups.
//!
//! A listener never decides what to do; it leaves out what cannot matter.

mod nft;
mod route;

use std::io;
use std::sync::mpsc::Sender;

use futures_util::StreamExt;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::sys::{AsyncSocket, TokioSocket};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use tokio::task::JoinHandle;

use super::{Input, Notice};

const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
];

/// Bytes of events that may wait: at the default of 208 KiB, the end of a device with a thousand
/// peers is lost.
const BUFFER: usize = 4 << 20;

/// Messages that are told at once, at most.
const TOGETHER: usize = 1024;

/// The listening tasks; they end when this is dropped.
#[derive(Debug)]
pub struct Listener(Vec<JoinHandle<()>>);

impl Listener {
    /// Listens in the calling thread's network namespace, and sends what it hears. When this
    /// returns, nothing that happens afterwards is missed. Needs a tokio runtime.
    ///
    /// # Errors
    /// Where a netlink socket cannot be opened.
    pub fn start(to: Sender<Input>) -> io::Result<Self> {
        let (mut connection, _handle, messages) = new_multicast_connection(&GROUPS)?;
        grow(connection.socket_mut())?;
        let rules = nft::open()?;
        grow(&rules)?;
        let to_route = to.clone();
        let route = tokio::spawn(async move {
            // What came together is told together: one change of ours has several echoes.
            let mut messages = messages.ready_chunks(TOGETHER);
            while let Some(together) = messages.next().await {
                let notices: Vec<Notice> = together
                    .into_iter()
                    .filter_map(|(message, _)| match message.payload {
                        NetlinkPayload::InnerMessage(inner) => route::notice(&inner),
                        NetlinkPayload::Overrun(_) => Some(Notice::Anywhere),
                        NetlinkPayload::Done(_)
                        | NetlinkPayload::Error(_)
                        | NetlinkPayload::Noop
                        | _ => None,
                    })
                    .collect();
                // Nobody is left to hear it when the loop has ended.
                if !notices.is_empty() && to_route.send(Input::Noticed(notices)).is_err() {
                    return;
                }
            }
        });
        Ok(Self(vec![tokio::spawn(connection), route, tokio::spawn(nft::listen(rules, to))]))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Beyond the system's limit where we may (`SO_RCVBUFFORCE` needs CAP_NET_ADMIN).
fn grow(socket: &TokioSocket) -> io::Result<()> {
    let socket = socket.socket_ref();
    set_socket_recv_buffer_size_force(socket, BUFFER)
        .or_else(|_| set_socket_recv_buffer_size(socket, BUFFER))
        .map_err(io::Error::from)
}
