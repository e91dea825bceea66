//! What a host asks of the store while nothing happens.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{PREFIX, Place as _, wait_until};

use crate::site::{Site, VXLAN, run};

/// The lease's time to live; a lease is kept alive three times in it.
const TIME_TO_LIVE: u16 = 6;
const PERIODS: u16 = 8;
/// Seconds between keep-alives of the sign of life, which has a lease of its own.
const BEAT: f64 = 10.0;
/// The same of the sign of life for networks of the cluster, whose lease is 2 s where [`TIME_TO_LIVE`] is that short.
const BEAT_OF_NETWORKS: f64 = 2.0 / 3.0;
/// Everything else that an agent could ask for; what it writes, it writes in a Txn.
const OTHERS: [&str; 7] =
    ["Range", "Put", "DeleteRange", "Txn", "LeaseGrant", "LeaseTimeToLive", "Watch"];

/// What the agent says when it has kept its lease alive.
const KEPT: &str = "the lease lives on";

/// What was received in [`PERIODS`] periods.
#[derive(Debug)]
struct Seen {
    keep_alives: u64,
    took: Duration,
}

#[test]
fn a_host_asks_for_one_keep_alive_per_period_and_nothing_else_however_many_peers() -> Result<()> {
    run(|lab| {
        let option = format!("-subnet-ttl={TIME_TO_LIVE}");
        let mut site = Site::new(lab, VXLAN, 1, &[&option, "-log=debug"])?;
        for peers in [1, 50] {
            add_peers(&site, peers)?;
            let seen = window(&mut site)?;
            writeln!(std::io::stderr(), "{peers} peers: {seen:?}")?;
            let expected = PERIODS * TIME_TO_LIVE / 3;
            // The clock of a busy machine is late, never early.
            let share = seen.took.as_secs_f32() / f32::from(expected);
            ensure!((0.95..1.25).contains(&share), "{seen:?}, not {expected} s");
            // What the host has of networks of the cluster lives by a session of its own, for as long; and of
            // both there is a sign of life.
            let beats = seen.keep_alives - u64::from(2 * PERIODS - 1);
            let most = [BEAT, BEAT_OF_NETWORKS].map(|beat| seen.took.as_secs_f64() / beat + 2.0);
            ensure!((1.0..=most.iter().sum()).contains(&(beats as f64)), "{seen:?}");
        }
        Ok(())
    })
}

/// From one keep-alive of the lease to that which comes so many periods later.
fn window(site: &mut Site) -> Result<Seen> {
    let bound = Duration::from_secs((2 * PERIODS * TIME_TO_LIVE).into());
    let kept = |site: &mut Site| -> Result<usize> {
        let node = site.nodes.first_mut().context("a host")?;
        Ok(node.agent()?.log().matches(KEPT).count())
    };
    let received = |site: &Site| -> Result<Vec<u64>> {
        OTHERS.iter().map(|name| site.etcd.received(name)).collect()
    };
    let reach = |site: &mut Site, wanted: usize| {
        wait_until("keep-alives of the lease", bound, || kept(site).is_ok_and(|n| n >= wanted))
    };
    let first = kept(site)? + 1;
    reach(site, first)?;
    let (begin, before) = (Instant::now(), received(site)?);
    let start = site.etcd.received("LeaseKeepAlive")?;
    reach(site, first + usize::from(PERIODS))?;
    let (took, after) = (begin.elapsed(), received(site)?);
    ensure!(after == before, "{OTHERS:?}: {before:?}, then {after:?}");
    Ok(Seen { keep_alives: site.etcd.received("LeaseKeepAlive")? - start, took })
}

/// Leases of other hosts until there are so many, and the host's own knowledge of them.
fn add_peers(site: &Site, peers: u32) -> Result<()> {
    for number in 1..=peers {
        let key = format!("{PREFIX}/subnets/10.5.{}.0-24", 200 - number);
        let value = format!(
            r#"{{"PublicIP":"192.0.2.{}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"02:00:00:00:00:{number:02x}"}}}}"#,
            100 + number
        );
        site.etcd.ctl(&["put", &key, &value])?;
    }
    let host = &site.nodes.first().context("a host")?.host;
    wait_until("routes to all peers", e2e::PATIENCE, || {
        let shown = host.run(&["ip", "route", "show", "proto", "78"]);
        shown.is_ok_and(|shown| shown.stdout.lines().count() == peers as usize)
    })
}
