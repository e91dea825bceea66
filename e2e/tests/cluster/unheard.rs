//! A host whose lease ends while another one does not hear of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Host, Lab, Member, Node, PATIENCE, Place as _, wait_until};

use crate::kills::kept;
use crate::lost;
use crate::outage::{STATE, compact};
use crate::packets::Traffic;
use crate::site::{Site, VXLAN, is_well, run, says};

/// A lease that lives for 6 s, and what may take as long twice.
const SHORT: &str = "-subnet-ttl=6";
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// No packet of a host gets to etcd, or from there.
pub(crate) fn cut(host: &Host) -> Result<()> {
    let hook = |name: &str, way: &str| {
        format!(
            "add chain inet cut {name} {{ type filter hook {name} priority 0; }}; \
             add rule inet cut {name} tcp {way} 2379 drop;"
        )
    };
    let (out, back) = (hook("output", "dport"), hook("input", "sport"));
    host.sh(&format!("nft 'add table inet cut; {out} {back}'")).map(drop)
}

pub(crate) fn join(host: &Host) -> Result<()> {
    host.sh("nft delete table inet cut").map(drop)
}

/// Two hosts with a container each, of which the second has a short lease, and what passes between
/// them.
struct Pair {
    site: Site,
    members: Vec<Member>,
    traffic: [Traffic; 2],
    key: String,
    /// What the first host holds.
    state: String,
}

impl Pair {
    fn new(lab: &Lab) -> Result<Self> {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        site.add(lab, "hears", &["-ip-masq"])?;
        site.add(lab, "cut", &["-ip-masq", SHORT])?;
        site.nodes.iter_mut().try_for_each(Node::wait_ready)?;
        let members = site.members()?;
        kept(&site)?;
        let traffic =
            [Traffic::start(&members[0], &members[1])?, Traffic::start(&members[1], &members[0])?];
        let key = lost::key(&site.nodes[1])?;
        let state = site.nodes[0].host.sh(STATE)?.stdout;
        Ok(Self { site, members, traffic, key, state })
    }

    fn lease_ends(&self) -> Result<()> {
        wait_until("its lease has ended", SOON, || {
            self.site.etcd.list(&self.key).is_ok_and(|entries| entries.is_empty())
        })
    }

    /// The first host misses the second, and keeps what leads to it.
    fn is_missed(&self) -> Result<()> {
        let node = &self.site.nodes[0];
        wait_until("the host is missed", SOON, || {
            says(node, 200, "1 hosts are missing in the store")
        })?;
        assert_eq!(node.host.sh(STATE)?.stdout, self.state, "nothing is withdrawn");
        Ok(())
    }

    /// The cut is over: all is as before, and nothing was lost.
    fn end(mut self) -> Result<()> {
        join(&self.site.nodes[1].host)?;
        for node in &mut self.site.nodes {
            wait_until("nobody is missing", SOON, || is_well(node))?;
        }
        assert_eq!(self.site.etcd.list(&self.key)?.len(), 1, "the same subnet");
        assert_eq!(self.site.nodes[0].host.sh(STATE)?.stdout, self.state);
        self.traffic.into_iter().try_for_each(|traffic| traffic.end().map(drop))?;
        self.members[0].wait_to_reach(self.members[1].ip, PATIENCE)
    }
}

#[test]
fn a_host_whose_lease_ends_while_another_ones_agent_is_away_stays_connected() -> Result<()> {
    run(|lab| {
        let mut pair = Pair::new(lab)?;
        cut(&pair.site.nodes[1].host)?;
        pair.site.nodes[0].kill();
        pair.lease_ends()?;
        for _ in 0..2 {
            pair.site.nodes[0].resume()?;
            pair.site.nodes[0].wait_ready()?;
            pair.is_missed()?;
            pair.site.nodes[0].kill();
        }
        pair.site.nodes[0].resume()?;
        pair.end()
    })
}

#[test]
fn a_host_whose_lease_ends_unheard_and_is_compacted_away_stays_connected() -> Result<()> {
    run(|lab| {
        let mut pair = Pair::new(lab)?;
        // Neither hears of the other, nor of anything that happens once etcd is there again.
        pair.site.etcd.kill()?;
        pair.site.nodes.iter().try_for_each(|node| cut(&node.host))?;
        pair.site.etcd.resume()?;
        pair.lease_ends()?;
        compact(&pair.site)?;
        join(&pair.site.nodes[0].host)?;
        pair.site.nodes[0].agent()?.wait_for_log("list anew", SOON)?;
        pair.is_missed()?;
        pair.end()
    })
}

#[test]
fn a_host_that_left_while_another_ones_agent_was_away_is_withdrawn() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &[])?;
        kept(&site)?;
        site.nodes[0].kill();
        let left = site.nodes[1].key()?.replace('-', "/");
        site.nodes[1].stop()?;
        let flags = site.etcd.flags(&site.nodes[1].host)?;
        site.nodes[1].host.command(&[e2e::NETD, "leave"]).args(&flags).run()?;
        let host = site.nodes[0].host.clone();
        let routes = || host.run(&["ip", "route", "show", "proto", "78"]);
        ensure!(routes()?.stdout.contains(&left), "{:?}", routes()?);
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let routes = routes()?.stdout;
        ensure!(routes.is_empty(), "{routes}");
        Ok(())
    })
}
