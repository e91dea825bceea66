//! Containers on netd's networks, as others reach them.

use std::net::IpAddr;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use crate::attach_socket::attach;
use crate::{Container, Host, Place, Process, Proto, address, probe};

/// Where the server of a [`Guest`] listens.
pub const PORT: u16 = 80;

/// A container on a network, with a server on [`PORT`].
#[derive(Debug)]
pub struct Guest {
    /// The container.
    pub container: Container,
    /// Its address on the network.
    pub ip: IpAddr,
    /// The whole result of the attachment.
    pub result: Value,
    _server: Process,
}

impl Guest {
    /// A new container; `more` are keys of the request.
    ///
    /// # Errors
    /// Where it is not attached, or its server does not start.
    pub fn new(host: &Host, name: &str, network: &str, more: &Value) -> Result<Self> {
        let container = host.add_container(name)?;
        let result = attach(&container, network, more)?;
        Self::attached(container, result)
    }

    /// One that is attached already.
    ///
    /// # Errors
    /// Where its result has no address, or its server does not start.
    pub fn attached(container: Container, result: Value) -> Result<Self> {
        let ip = address(&result, 0)?;
        let _server = probe::serve(&container, PORT, &[])?;
        Ok(Self { container, ip, result, _server })
    }

    /// Where its server is reached.
    #[must_use]
    pub fn at(&self) -> (IpAddr, u16) {
        (self.ip, PORT)
    }

    /// The same by each of its addresses on the network, IPv4 first.
    ///
    /// # Errors
    /// Where the result of the attachment makes no sense.
    pub fn everywhere(&self) -> Result<Vec<(IpAddr, u16)>> {
        let ips = self.result.get("ips").and_then(Value::as_array).context("addresses")?;
        (0..ips.len()).map(|at| Ok((address(&self.result, at)?, PORT))).collect()
    }

    /// Its IPv6 address on the network.
    ///
    /// # Errors
    /// Where it has none.
    pub fn v6(&self) -> Result<IpAddr> {
        let mut all = self.everywhere()?.into_iter().map(|(ip, _)| ip);
        all.find(IpAddr::is_ipv6).context("an IPv6 address")
    }

    /// What the container says to a command.
    ///
    /// # Errors
    /// Where that fails.
    pub fn shows(&self, words: &[&str]) -> Result<String> {
        Ok(self.container.run(words)?.stdout)
    }
}

/// Nothing of a server is heard: by TCP, UDP and ICMP.
///
/// # Errors
/// What is heard.
pub fn apart(from: &Guest, to: (IpAddr, u16)) -> Result<()> {
    heard(&from.container, &[to], [false; 3])
}

/// Of a server this is heard at each of these addresses, and nothing else: by TCP, by UDP, and by ICMP. All
/// are asked at once, as each silence lasts.
///
/// # Errors
/// What is heard and should not be, or the other way round.
pub fn heard(from: &dyn Place, at: &[(IpAddr, u16)], [tcp, udp, echo]: [bool; 3]) -> Result<()> {
    probe::install(from.host())?;
    let by = |proto: Proto, to: (IpAddr, u16), is_heard: bool| -> Result<()> {
        if is_heard {
            return probe::ask(from, proto, to).map(drop);
        }
        let answer = probe::refusal(from, proto, to)?;
        ensure!(answer.is_err(), "{proto:?} from {} to {}: {answer:?}", from.name(), to.0);
        Ok(())
    };
    let by_icmp = |to: IpAddr| -> Result<()> {
        if echo {
            return probe::ping(from, to);
        }
        ensure!(!probe::pings(from, to)?, "ping from {} to {to}", from.name());
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = at
            .iter()
            .flat_map(|to| {
                [
                    scope.spawn(|| by(Proto::Tcp, *to, tcp)),
                    scope.spawn(|| by(Proto::Udp, *to, udp)),
                    scope.spawn(|| by_icmp(to.0)),
                ]
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread that asks panicked"))??;
        }
        Ok(())
    })
}
