//! Test connections: who reaches whom, and as whom.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::bins;
use crate::host::Host;
use crate::place::Place;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

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

/// Pings all the time; killed when this is dropped.
#[derive(Debug)]
pub struct Pinging(Process);

/// What came of pings.
#[derive(Debug)]
pub struct Pinged {
    /// How many were answered.
    pub answered: usize,
    /// Those that were not, by their numbers. What was sent after the last answer is on its way.
    pub lost: Vec<u64>,
    /// All that `ping` has printed.
    pub log: String,
}

impl Pinging {
    /// Begins, with so much time between two; waits until the one of that number was answered.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn start(from: &dyn Place, to: IpAddr, pause: Duration, first: u32) -> Result<Self> {
        let (to, pause) = (to.to_string(), pause.as_secs_f64().to_string());
        let words = ["busybox", "ping", "-i", &pause, "-W", "1", &to];
        let mut ping = from.spawn(&format!("ping-{to}"), &words)?;
        ping.wait_for_log(&format!(" seq={first} "), PATIENCE)?;
        Ok(Self(ping))
    }

    /// Ends, once another one was answered.
    ///
    /// # Errors
    ///
    /// When none is, or `ping` does not end.
    pub fn end(mut self) -> Result<Pinged> {
        let last = |log: String| log.lines().filter_map(number).max();
        let so_far = last(self.0.log());
        wait_until("another ping is answered", PATIENCE, || last(self.0.log()) > so_far)?;
        self.0.signal(Signal::INT)?;
        self.0.wait(PATIENCE)?;
        let log = self.0.log();
        let answered: BTreeSet<u64> = log.lines().filter_map(number).collect();
        let last = *answered.last().with_context(|| format!("an answer in {log}"))?;
        let lost = (0..last).filter(|number| !answered.contains(number)).collect();
        Ok(Pinged { answered: answered.len(), lost, log })
    }
}

/// Which ping a line answers, from 0.
fn number(line: &str) -> Option<u64> {
    line.split_once(" seq=")?.1.split(' ').next()?.parse().ok()
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
    is_answered(from, to, "1")
}

/// Sends one echo request, which must be answered within 5 seconds.
///
/// # Errors
///
/// When it is not.
pub fn ping(from: &dyn Place, to: IpAddr) -> Result<()> {
    ensure!(is_answered(from, to, "5")?, "ping from {} to {to}: no answer", from.name());
    Ok(())
}

fn is_answered(from: &dyn Place, to: IpAddr, seconds: &str) -> Result<bool> {
    let ping = ["busybox", "ping", "-c", "1", "-W", seconds, &to.to_string()];
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
