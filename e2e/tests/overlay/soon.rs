//! How soon the other hosts know.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::news::{delays, percentile};

use crate::site::run;

/// In which every host answers a new container's name and leads to it, of 100 containers all but one; and in which
/// every host lists a new network.
const BOUND: Duration = Duration::from_millis(200);
const CONTAINERS: usize = 100;
const NETWORKS: usize = 9;

#[test]
fn every_host_lists_a_new_network_and_answers_and_leads_to_a_new_container_within_200_ms()
-> Result<()> {
    run(3, |site| {
        let mut all = Vec::new();
        for number in 0..NETWORKS {
            let name = format!("listed{number}");
            site.done(0, &["create", "-d", "overlay", &name])?;
            let began = Instant::now();
            for host in 1..3 {
                site.wait_shown(host, &name)?;
            }
            all.push(began.elapsed());
        }
        let (half, most) = (percentile(&all, 50), percentile(&all, 100));
        println!("a new network is listed on every host: p50 {half:?}, most {most:?}");
        // Whoever asks is a process of its own each time, on a machine that does other things, too.
        ensure!(half <= BOUND, "{all:?}");

        site.done(
            0,
            &["create", "-d", "overlay", "--subnet", "10.88.0.0/16", "--internal", "news"],
        )?;
        for host in 1..3 {
            site.wait_shown(host, "news")?;
        }
        let others = [site.host(1)?, site.host(2)?];
        let found = delays(site.host(0)?, &others, "news", CONTAINERS)?;
        for (what, delays) in ["answered by name", "led to"].iter().zip(&found) {
            let [half, p99, most] = [50, 99, 100].map(|part| percentile(delays, part));
            println!("a new container is {what}: p50 {half:?}, p99 {p99:?}, most {most:?}");
            ensure!(delays.len() == 2 * CONTAINERS && p99 <= BOUND, "{what}: {delays:?}");
        }
        Ok(())
    })
}
