//! A host that is cut off from etcd for longer than its lease lives, and an etcd that is slow.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{PATIENCE, PREFIX, Place as _, wait_until};

use crate::packets::Traffic;
use crate::site::{Pinging, Site, VXLAN, run};

/// What the kernel of a host holds, without counters.
const STATE: &str = "ip route show proto 78; ip neigh show nud permanent; ip link show flannel.1; \
                     bridge fdb show dev flannel.1; nft list table inet netd_cluster";

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
        let key = format!("{PREFIX}/subnets/{}", site.nodes[0].key()?);
        let (before, lease) = (cut.sh(STATE)?.stdout, site.etcd.list(&key)?);
        let there = Traffic::start(&members[1], &members[0])?;
        let back = Traffic::start(&members[0], &members[2])?;
        cut.sh("nft 'add table inet cut; add chain inet cut out { type filter hook output priority 0; }; add rule inet cut out tcp dport 2379 drop'")?;
        wait_until("its lease has ended", Duration::from_secs(60), || {
            site.etcd.list(&key).is_ok_and(|entries| entries.is_empty())
        })?;
        for number in 0..5 {
            site.etcd.ctl(&["put", "/unrelated", &number.to_string()])?;
        }
        let shown = site.etcd.ctl(&["get", "/unrelated", "-w", "json"])?.json()?;
        let revision = shown.pointer("/header/revision").map(ToString::to_string);
        site.etcd.ctl(&["compaction", &revision.unwrap_or_default()])?;
        wait_until("it says that its lease may have ended", Duration::from_secs(60), || {
            site.nodes[0]
                .health("readyz")
                .is_ok_and(|(code, said)| code == 503 && said.contains("no sign of life"))
        })?;
        assert_eq!(cut.sh(STATE)?.stdout, before, "it withdraws nothing");
        for node in site.nodes.iter().skip(1) {
            wait_until("the others miss it", PATIENCE, || {
                node.health("readyz").is_ok_and(|(code, said)| {
                    code == 200 && said.contains("1 hosts are missing in the store")
                })
            })?;
        }
        let begin = Instant::now();
        cut.sh("nft delete table inet cut")?;
        wait_until("the same lease again", Duration::from_secs(60), || {
            site.etcd.list(&key).is_ok_and(|entries| entries == lease)
        })?;
        let took = begin.elapsed();
        for node in site.nodes.iter().skip(1) {
            wait_until("nobody misses it", PATIENCE, || {
                node.health("readyz").is_ok_and(|(_, said)| said == "flanneld is ready")
            })?;
        }
        site.nodes[0].wait_ready()?;
        assert_eq!(cut.sh(STATE)?.stdout, before);
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
