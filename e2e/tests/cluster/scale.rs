//! A thousand hosts: what they cost one of them. Figures go to standard error; the bounds are for
//! a busy machine.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{Node, PATIENCE, Place as _, wait_until};

use crate::site::{Site, VXLAN, run};

/// Writes leases of hosts by etcd's JSON gateway, a hundred in a transaction or one by one.
/// Arguments: URL, the first and the one after the last host, the second byte of their MACs, how
/// many at once.
const PEERS: &str = r#"
import base64, json, sys, urllib.request
url, first, last, version, at_once = sys.argv[1], *map(int, sys.argv[2:6])
b = lambda text: base64.b64encode(text.encode()).decode()
def put(n):
    mac = '02:%02x:00:00:%02x:%02x' % (version, n >> 8, n & 255)
    value = '{"PublicIP":"192.0.2.%d","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"%s"}}' % (100 + n % 100, mac)
    key = '/coreos.com/network/subnets/10.%d.%d.0-24' % (100 + (n >> 8), n & 255)
    return {'requestPut': {'key': b(key), 'value': b(value)}}
for begin in range(first, last, at_once):
    body = {'success': [put(n) for n in range(begin, min(begin + at_once, last))]}
    urllib.request.urlopen(url + '/v3/kv/txn', json.dumps(body).encode()).read()
"#;

const EVENTS: u32 = 200;

#[test]
fn a_thousand_peers_cost_little_memory_and_one_event_the_same_as_among_ten() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(&VXLAN.replace("10.5.0.0/16", "10.0.0.0/8"))?;
        peers(&site, (0, 10), 1, 100)?;
        site.add(lab, "host1", &["-log=warn"])?;
        site.nodes[0].wait_ready()?;
        let among_ten = event(&mut site, 10)?;
        site.nodes[0].stop()?;
        peers(&site, (0, 1000), 1, 100)?;
        // From nothing, as after a reboot.
        site.nodes[0].host.sh("ip link del flannel.1")?;
        let start = Instant::now();
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let ready = start.elapsed();
        let shown = site.nodes[0].host.run(&["ip", "route", "show", "proto", "78"])?.stdout;
        assert_eq!(shown.lines().count(), 1000);
        let among_thousand = event(&mut site, 1000)?;
        let memory = memory(&mut site.nodes[0])?;
        writeln!(
            std::io::stderr(),
            "1000 peers: ready after {ready:?}, {memory} KiB; one event: {among_thousand} us of \
             CPU, among ten {among_ten} us"
        )?;
        ensure!(memory < 30 * 1024, "{memory} KiB");
        ensure!(among_thousand < 2000, "{among_thousand} us");
        ensure!(among_thousand < 2 * among_ten + 100, "{among_thousand} us, {among_ten} us");
        Ok(())
    })
}

fn peers(site: &Site, (first, last): (u32, u32), version: u32, at_once: u32) -> Result<()> {
    let numbers = [first, last, version, at_once].map(|number| number.to_string());
    let command = site.internet.host.command(&["python3", "-c", PEERS, site.etcd.url()]);
    command.args(numbers).run().map(drop)
}

/// CPU time in microseconds of the whole agent for one peer's change, one after the other.
fn event(site: &mut Site, peers_there: u32) -> Result<u64> {
    let before = cpu(first(site)?)?;
    let begin = peers_there.saturating_sub(EVENTS);
    let (mut version, mut done) = (1, 0);
    while done < EVENTS {
        version += 1;
        let last = peers_there.min(begin + EVENTS);
        peers(site, (begin, last), version, 1)?;
        done += last - begin;
    }
    let last = peers_there - 1;
    let mac = format!("02:{version:02x}:00:00:{:02x}:{:02x}", last >> 8, last & 255);
    let host = first(site)?.host.clone();
    wait_until("the last change in the kernel", PATIENCE, || {
        host.run(&["bridge", "fdb", "show", "dev", "flannel.1"])
            .is_ok_and(|o| o.stdout.contains(&mac))
    })?;
    Ok((cpu(first(site)?)? - before) / u64::from(EVENTS) / 1000)
}

fn first(site: &mut Site) -> Result<&mut Node> {
    site.nodes.first_mut().context("a host")
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

/// Resident memory in KiB.
fn memory(node: &mut Node) -> Result<u64> {
    let pid = node.agent()?.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("a number")
}
