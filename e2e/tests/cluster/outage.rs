//! An etcd that is down for longer than leases live, a host that is cut off from it for so long, and an
//! etcd that is slow.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{Etcd, Host, Lab, Node, PATIENCE, PREFIX, Place as _, Process, SUBNET_ENV, wait_until};
use rustix::process::Signal;

use crate::lost;
use crate::packets::Traffic;
use crate::site::{DUAL, Pinging, Site, VXLAN, is_well, run, says};

/// What the kernel of a host holds, without counters.
pub(crate) const STATE: &str = "ip route show proto 78; ip -6 route show proto 78; ip neigh show nud permanent; \
                     for device in flannel.1 flannel-v6.1; do ip link show $device || continue; \
                     bridge fdb show dev $device; done 2>/dev/null; nft list table inet netd_cluster";

/// How often an agent lists what was compacted away: its own lease, all leases, the configuration, and what is of the cluster's networks.
const LISTED: usize = 4;

/// Hands what it gets on to etcd, and back, after so many seconds as its file says.
const PROXY: &str = r"
import asyncio, random, time
def delay():
    low, high = open('/run/delay').read().split()
    return random.uniform(float(low), float(high))
async def pump(reader, writer):
    queue = asyncio.Queue()
    async def send():
        last = 0
        while item := await queue.get():
            last = max(last, item[0])
            await asyncio.sleep(max(0, last - time.monotonic()))
            writer.write(item[1])
        writer.close()
    sending = asyncio.ensure_future(send())
    while data := await reader.read(65536):
        await queue.put((time.monotonic() + delay(), data))
    await queue.put(None)
    await sending
async def accept(reader, writer):
    back, there = await asyncio.open_connection('192.0.2.1', 2379)
    await asyncio.gather(pump(reader, there), pump(back, writer), return_exceptions=True)
async def main():
    server = await asyncio.start_server(accept, '192.0.2.1', 2479)
    print('ready', flush=True)
    await server.serve_forever()
asyncio.run(main())
";

/// Writes what concerns nobody, and compacts everything before it.
pub(crate) fn compact(site: &Site) -> Result<()> {
    for number in 0..5 {
        site.etcd.ctl(&["put", "/unrelated", &number.to_string()])?;
    }
    site.etcd.ctl(&["compaction", &site.etcd.revision()?.to_string()]).map(drop)
}

/// What a host's kernel loses of what leads to others.
pub(crate) struct Withdrawn(Process);

impl Withdrawn {
    /// Begins; the first loss was heard of, of a route made for that.
    pub(crate) fn watch(host: &Host) -> Result<Self> {
        let mut monitor = host.spawn("monitor", &["ip", "monitor", "route", "neigh"])?;
        wait_until("a loss is heard of", PATIENCE, || {
            let made = "ip route add blackhole 198.51.100.7; ip route del blackhole 198.51.100.7";
            host.sh(made).is_ok() && monitor.log().contains("Deleted blackhole 198.51.100.7")
        })?;
        ensure!(monitor.is_alive());
        Ok(Self(monitor))
    }

    /// Begins on each of these hosts.
    pub(crate) fn watch_all(nodes: &[Node]) -> Result<Vec<Self>> {
        nodes.iter().map(|node| Self::watch(&node.host)).collect()
    }

    /// Ends; nothing was lost.
    pub(crate) fn nothing(mut self) -> Result<()> {
        ensure!(self.0.is_alive());
        let log = self.0.log();
        let lost: Vec<&str> = log
            .lines()
            .filter(|line| line.starts_with("Deleted") && line.contains("flannel"))
            .collect();
        ensure!(lost.is_empty(), "{lost:?}");
        Ok(())
    }
}

#[test]
fn an_etcd_that_is_killed_for_longer_than_leases_live_costs_no_lease_and_no_packet() -> Result<()> {
    run(|lab| outlasts(lab, Etcd::kill, Etcd::resume))
}

/// It finds the leases over when it goes on, and ends them before a host can say a word.
#[test]
fn an_etcd_that_stands_still_for_longer_than_leases_live_costs_no_lease_and_no_packet() -> Result<()>
{
    run(|lab| outlasts(lab, |etcd| etcd.signal(Signal::STOP), |etcd| etcd.signal(Signal::CONT)))
}

fn outlasts(
    lab: &Lab,
    end: impl FnOnce(&mut Etcd) -> Result<()>,
    begin: impl FnOnce(&mut Etcd) -> Result<()>,
) -> Result<()> {
    let mut site = Site::new(lab, DUAL, 2, &["-ip-masq", "-subnet-ttl=6"])?;
    let members = site.members()?;
    let leases = |site: &Site| site.etcd.list(&format!("{PREFIX}/subnets"));
    let state = |site: &Site| -> Result<Vec<(String, String)>> {
        let of = |node: &Node| Ok((node.host.sh(STATE)?.stdout, node.host.read(SUBNET_ENV)?));
        site.nodes.iter().map(of).collect()
    };
    let (before, there) = (leases(&site)?, state(&site)?);
    let withdrawn = Withdrawn::watch_all(&site.nodes)?;
    let traffic = Traffic::both_ways(&members[0], &members[1])?;
    end(&mut site.etcd)?;
    let away = Instant::now();
    for node in &site.nodes {
        wait_until("it says that its lease may have ended", Duration::from_secs(60), || {
            says(node, 503, "no sign of life")
        })?;
    }
    wait_until("two times the leases' life", Duration::from_secs(60), || {
        away.elapsed() > Duration::from_secs(12)
    })?;
    assert_eq!(state(&site)?, there, "nothing is withdrawn");
    begin(&mut site.etcd)?;
    let back = Instant::now();
    for node in &site.nodes {
        wait_until("it has its lease, and misses nobody", Duration::from_secs(60), || {
            is_well(node)
        })?;
    }
    let took = back.elapsed();
    wait_until("the same leases", PATIENCE, || leases(&site).is_ok_and(|now| now == before))?;
    assert_eq!(state(&site)?, there);
    withdrawn.into_iter().try_for_each(Withdrawn::nothing)?;
    let passed: Result<Vec<_>> =
        traffic.into_iter().map(|(way, traffic)| Ok((way, traffic.end()?))).collect();
    writeln!(std::io::stderr(), "all again after {} ms: {:?}", took.as_millis(), passed?)?;
    Ok(())
}

#[test]
fn a_host_that_is_cut_off_for_longer_than_its_lease_keeps_all_and_is_there_again() -> Result<()> {
    run(|lab| {
        // Its lease is short; those of the others are not.
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        site.add(lab, "cut", &["-ip-masq", "-subnet-ttl=6"])?;
        site.add(lab, "host2", &["-ip-masq"])?;
        site.add(lab, "host3", &["-ip-masq"])?;
        site.nodes.iter_mut().try_for_each(e2e::Node::wait_ready)?;
        let members = site.members()?;
        let cut = site.nodes[0].host.clone();
        let key = lost::key(&site.nodes[0])?;
        let (before, lease) = (cut.sh(STATE)?.stdout, site.etcd.list(&key)?);
        let there = Traffic::start(&members[1], &members[0])?;
        let back = Traffic::start(&members[0], &members[2])?;
        cut.sh("nft 'add table inet cut; add chain inet cut out { type filter hook output priority 0; }; add rule inet cut out tcp dport 2379 drop'
            ss -K dst 192.0.2.1 dport = 2379")?;
        wait_until("its lease has ended", Duration::from_secs(60), || {
            site.etcd.list(&key).is_ok_and(|entries| entries.is_empty())
        })?;
        compact(&site)?;
        wait_until("it says that its lease may have ended", Duration::from_secs(60), || {
            says(&site.nodes[0], 503, "no sign of life")
        })?;
        assert_eq!(cut.sh(STATE)?.stdout, before, "it withdraws nothing");
        for node in site.nodes.iter().skip(1) {
            wait_until("the others miss it", PATIENCE, || {
                says(node, 200, "1 hosts are missing in the store")
            })?;
        }
        let begin = Instant::now();
        cut.sh("nft delete table inet cut")?;
        wait_until("the same lease again", Duration::from_secs(60), || {
            site.etcd.list(&key).is_ok_and(|entries| entries == lease)
        })?;
        let took = begin.elapsed();
        for node in site.nodes.iter().skip(1) {
            wait_until("nobody misses it", PATIENCE, || is_well(node))?;
        }
        site.nodes[0].wait_ready()?;
        assert_eq!(cut.sh(STATE)?.stdout, before);
        // What was compacted away is listed, each once; each watch comes back when it may.
        let mut log = String::new();
        wait_until("all is listed anew", PATIENCE, || {
            log = site.nodes[0].agent().map(|agent| agent.log()).unwrap_or_default();
            log.matches("list anew").count() >= LISTED
        })?;
        assert_eq!(log.matches("list anew").count(), LISTED, "{log}");
        let passed = [there.end()?, back.end()?];
        writeln!(
            std::io::stderr(),
            "the lease is there after {} ms: {passed:?}",
            took.as_millis()
        )?;
        Ok(())
    })
}

#[test]
fn a_slow_store_withdraws_nothing_and_a_new_host_is_found() -> Result<()> {
    run(|lab| {
        const SLOW: [&str; 3] =
            ["-ip-masq", "-subnet-ttl=15", "-etcd-endpoints=http://192.0.2.1:2479"];
        let mut site = Site::without_nodes(lab)?;
        let store = site.internet.host.clone();
        store.write_file("/run/delay", "0 0")?;
        let mut proxy = store.spawn("proxy", &["python3", "-c", PROXY])?;
        proxy.wait_for_log("ready", PATIENCE)?;
        site.fill(lab, VXLAN, 2, &SLOW)?;
        let members = site.members()?;
        let leases = |site: &Site| site.etcd.list(&format!("{PREFIX}/subnets"));
        let (before, state) = (leases(&site)?, site.nodes[0].host.sh(STATE)?.stdout);
        let there = Traffic::start(&members[0], &members[1])?;
        let back = Traffic::start(&members[1], &members[0])?;
        store.write_file("/run/delay", "1 2")?;
        let begin = Instant::now();
        wait_until("two times the leases' life", Duration::from_secs(60), || {
            begin.elapsed() > Duration::from_secs(30)
        })?;
        ensure!(leases(&site)? == before, "{:?}", leases(&site)?);
        assert_eq!(site.nodes[0].host.sh(STATE)?.stdout, state);
        let passed = [there.end()?, back.end()?];
        // One that comes now, at its own pace.
        let begin = Instant::now();
        site.add(lab, "late", &["-ip-masq"])?;
        site.nodes[2].wait_ready()?;
        let late = site.nodes[2].add("web")?;
        let pinging = Pinging::start(&members[0], &members[1])?;
        members[0].wait_to_reach(late.ip, Duration::from_secs(60))?;
        let took = begin.elapsed();
        pinging.end()?;
        writeln!(std::io::stderr(), "a slow store: {passed:?}; a new host: {took:?}")?;
        Ok(())
    })
}
