//! Packets that pass all the time, and what became of them.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::probe::{Pinged, Pinging};
use e2e::{Member, PATIENCE, Place as _, Process};
use rustix::process::Signal;

use crate::site::v6;

/// Between two pings.
pub(crate) const BEAT: Duration = Duration::from_millis(5);
/// The longest time that nothing may come, in milliseconds.
const STALL: f64 = 200.0;

/// A connection: a kilobyte every 5 ms until SIGINT, and who tells how long it had to wait for one
/// at most.
const STREAM: &str = r"
import signal, socket, sys, time
if sys.argv[1] == 'receive':
    family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET
    server = socket.create_server((sys.argv[2], 7000), family=family)
    print('ready', flush=True)
    stream = server.accept()[0]
    last, longest, count = time.monotonic(), 0, 0
    while data := stream.recv(65536):
        now = time.monotonic()
        longest, last, count = max(longest, now - last), now, count + len(data)
        if count < 4096: longest = 0
    print('received %d longest %.1f end' % (count, longest * 1000), flush=True)
else:
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(1))
    stream = socket.create_connection((sys.argv[2], 7000))
    sent = 0
    print('connected', flush=True)
    while not stop:
        stream.sendall(b'x' * 1024)
        sent += 1024
        time.sleep(0.005)
    stream.close()
    print('sent %d end' % sent, flush=True)
";

/// 200 pings a second and a TCP stream from one container to another.
pub(crate) struct Traffic {
    ping: Pinging,
    send: Process,
    receive: Process,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) pings: usize,
    /// Pings that were not, by their numbers.
    pub(crate) lost: Vec<u64>,
    pub(crate) longest_answer: f64,
    pub(crate) bytes: u64,
    pub(crate) longest_stall: f64,
}

impl Traffic {
    /// Begins; the first have been answered.
    pub(crate) fn start(from: &Member, to: &Member) -> Result<Self> {
        Self::start_to(from, to, to.ip)
    }

    /// Both ways, over each family that the network of these two has.
    pub(crate) fn both_ways(one: &Member, other: &Member) -> Result<Vec<(String, Self)>> {
        let mut all = Vec::new();
        for (way, from, to) in [("there", one, other), ("back", other, one)] {
            for (family, ip) in [("IPv4", Some(to.ip)), ("IPv6", v6(to).ok())] {
                let Some(ip) = ip else { continue };
                all.push((format!("{family}, {way}"), Self::start_to(from, to, ip)?));
            }
        }
        Ok(all)
    }

    fn start_to(from: &Member, to: &Member, ip: IpAddr) -> Result<Self> {
        let any = if ip.is_ipv4() { "0.0.0.0" } else { "::" };
        let stream = |member: &Member, words: &[&str]| {
            let name = format!("stream-{}", words.first().unwrap_or(&""));
            member.container.spawn(&name, &[&["python3", "-c", STREAM], words].concat())
        };
        let mut receive = stream(to, &["receive", any])?;
        receive.wait_for_log("ready", PATIENCE)?;
        let mut send = stream(from, &["send", &ip.to_string()])?;
        send.wait_for_log("connected", PATIENCE)?;
        let ping = Pinging::start(&from.container, ip, BEAT, 20)?;
        Ok(Self { ping, send, receive })
    }

    /// Ends; nothing was lost, and nothing had to wait for longer than [`STALL`].
    pub(crate) fn end(self) -> Result<Passed> {
        let passed = self.count()?;
        ensure!(passed.lost.is_empty(), "{passed:?}");
        ensure!(passed.longest_answer < STALL && passed.longest_stall < STALL, "{passed:?}");
        Ok(passed)
    }

    /// Ends, and counts; of the stream nothing was lost.
    pub(crate) fn count(mut self) -> Result<Passed> {
        let Pinged { answered, lost, log } = self.ping.end()?;
        self.send.signal(Signal::INT)?;
        self.send.wait_for_log(" end", PATIENCE)?;
        self.receive.wait_for_log(" end", PATIENCE)?;
        let longest_answer = after_last(&log, "/").context("times of answers")?;
        let bytes = number(&self.receive.log(), "received ", " longest")?;
        let passed = Passed {
            pings: answered,
            lost,
            longest_answer,
            bytes,
            longest_stall: after_last(&self.receive.log(), "longest ").context("a stall")?,
        };
        ensure!(bytes == number(&self.send.log(), "sent ", " end")?, "{passed:?}");
        Ok(passed)
    }
}

/// The number between two texts, the last of that kind.
fn number(log: &str, before: &str, after: &str) -> Result<u64> {
    let (head, _) = log.rsplit_once(after).with_context(|| format!("{after:?} in {log}"))?;
    let digits = head.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    ensure!(head.strip_suffix(digits).is_some_and(|head| head.ends_with(before)), "{head}");
    Ok(digits.parse()?)
}

/// The number that follows the last of these texts.
fn after_last(log: &str, text: &str) -> Option<f64> {
    log.rsplit_once(text)?.1.split_whitespace().next()?.parse().ok()
}
