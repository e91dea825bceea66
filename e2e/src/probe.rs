//! Test connections: who reaches whom, and as whom.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::bins;
use crate::host::Host;
use crate::place::Place;
use crate::process::Process;
use crate::wait::PATIENCE;

/// Where the probe program is on hosts, and in the images of containers.
pub const PROGRAM: &str = "/opt/e2e/e2e-probe";

/// How long an answer may take that should come.
const ANSWER: Duration = Duration::from_secs(5);
/// How long no answer is waited for where none should come.
const SILENCE: Duration = Duration::from_millis(700);

/// A transport protocol a probe asks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proto {
    /// A connection.
    Tcp,
    /// A datagram, sent again every 300 ms.
    Udp,
}

/// The flow as the server saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Who asked.
    pub source: SocketAddr,
    /// Whom it asked; the wildcard address for UDP servers on all addresses.
    pub destination: SocketAddr,
}

/// Starts a server for tcp and udp on `port` of `place`, on `addresses` (none: all of them), and
/// waits until it listens.
///
/// # Errors
///
/// When it cannot listen.
pub fn serve(place: &dyn Place, port: u16, addresses: &[IpAddr]) -> Result<Process> {
    install(place.host())?;
    let mut command = place.command(&[PROGRAM, "serve", &port.to_string()]);
    for address in addresses {
        command = command.arg(address.to_string());
    }
    let name = format!("serve-{}-{port}", place.name().replace('/', "-"));
    let mut server = command.spawn(&name)?;
    server.wait_for_log("ready", PATIENCE)?;
    Ok(server)
}

/// Asks the server at `to`, which must answer within 5 seconds.
///
/// # Errors
///
/// When it does not; the error tells why (`refused`, `timed out`, `unreachable`, `reset`).
pub fn ask(from: &dyn Place, proto: Proto, to: (IpAddr, u16)) -> Result<Seen> {
    match attempt(from, proto, to.into(), ANSWER)? {
        Ok(seen) => Ok(seen),
        Err(reason) => {
            bail!("{proto:?} from {} to {}: {reason}", from.name(), SocketAddr::from(to))
        }
    }
}

/// Asks the server at `to`, waiting 0.7 seconds: for connections that should fail. The inner error
/// is the reason, as in [`ask`].
///
/// # Errors
///
/// When the probe cannot be run.
pub fn refusal(from: &dyn Place, proto: Proto, to: (IpAddr, u16)) -> Result<Result<Seen, String>> {
    attempt(from, proto, to.into(), SILENCE)
}

/// Sends one echo request (ICMP or ICMPv6), waiting at most a second for the reply.
///
/// # Errors
///
/// When `ping` cannot be run.
pub fn pings(from: &dyn Place, to: IpAddr) -> Result<bool> {
    let ping = ["busybox", "ping", "-c", "1", "-W", "1", &to.to_string()];
    Ok(from.command(&ping).output()?.code == 0)
}

/// Puts the probe program on a host.
///
/// # Errors
///
/// When it is not built.
pub fn install(host: &Host) -> Result<()> {
    if host.path(PROGRAM).exists() {
        return Ok(());
    }
    host.copy_program(&bins::program("e2e-probe")?, PROGRAM)
}

/// Reads a probe's answer, wherever the probe ran.
///
/// # Errors
///
/// When the line is none.
pub fn parse(line: &str) -> Result<Seen> {
    let (source, destination) = line.trim().split_once(' ').context("two ends in the answer")?;
    Ok(Seen { source: source.parse()?, destination: destination.parse()? })
}

/// The command line of a probe, for containers that have the program in their image.
#[must_use]
pub fn words(proto: Proto, to: SocketAddr, bound: Duration) -> [String; 4] {
    let proto = match proto {
        Proto::Tcp => "tcp",
        Proto::Udp => "udp",
    };
    [PROGRAM.to_owned(), proto.to_owned(), to.to_string(), bound.as_millis().to_string()]
}

fn attempt(
    from: &dyn Place,
    proto: Proto,
    to: SocketAddr,
    bound: Duration,
) -> Result<Result<Seen, String>> {
    install(from.host())?;
    let output = from.enter().args(words(proto, to, bound)).output()?;
    match output.code {
        0 => parse(&output.stdout).map(Ok).with_context(|| format!("read {output:?}")),
        1 => Ok(Err(output.stderr.trim().to_owned())),
        _ => bail!("the probe failed: {output:?}"),
    }
}
