//! The table of the agent beside many other hosts: what it takes to lead to all of them from
//! nothing, beside `bridge -batch` and `ip -batch` with the same entries; and what one peer's change
//! and all of them together cost it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use e2e::scale::{self, Cost};
use e2e::{Etcd, Host, Lab, NETD, Node, Place as _};
use serde_json::Value;

use crate::samples::middle;

/// Rounds from nothing; the two alternate.
const ROUNDS: usize = 7;
/// Numbers of peers that exist when the agent starts, that come then, and that it leads to from nothing.
const FEW: u32 = 10;
const SOME: u32 = 100;
const MANY: u32 = 1000;

/// The address of etcd.
const STORE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A device as the agent makes it, and files of commands that lead to all peers by it; prints how
/// long these take, in milliseconds. Arguments: how many peers.
const FLOOR: &str = r#"
ip link del flannel.1 2>/dev/null || true
ip link add flannel.1 mtu 1450 type vxlan id 1 dev eth0 local "$(ip -4 -o addr show eth0 |
    awk '{sub("/.*", "", $4); print $4}')" dstport 8472 nolearning
ip addr add 10.0.1.0/32 dev flannel.1
ip link set flannel.1 up
: > /run/ip
: > /run/bridge
for n in $(seq 0 $(($1 - 1))); do
    base=10.$((100 + n / 256)).$((n % 256)).0
    mac=$(printf '02:01:00:00:%02x:%02x' $((n / 256)) $((n % 256)))
    echo "fdb replace $mac dev flannel.1 dst 192.0.2.$((100 + n % 100)) self permanent" >> /run/bridge
    echo "neigh replace $base lladdr $mac dev flannel.1 nud permanent" >> /run/ip
    echo "route replace $base/24 via $base dev flannel.1 onlink proto 78" >> /run/ip
done
start=${EPOCHREALTIME/./}
bridge -batch /run/bridge
ip -batch /run/ip
end=${EPOCHREALTIME/./}
echo $(((end - start) / 1000)).$(printf %03d $(((end - start) % 1000)))
"#;

/// Measures and prints the table.
pub(crate) fn print(lab: &Lab) -> Result<()> {
    let internet = lab.internet()?;
    let etcd = Etcd::start(&internet.host, STORE)?;
    etcd.configure(scale::NETWORK)?;
    scale::populate(&etcd, &internet.host, FEW)?;
    let (host, floor) = (lab.host("agent")?, lab.host("floor")?);
    for host in [&host, &floor] {
        internet.connect(lab, host)?;
    }
    let mut node = Node::start(&host, &etcd, &["-log=warn"])?;
    node.wait_ready()?;
    let mut rows = vec![row(&mut node, &etcd, FEW)?];
    scale::populate(&etcd, &internet.host, SOME)?;
    rows.push(row(&mut node, &etcd, SOME)?);
    scale::populate(&etcd, &internet.host, MANY)?;
    let (mut agent, mut batch) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        batch.push(by_batch(&floor)?);
        agent.push(from_nothing(&mut node)?);
    }
    rows.push(row(&mut node, &etcd, MANY)?);
    times(&mut agent, &mut batch);
    costs(&rows);
    Ok(())
}

/// What one change costs among so many peers, and the agent's memory in KiB then.
fn row(node: &mut Node, etcd: &Etcd, peers: u32) -> Result<(u32, Cost, u64)> {
    Ok((peers, scale::event(node, etcd, peers)?, scale::memory(node)?))
}

/// Milliseconds of the agent's first look at everything, on a host that has nothing of it.
fn from_nothing(node: &mut Node) -> Result<f64> {
    node.stop()?;
    node.host
        .sh("ip link del flannel.1; nft delete table inet netd_cluster 2>/dev/null || true")?;
    node.resume()?;
    node.wait_ready()?;
    let shown = node.host.run(&["ip", "route", "show", "proto", "78"])?.stdout;
    ensure!(shown.lines().count() == MANY as usize, "{} routes", shown.lines().count());
    let status = node.host.run(&[NETD, "status", "--output", "json"])?.json()?;
    let seconds = status.pointer("/reconcile/firstSeconds").and_then(Value::as_f64);
    Ok(seconds.with_context(|| format!("firstSeconds in {status}"))? * 1e3)
}

fn by_batch(floor: &Host) -> Result<f64> {
    let count = MANY.to_string();
    let printed = floor.run(&["bash", "-euc", FLOOR, "floor", &count])?.stdout;
    let shown = floor.run(&["ip", "route", "show", "proto", "78"])?.stdout;
    ensure!(shown.lines().count() == MANY as usize, "{} routes", shown.lines().count());
    printed.trim().parse().with_context(|| format!("milliseconds in {printed:?}"))
}

fn times(agent: &mut [f64], batch: &mut [f64]) {
    agent.sort_by(f64::total_cmp);
    batch.sort_by(f64::total_cmp);
    let least = |times: &[f64]| times.first().copied().unwrap_or_default();
    println!(
        "\n### The agent: {MANY} peers from nothing\n\nMilliseconds of {ROUNDS} rounds: median (least). The \
         agent's first look at everything, which also makes the device and the rules; `bridge -batch` \
         and `ip -batch` make the peers' entries alone, on a device that is there.\n"
    );
    println!("| | agent | bridge and ip -batch | agent / batch |\n|---|---|---|---|");
    println!(
        "| {MANY} peers | {:.1} ({:.1}) | {:.1} ({:.1}) | {:.2} ({:.2}) |\n",
        middle(agent),
        least(agent),
        middle(batch),
        least(batch),
        middle(agent) / middle(batch),
        least(agent) / least(batch),
    );
}

fn costs(rows: &[(u32, Cost, u64)]) {
    println!(
        "### The agent: one peer's change\n\nOf the whole agent, from etcd's event to the kernel; system \
         calls without those on locks.\n"
    );
    println!("| Peers | CPU, ms | system calls | memory of the agent, MiB |\n|---|---|---|---|");
    for (peers, cost, kib) in rows {
        let (ms, mib) = (cost.time as f64 / 1e3, *kib as f64 / 1024.0);
        println!("| {peers} | {ms:.3} | {:.1} | {mib:.1} |", cost.calls);
    }
    println!();
}
