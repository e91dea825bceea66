//! Ports as Docker's `-p` writes them: `[IP:][PORT[-PORT]:]PORT[-PORT][/PROTOCOL]`.
//!
//! It is pure: no port is looked at. Meanings and texts are those of `ParsePortSpec` and
//! `ParsePortRange` (docker/go-connections, nat/nat.go and nat/parse.go), with what they leave out, and
//! of the long form of docker/cli (cli/command/container/opts.go, `convertToStandardNotation`).

mod spec;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use drivers::ports::Transport;
pub use spec::PublishError;

/// A port of a container that is reached by a port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Publication {
    /// On which address of the host; all of both families where it is none.
    pub host_ip: Option<IpAddr>,
    /// By which port of the host.
    pub host_port: HostPort,
    /// To which port of the container, from 1 on.
    pub container_port: u16,
    /// Of which protocol.
    pub protocol: Transport,
}

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPort {
    /// Any that is free: whoever publishes it chooses.
    Any,
    /// This one.
    One(u16),
    /// Any of these that is free, both ends included.
    OneOf(u16, u16),
}

/// What the value of one `-p` publishes, in order of the container's ports; several where ranges are
/// given.
///
/// # Errors
/// [`PublishError`], which names what is wrong of it.
pub fn parse(text: &str) -> Result<Vec<Publication>, PublishError> {
    spec::read(text)
}
