//! An agent that is killed, at any moment, with the store there or away: no packet is lost.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Node, PATIENCE, Place as _, Random, wait_until};

use crate::outage::STATE;
use crate::packets::{Passed, Traffic};
use crate::site::{DUAL, DUAL_HOST_GW, Site, VXLAN, run};

const KILLS: u32 = 20;
/// What leads to other hosts, and the rules; who listens to which group is the kernel's own.
const ROUTES: &str = "ip route show proto 78; ip -6 route show proto 78; ip neigh show nud permanent; bridge fdb show | grep -v '^33:33:\\|^01:00:5e:'; \
                      nft list table inet netd_cluster";
/// Between a start and the kill, in milliseconds, at most: an agent is ready after some 100.
const LONGEST_LIFE: u64 = 600;

#[test]
fn an_agent_that_is_killed_20_times_loses_no_packet_and_holds_no_stream_up() -> Result<()> {
    killed_often("VXLAN", DUAL)
}

#[test]
fn an_agent_of_host_gw_that_is_killed_20_times_loses_no_packet_and_holds_no_stream_up() -> Result<()>
{
    killed_often("host-gw", DUAL_HOST_GW)
}

/// Agents of both hosts are killed by turns; nothing that leads from one to the other is made anew.
fn killed_often(backend: &str, config: &str) -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, config, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let state = |site: &Site| -> Result<Vec<String>> {
            let of = |node: &Node| {
                Ok(node.host.sh(&format!("ip -o link show type vxlan; {ROUTES}"))?.stdout)
            };
            site.nodes.iter().map(of).collect()
        };
        let before = state(&site)?;
        let mut random = Random::seeded()?;
        let traffic = Traffic::both_ways(&members[0], &members[1])?;
        ensure!(traffic.len() == 4, "both families, both ways");
        for _ in 0..KILLS {
            for node in &mut site.nodes {
                kill_once(node, &mut random)?;
            }
        }
        for node in &mut site.nodes {
            node.wait_ready()?;
            let log = node.agent()?.log();
            ensure!(!log.contains("the kernel differed"), "{log}");
        }
        assert_eq!(state(&site)?, before);
        for (way, traffic) in traffic {
            let Passed { pings, longest_answer, bytes, longest_stall, .. } = traffic.end()?;
            writeln!(
                std::io::stderr(),
                "{backend}, {KILLS} kills of each agent, {way}: {pings} pings answered within \
                 {longest_answer} ms, {bytes} bytes without a stall of over {longest_stall} ms"
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
            Ok((host.sh(STATE)?.stdout, host.read(e2e::SUBNET_ENV)?))
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
        let passed = traffic.end()?;
        writeln!(std::io::stderr(), "killed while the store is away: {passed:?}")?;
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

fn kill_once(node: &mut Node, random: &mut Random) -> Result<()> {
    let (begin, life) = (Instant::now(), Duration::from_millis(random.below(LONGEST_LIFE)));
    wait_until("the moment of the kill", PATIENCE, || begin.elapsed() >= life)?;
    node.kill();
    node.resume()
}
