//! What it takes to lead to the peers of a VXLAN overlay, against a bare netlink floor measured in
//! the same run: `ip -batch` and `bridge -batch` with the same commands.
//!
//! `cargo run --release -p kernel --features testing --example peers [PEERS] [ROUNDS]`, as root. It
//! works in namespaces of its own. The price of one peer's event is processor time.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use kernel::Kernel;
use kernel::testing::{in_new_host, sh};
use netstate::{
    Addr, Datapath, Desired, Fdb, Link, LinkKind, LinkName, LinkRef, Mac, Neigh, Ns, Observed,
    Plan, Route, Scope, Vxlan,
};
use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Events that are measured: a peer's public address changes, or it goes and comes.
const EVENTS: u32 = 200;

fn main() -> Result<(), Failure> {
    let argument = |n, default| std::env::args().nth(n).map_or(Ok(default), |text| text.parse());
    let (peers, rounds) = (argument(1, 1000)?, argument(2, 5)?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{rounds} rounds, milliseconds: least (median)")?;
    let (mut ours, mut again, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        floor.push(in_new_host(|| bare(peers))?);
        let (all, observed) = in_new_host(|| from_nothing(peers))?;
        ours.push(all);
        again.push(observed);
    }
    let least = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    let ratio = least(&ours).as_secs_f64() / least(&floor).as_secs_f64();
    line(&mut out, &format!("{peers} peers from nothing"), &mut ours)?;
    line(&mut out, &format!("{peers} peers by ip and bridge -batch"), &mut floor)?;
    writeln!(out, "ratio {ratio:.2}")?;
    line(&mut out, &format!("{peers} peers looked at and found right"), &mut again)?;
    for count in [10, peers] {
        let per_event = in_new_host(|| events(count))?;
        let micros = per_event.as_micros();
        writeln!(out, "one event among {count} peers: {micros} microseconds of processor time")?;
    }
    Ok(())
}

fn line(out: &mut impl std::io::Write, name: &str, times: &mut [Duration]) -> Result<(), Failure> {
    times.sort_unstable();
    let at = |n: usize| times.get(n).copied().unwrap_or_default().as_secs_f64() * 1e3;
    writeln!(out, "{name:<44} {:>7.1} ({:.1})", at(0), at(times.len() / 2))?;
    Ok(())
}

/// The device is there; how long its peers take, and to find that all is right afterwards.
fn from_nothing(peers: u32) -> Result<(Duration, Duration), Failure> {
    let mut kernel = host()?;
    let mut want = device()?;
    for number in 0..peers {
        merge(&mut want, &peer(number, 0)?);
    }
    let scope = scope()?;
    let start = Instant::now();
    let there = kernel.observe(&scope)?;
    done(kernel.apply(&Plan::between(&there, &want, &scope)))?;
    let made = start.elapsed();
    let start = Instant::now();
    let there = kernel.observe(&scope)?;
    if !Plan::between(&there, &want, &scope).is_empty() {
        return Err("what was made is not what was wanted".into());
    }
    Ok((made, start.elapsed()))
}

fn bare(peers: u32) -> Result<Duration, Failure> {
    drop(host()?);
    let (mut ip, mut bridge) = (String::new(), String::new());
    for number in 0..peers {
        let plan = Plan::ensure(&peer(number, 0)?);
        for step in &plan.steps {
            let text = step.op.to_string();
            if let Some(text) = text.strip_prefix("ip ") {
                writeln!(ip, "{text}")?;
            } else if let Some(text) = text.strip_prefix("bridge ") {
                writeln!(bridge, "{text}")?;
            }
        }
    }
    std::fs::write("/run/ip", ip)?;
    std::fs::write("/run/bridge", bridge)?;
    let start = Instant::now();
    sh("bridge -batch /run/bridge && ip -batch /run/ip");
    Ok(start.elapsed())
}

/// Processor time of an event: the public address of one peer changes. Planned from what was to
/// what is, without looking.
fn events(peers: u32) -> Result<Duration, Failure> {
    let mut kernel = host()?;
    for number in 0..peers {
        done(kernel.apply(&Plan::update(&Desired::default(), &peer(number, 0)?)))?;
    }
    let before = processor_time();
    for event in 0..EVENTS {
        let number = (event * 7) % peers;
        let (mut old, new) = (peer(number, 0)?, peer(number, 1)?);
        if event % 2 == 1 {
            old = Desired::default();
        }
        done(kernel.apply(&Plan::update(&old, &new)))?;
        done(kernel.apply(&Plan::update(&new, &peer(number, 0)?)))?;
    }
    Ok((processor_time() - before) / (2 * EVENTS))
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), nanos)
}

fn host() -> Result<Kernel, Failure> {
    sh("ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up; \
        ip addr add 192.0.2.1/24 dev p0");
    let mut kernel = Kernel::open(None);
    done(kernel.apply(&Plan::between(&Observed::default(), &device()?, &scope()?)))?;
    Ok(kernel)
}

fn device() -> Result<Desired, Failure> {
    let mut want = Desired::default();
    let host = want.0.ns_mut(Ns::Host);
    let kind = LinkKind::Vxlan(Vxlan {
        id: 1,
        port: Some(8472),
        parent: Some(LinkRef { ns: Ns::Host, name: LinkName::new("p0")? }),
        local: Some("192.0.2.1".parse()?),
        learning: false,
        gbp: false,
        proxy: false,
        tx_checksum: None,
    });
    host.add_link(Link { mtu: Some(1450), ..Link::new(name()?, kind) });
    host.addrs.insert(Addr::new(name()?, "10.0.0.0/32".parse()?));
    Ok(want)
}

fn peer(number: u32, moved: u8) -> Result<Desired, Failure> {
    let [_, _, high, low] = (number + 1).to_be_bytes();
    let base = std::net::Ipv4Addr::new(10, high, low, 0);
    let (mac, dst) = (Mac([2, 0, 0, moved, high, low]), [172, 16 + moved, high, low].into());
    let mut want = Desired::default();
    let host = want.0.ns_mut(Ns::Host);
    host.neighs.insert(Neigh { link: name()?, ip: base.into(), mac });
    host.fdb.insert(Fdb { link: name()?, mac, dst });
    host.routes.insert(Route {
        via: Some(base.into()),
        onlink: true,
        protocol: 78,
        ..Route::new(ipnetwork::IpNetwork::new(base.into(), 24)?, name()?)
    });
    Ok(want)
}

fn scope() -> Result<Scope, Failure> {
    let mut scope =
        Scope { neighbours: true, routes: true, route_protocol: Some(78), ..Scope::default() };
    scope.links.insert(LinkRef { ns: Ns::Host, name: name()? });
    Ok(scope)
}

fn merge(into: &mut Desired, other: &Desired) {
    for (ns, state) in other.0.iter() {
        into.0.ns_mut(ns.clone()).join(state.clone());
    }
}

fn done(report: netstate::Report<kernel::Error>) -> Result<(), Failure> {
    match report.failed {
        None => Ok(()),
        Some((_, error)) => Err(error.into()),
    }
}

fn name() -> Result<LinkName, Failure> {
    Ok(LinkName::new("flannel.1")?)
}
