//! An agent that is killed, at any moment, with the store there or away: no packet is lost.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Member, Node, PATIENCE, Place as _, Process, wait_until};
use rustix::process::Signal;

use crate::site::{Site, VXLAN, run};

const KILLS: u32 = 20;
/// The longest time that nothing may come, in milliseconds.
const STALL: f64 = 200.0;
/// Between a start and the kill, in milliseconds, at most: an agent is ready after some 100.
const LONGEST_LIFE: u64 = 600;

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
struct Traffic {
    ping: Process,
    send: Process,
    receive: Process,
}

/// What became of it.
#[derive(Debug)]
struct Passed {
    pings: u64,
    longest_answer: f64,
    bytes: u64,
    longest_stall: f64,
}

impl Traffic {
    /// Begins; the first have been answered.
    fn start(from: &Member, to: &Member) -> Result<Self> {
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
    fn end(mut self) -> Result<Passed> {
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
            longest_answer,
            bytes,
            longest_stall: after_last(&self.receive.log(), "longest ").context("a stall")?,
        };
        // The last may be on its way when it ends.
        ensure!(sent - answered <= 1, "{answered} answers to {sent} pings, {passed:?}");
        ensure!(bytes == number(&self.send.log(), "sent ", " end")?, "{passed:?}");
        ensure!(passed.longest_answer < STALL && passed.longest_stall < STALL, "{passed:?}");
        Ok(passed)
    }
}

#[test]
fn an_agent_that_is_killed_20_times_loses_no_packet_and_holds_no_stream_up() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let mut random = Random::seeded()?;
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        kill_often(&mut site.nodes[0], &mut random)?;
        for (way, traffic) in [("from it", there), ("to it", back)] {
            let Passed { pings, longest_answer, bytes, longest_stall } = traffic.end()?;
            writeln!(
                std::io::stderr(),
                "{KILLS} kills, {way}: {pings} pings answered within {longest_answer} ms, {bytes} \
                 bytes without a stall of over {longest_stall} ms"
            )?;
        }
        Ok(())
    })
}

#[test]
fn an_agent_that_is_killed_while_the_store_is_away_goes_on_with_what_it_knew() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 3, &["-ip-masq"])?;
        let members = site.members()?;
        let state = |site: &Site| -> Result<_> {
            let host = &site.nodes[0].host;
            let show = "ip route show proto 78; ip neigh show nud permanent; \
                        bridge fdb show dev flannel.1; ip link show flannel.1; \
                        nft list table inet netd_cluster";
            Ok((host.sh(show)?.stdout, host.read(e2e::SUBNET_ENV)?))
        };
        let before = state(&site)?;
        kept(&site)?;
        let traffic = Traffic::start(&members[0], &members[1])?;
        let url = site.etcd.url().to_owned();
        site.etcd.kill()?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let said = site.nodes[0].health("readyz")?.1;
        ensure!(said.contains("the store is away") && said.contains(&url), "{said}");
        assert_eq!(state(&site)?, before);
        // It does all its work: repairs, and takes containers.
        site.nodes[0].host.sh("ip route flush proto 78")?;
        wait_until("all as before", PATIENCE, || state(&site).is_ok_and(|now| now == before))?;
        let new = site.nodes[0].add("new")?;
        new.wait_to_reach(members[2].ip, PATIENCE)?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        site.etcd.resume()?;
        wait_until("the store is there again", PATIENCE, || {
            site.nodes[0]
                .health("readyz")
                .is_ok_and(|(code, said)| code == 200 && said.ends_with("flanneld is ready"))
        })?;
        assert_eq!(state(&site)?, before);
        drop(traffic);
        Ok(())
    })
}

/// Waits until a restart could do without the store.
fn kept(site: &Site) -> Result<()> {
    let host = &site.nodes.first().context("a host")?.host;
    let others = site.nodes.iter().skip(1).map(Node::key).collect::<Result<Vec<_>>>()?;
    wait_until("all that is known is on the disk", PATIENCE, || {
        let file = std::fs::read(host.path("/var/lib/netd/netd.redb")).unwrap_or_default();
        let text = String::from_utf8_lossy(&file);
        others.iter().all(|key| text.contains(&format!("/peers/{key}")))
    })
}

fn kill_often(node: &mut Node, random: &mut Random) -> Result<()> {
    for _ in 0..KILLS {
        let (begin, life) = (Instant::now(), Duration::from_millis(random.below(LONGEST_LIFE)));
        wait_until("the moment of the kill", PATIENCE, || begin.elapsed() >= life)?;
        node.kill();
        node.resume()?;
    }
    node.wait_ready()
}

/// Numbers that a seed repeats: Knuth's MMIX.
struct Random(u64);

impl Random {
    fn seeded() -> Result<Self> {
        let seed = std::env::var("E2E_SEED").ok().map(|text| text.parse()).transpose()?;
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        writeln!(std::io::stderr(), "E2E_SEED={seed}")?;
        Ok(Self(seed))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
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
