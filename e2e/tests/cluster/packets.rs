//! Packets that pass all the time, and what became of them.

use anyhow::{Context as _, Result, ensure};
use e2e::{Member, PATIENCE, Place as _, Process};
use rustix::process::Signal;

/// The longest time that nothing may come, in milliseconds.
const STALL: f64 = 200.0;

/// A connection: a kilobyte every 5 ms until SIGINT, and who tells how long it had to wait for one
/// at most.
const STREAM: &str = r"
import signal, socket, sys, time
if sys.argv[1] == 'receive':
    server = socket.create_server(('0.0.0.0', 7000))
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
    ping: Process,
    send: Process,
    receive: Process,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) pings: u64,
    pub(crate) lost: u64,
    pub(crate) longest_answer: f64,
    pub(crate) bytes: u64,
    pub(crate) longest_stall: f64,
}

impl Traffic {
    /// Begins; the first have been answered.
    pub(crate) fn start(from: &Member, to: &Member) -> Result<Self> {
        let ip = to.ip.to_string();
        let stream = |member: &Member, words: &[&str]| {
            let name = format!("stream-{}", words.first().unwrap_or(&""));
            member.container.spawn(&name, &[&["python3", "-c", STREAM], words].concat())
        };
        let mut receive = stream(to, &["receive"])?;
        receive.wait_for_log("ready", PATIENCE)?;
        let mut send = stream(from, &["send", &ip])?;
        send.wait_for_log("connected", PATIENCE)?;
        let words = ["busybox", "ping", "-i", "0.005", "-W", "1", &ip];
        let mut ping = from.container.spawn("pings", &words)?;
        ping.wait_for_log(" seq=20 ", PATIENCE)?;
        Ok(Self { ping, send, receive })
    }

    /// Ends; nothing was lost, and nothing had to wait for longer than [`STALL`].
    pub(crate) fn end(self) -> Result<Passed> {
        let passed = self.count()?;
        ensure!(passed.lost == 0, "{passed:?}");
        ensure!(passed.longest_answer < STALL && passed.longest_stall < STALL, "{passed:?}");
        Ok(passed)
    }

    /// Ends, and counts; of the stream nothing was lost.
    pub(crate) fn count(mut self) -> Result<Passed> {
        self.ping.signal(Signal::INT)?;
        self.ping.wait(PATIENCE)?;
        self.send.signal(Signal::INT)?;
        self.send.wait_for_log(" end", PATIENCE)?;
        self.receive.wait_for_log(" end", PATIENCE)?;
        let log = self.ping.log();
        let sent = number(&log, "", " packets transmitted")?;
        let answered = number(&log, "transmitted, ", " packets received")?;
        let longest_answer = after_last(&log, "/").context("times of answers")?;
        let bytes = number(&self.receive.log(), "received ", " longest")?;
        let passed = Passed {
            pings: sent,
            // The last may be on its way when it ends.
            lost: (sent - answered).saturating_sub(1),
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
