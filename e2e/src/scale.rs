//! Many other hosts, that are leases in etcd and nothing else, and what they cost an agent.

use anyhow::{Context as _, Result, ensure};

use crate::etcd::Etcd;
use crate::host::Host;
use crate::node::Node;
use crate::place::Place as _;
use crate::wait::PATIENCE;

/// The network of such a cluster.
pub const NETWORK: &str = r#"{"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}}"#;

/// Writes leases of hosts by etcd's JSON gateway: all of them, a hundred in a transaction; or
/// changes, each when the one before has reached the kernel of the host on which this runs.
/// Arguments: URL, the first and the one after the last host, the second byte of the first MACs,
/// how many changes (0: all of them once).
const PEERS: &str = r#"
import base64, json, socket, sys, urllib.request
url, first, last, version, changes = sys.argv[1], *map(int, sys.argv[2:6])
b = lambda text: base64.b64encode(text.encode()).decode()
mac = lambda n, version: bytes([2, version, 0, 0, n >> 8, n & 255])
def put(n, version):
    value = '{"PublicIP":"192.0.2.%d","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"%s"}}' % (100 + n % 100, mac(n, version).hex(':'))
    key = '/coreos.com/network/subnets/10.%d.%d.0-24' % (100 + (n >> 8), n & 255)
    return {'requestPut': {'key': b(key), 'value': b(value)}}
def write(puts):
    urllib.request.urlopen(url + '/v3/kv/txn', json.dumps({'success': puts}).encode()).read()
if not changes:
    for begin in range(first, last, 100):
        write([put(n, version) for n in range(begin, min(begin + 100, last))])
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
kernel.bind((0, 1 << 2))  # RTMGRP_NEIGH
kernel.settimeout(20)
def is_made(message, mac):  # RTM_NEWNEIGH, AF_BRIDGE
    return message[4:6] == bytes([28, 0]) and message[16] == 7 and mac in message
for change in range(changes):
    n, now = first + change % (last - first), version + change // (last - first)
    write([put(n, now)])
    while not is_made(kernel.recv(1 << 16), mac(n, now)):
        pass
"#;

/// Changes that are measured.
const EVENTS: u32 = 200;
/// Changes before: the look at everything that follows the start ends among them.
const BEFORE: u32 = 50;

/// What the whole agent spends on one peer's change, where nothing else happens.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time in microseconds.
    pub time: u64,
    /// System calls, but for those by which threads wait for each other.
    pub calls: f64,
}

/// Writes the leases of so many hosts.
///
/// # Errors
///
/// When etcd does not take them.
pub fn populate(etcd: &Etcd, from: &Host, peers: u32) -> Result<()> {
    change(etcd, from, (0, peers), 1, 0)
}

/// What one change of a peer costs, one after the other, among so many.
///
/// # Errors
///
/// When a change does not reach the kernel, or strace counts nothing.
pub fn event(node: &mut Node, etcd: &Etcd, peers: u32) -> Result<Cost> {
    let range = (peers.saturating_sub(EVENTS), peers);
    let host = node.host.clone();
    change(etcd, &host, range, 2, BEFORE)?;
    let before = cpu(node)?;
    change(etcd, &host, range, 20, EVENTS)?;
    let time = (cpu(node)? - before) / u64::from(EVENTS) / 1000;
    let calls = calls(&host, || change(etcd, &host, range, 50, EVENTS))?;
    Ok(Cost { time, calls: calls / f64::from(EVENTS) })
}

/// Resident memory of the agent in KiB.
///
/// # Errors
///
/// When it does not run.
pub fn memory(node: &mut Node) -> Result<u64> {
    let pid = node.agent()?.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("a number")
}

fn change(
    etcd: &Etcd,
    on: &Host,
    (first, last): (u32, u32),
    version: u32,
    changes: u32,
) -> Result<()> {
    let numbers = [first, last, version, changes].map(|number| number.to_string());
    on.command(&["python3", "-c", PEERS, etcd.url()]).args(numbers).run().map(drop)
}

/// System calls that the agent makes meanwhile, without those on locks.
fn calls(host: &Host, meanwhile: impl FnOnce() -> Result<()>) -> Result<f64> {
    const COUNTS: &str = "/run/calls";
    let agent = host.run(&["pidof", "netd"])?.stdout;
    let words = ["strace", "-f", "-c", "-U", "calls,name", "-o", COUNTS, "-p", agent.trim()];
    let mut strace = host.spawn("strace", &words)?;
    strace.wait_for_log("attached", PATIENCE)?;
    meanwhile()?;
    strace.stop()?;
    let counts = host.read(COUNTS)?;
    let mut sum = 0.0;
    for line in counts.lines().filter(|line| !line.contains("futex") && !line.contains("total")) {
        if let Some(Ok(count)) = line.split_whitespace().next().map(str::parse::<f64>) {
            sum += count;
        }
    }
    ensure!(sum > 0.0, "what strace counted: {counts}");
    Ok(sum)
}

/// Nanoseconds that the agent's threads have run (`/proc/PID/task/TID/schedstat`).
fn cpu(node: &mut Node) -> Result<u64> {
    let pid = node.agent()?.pid().as_raw_nonzero();
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().context("a time")?.parse::<u64>()?;
    }
    Ok(sum)
}
