//! How soon other hosts know of a new container on an overlay.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::attach_socket::attach;
use crate::{Container, Host, PATIENCE, Place as _, Process, wait_until};

/// Attaches so many containers to a network on a host, one after the other. Gives how long it took from the end of
/// each attachment until each other host answered its name, and until it led to it. There must be no other
/// network on them.
///
/// # Errors
/// Where one is not attached, or another host does not hear of it.
pub fn delays(
    one: &Host,
    others: &[&Host],
    network: &str,
    count: usize,
) -> Result<[Vec<Duration>; 2]> {
    let watchers =
        others.iter().map(|host| watch(host, network, count)).collect::<Result<Vec<_>>>()?;
    let mut delays = [Vec::new(), Vec::new()];
    for number in 0..count {
        let container = one.add_container(&format!("n{number}"))?;
        let result = attach(&container, network, &json!({}))?;
        let made = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mac = result.pointer("/interfaces/0/mac").and_then(Value::as_str).context("a MAC")?;
        let words = [format!("dns n{number} "), format!("fdb {mac} ")];
        for watcher in &watchers {
            let seen = |word: &String| time_of(&watcher.process.log(), word);
            wait_until("another host knows it", PATIENCE, || {
                words.iter().all(|word| seen(word).is_some())
            })?;
            for (word, delays) in words.iter().zip(&mut delays) {
                let seen = seen(word).context("when it was seen")?;
                delays.push(seen.saturating_sub(made));
            }
        }
    }
    Ok(delays)
}

/// So many percent are at most this.
#[must_use]
pub fn percentile(delays: &[Duration], percent: usize) -> Duration {
    let mut all = delays.to_vec();
    all.sort();
    let at = (all.len() * percent / 100).min(all.len().saturating_sub(1));
    all.get(at).copied().unwrap_or_default()
}

/// A container of another host, which asks for each name until there is one, and hears of each forwarding entry.
struct Watcher {
    _container: Container,
    process: Process,
}

fn watch(host: &Host, network: &str, count: usize) -> Result<Watcher> {
    let container = host.add_container("watcher")?;
    let result = attach(&container, network, &json!({}))?;
    let server =
        result.pointer("/dns/nameservers/0").and_then(Value::as_str).context("a server")?;
    let namespaces = host.list("/run/netd/netns")?;
    let namespace = namespaces.first().context("the network's namespace")?;
    let path = format!("/run/netd/netns/{namespace}");
    let own = container.netns();
    let words = ["python3", "-uc", WATCH, server, &path, &own, &count.to_string()];
    let mut process = host.command(&words).spawn("watcher")?;
    process.wait_for_log("listens", PATIENCE)?;
    Ok(Watcher { _container: container, process })
}

/// When a watcher has seen something, since the epoch.
fn time_of(log: &str, word: &str) -> Option<Duration> {
    let line = log.lines().find_map(|line| line.strip_prefix(word))?;
    Duration::try_from_secs_f64(line.trim().parse().ok()?).ok()
}

/// Asks from a container's namespace, and listens in the network's.
const WATCH: &str = r#"
import ctypes, os, select, socket, struct, sys, time
server, below, own, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)
def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), path)
enter(below)
news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
news.bind((0, 1 << 2))
enter(own)
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asks.connect((server, 53))
print("listens")
def hear():
    now, data, at = time.time(), news.recv(65536), 0
    while at + 28 <= len(data):
        length, kind = struct.unpack("=IH", data[at:at + 6])
        family = data[at + 16]
        inside, macs, dst = at + 28, [], False
        while inside + 4 <= at + length:
            size, attribute = struct.unpack("=HH", data[inside:inside + 4])
            if attribute == 2:
                macs.append(data[inside + 4:inside + size].hex(":"))
            dst = dst or attribute == 1
            inside += (size + 3) & ~3
        if kind == 28 and family == 7 and dst:
            for mac in macs:
                print("fdb", mac, now)
        at += (length + 3) & ~3
for number in range(count):
    name = ("n%d" % number).encode()
    question = bytes([len(name)]) + name + b"\0" + struct.pack("!HH", 1, 1)
    while True:
        asks.send(struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 0) + question)
        end, code = time.time() + 1, None
        while code is None and time.time() < end:
            for ready in select.select([asks, news], [], [], 1)[0]:
                if ready is news:
                    hear()
                else:
                    answer = asks.recv(4096)
                    if answer[:2] == struct.pack("!H", number):
                        code = answer[3] & 15
        if code == 0:
            print("dns", name.decode(), time.time())
            break
        if select.select([news], [], [], 0.001)[0]:
            hear()
while True:
    hear()
"#;
