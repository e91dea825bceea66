//! An agent that is killed, at any moment, with the store there or away: no packet is lost.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Node, PATIENCE, Place as _, wait_until};

use crate::packets::{Passed, Traffic};
use crate::site::{Site, VXLAN, run};

const KILLS: u32 = 20;
/// Between a start and the kill, in milliseconds, at most: an agent is ready after some 100.
const LONGEST_LIFE: u64 = 600;

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
            let Passed { pings, longest_answer, bytes, longest_stall, .. } = traffic.end()?;
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
pub(crate) fn kept(site: &Site) -> Result<()> {
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
