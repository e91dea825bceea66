//! `netd proxy`: one process that holds the host's published ports, and carries what DNAT cannot.
//!
//! Rules of the kernel carry nearly all of a published port's traffic. Three things they do not: they
//! keep no other program from binding the port, they do not reach from the host's `::1`, and they do
//! not lead from an IPv6 address to a container that has IPv4 alone. So each published port is bound
//! here, and whoever arrives at the socket is carried to the container.
//!
//! It is a process of its own so that it outlives the agent: connections and reservations stay over
//! the agent's restart or upgrade. The agent starts it with the first port, tells it by [`SOCKET`]
//! which ports there are ([`Client`]), and it ends when it has none left and nobody is connected.
//! Nothing is kept on disk: the agent tells all of it again to one that is new.
//!
//! What is carried has the address of the host's side of the network as its source, as with
//! `docker-proxy`.

mod bind;
mod client;
mod message;
mod serve;
mod splice;
mod table;
mod talk;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use client::{Client, Error, Question, ended};
pub use message::Refused;
pub use serve::serve;

/// The socket's name in the agent's run directory.
pub const SOCKET: &str = "proxy.sock";

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where the host listens. `[::]` is IPv6 alone; port 0 is one of the kernel's choice.
    pub listen: SocketAddr,
    /// Where the container listens.
    pub to: SocketAddr,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Carried by splice(2): bytes do not come to user space.
    Tcp,
    /// Carried in batches; a client that is silent for 90 s is forgotten.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.listen, self.protocol)
    }
}
