//! A member of etcd that lags behind the others answers as a store does that was built anew: its
//! revision is lower than the one that is known, and it does not have the newest lease.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{FOREIGN, Follower, Host, PATIENCE, PREFIX, Place as _, SUBNET_ENV, wait_until};
use rustix::process::Signal;

use crate::kills::kept;
use crate::outage::{STATE, Withdrawn};
use crate::packets::Traffic;
use crate::site::{Site, VXLAN, is_well, run};

/// How long a member that hears of no leader takes the last one for it, at least. It answers so long.
const ELECTION: Duration = Duration::from_secs(20);
/// A subnet of no host of the test.
const ELSEWHERE: &str = "10.5.255.0-24";

/// How a member is kept from what the others write, and let go on.
struct Hold {
    begin: fn(&Follower<'_>) -> Result<()>,
    end: fn(&Follower<'_>) -> Result<()>,
    /// It answers meanwhile, by what it knows.
    answers: bool,
}

#[test]
fn a_member_that_is_cut_off_from_the_others_is_no_store_that_was_built_anew() -> Result<()> {
    lags(&Hold {
        begin: |member| {
            let hook = |name: &str| {
                format!(
                    "add chain inet apart {name} {{ type filter hook {name} priority 0; }}; \
                     add rule inet apart {name} tcp dport 2380 reject with tcp reset; \
                     add rule inet apart {name} tcp sport 2380 reject with tcp reset;"
                )
            };
            let hooks = ["input", "output"].map(hook).join(" ");
            member.host().sh(&format!("nft 'add table inet apart; {hooks}'")).map(drop)
        },
        end: |member| member.host().sh("nft delete table inet apart").map(drop),
        answers: true,
    })
}

#[test]
fn a_member_that_stood_still_is_no_store_that_was_built_anew() -> Result<()> {
    lags(&Hold {
        begin: |member| member.signal(Signal::STOP),
        end: |member| member.signal(Signal::CONT),
        answers: false,
    })
}

/// The first host resumes its watch at a member that does not have what the host has heard of.
fn lags(hold: &Hold) -> Result<()> {
    run(|lab| {
        let mut site = Site::with_three_members(lab, ELECTION)?;
        site.fill(lab, VXLAN, 2, &["-ip-masq"])?;
        let url = site.etcd.who_follows()?;
        (hold.begin)(&site.etcd.follower(&url)?)?;
        site.etcd.leave_out(&url);
        site.add(lab, "late", &["-ip-masq"])?;
        site.nodes[2].wait_ready()?;
        let members = site.members()?;
        members[0].wait_to_reach(members[2].ip, PATIENCE)?;
        kept(&site)?;
        let leases = |site: &Site| site.etcd.list(&format!("{PREFIX}/subnets"));
        let before = (leases(&site)?, held(&site)?);
        let withdrawn = Withdrawn::watch_all(&site.nodes)?;
        let traffic =
            [Traffic::start(&members[0], &members[2])?, Traffic::start(&members[1], &members[0])?];

        let (member, host) = (site.etcd.follower(&url)?, site.nodes[0].host.clone());
        let asked = || if hold.answers { member.received("Watch") } else { Ok(0) };
        let first = asked()?;
        leave_all_but(&host, &member)?;
        wait_until("the host asks the member that lags", PATIENCE, || {
            is_connected(&host, &member).is_ok_and(|yes| yes)
                && (!hold.answers || asked().is_ok_and(|now| now > first))
        })?;
        if hold.answers {
            let (lags, revision) = (member.revision()?, site.etcd.revision()?);
            ensure!(lags < revision, "{lags} of {revision}");
        }
        (hold.end)(&member)?;
        wait_until("it has caught up", PATIENCE, || {
            member.revision().is_ok_and(|now| site.etcd.revision().is_ok_and(|all| now == all))
        })?;
        assert_eq!((leases(&site)?, held(&site)?), before);
        withdrawn.into_iter().try_for_each(Withdrawn::nothing)?;
        let passed: Result<Vec<_>> = traffic.into_iter().map(Traffic::end).collect();
        writeln!(std::io::stderr(), "a member that lags: {:?}", passed?)?;
        hears_of_others(&site)?;
        ensure!(site.etcd.list("/netd/v1/missing")?.is_empty());
        for node in &mut site.nodes {
            wait_until("all is well", PATIENCE, || is_well(node))?;
            let log = node.agent()?.log();
            ensure!(!log.contains("built anew"), "{log}");
        }
        Ok(())
    })
}

/// What leads to others, and subnet.env, of each host.
fn held(site: &Site) -> Result<Vec<(String, String)>> {
    let of = |host: &Host| Ok((host.sh(STATE)?.stdout, host.read(SUBNET_ENV)?));
    site.nodes.iter().map(|node| of(&node.host)).collect()
}

/// Ends the connections of a host to all members but one, and lets no other begin.
fn leave_all_but(host: &Host, member: &Follower<'_>) -> Result<()> {
    let others: Vec<String> = member.others().map(address).collect::<Result<_>>()?;
    let refuse = format!(
        "nft 'add table inet steer; \
         add chain inet steer out {{ type filter hook output priority 0; }}; \
         add rule inet steer out ip daddr {{ {} }} tcp dport 2379 reject with tcp reset'",
        others.join(", ")
    );
    host.sh(&refuse)?;
    others.iter().try_for_each(|to| host.sh(&format!("ss -K dst {to} dport = 2379")).map(drop))
}

fn is_connected(host: &Host, member: &Follower<'_>) -> Result<bool> {
    let to = address(member.url())?;
    let shown = host.sh(&format!("ss -Htn state established dst {to} dport = 2379"))?.stdout;
    Ok(!shown.trim().is_empty())
}

/// The address in a member's URL.
fn address(url: &str) -> Result<String> {
    let (address, _) = url.trim_start_matches("http://").split_once(':').context("a port")?;
    Ok(address.to_owned())
}

/// The first host is told of a lease that comes, and of its end.
fn hears_of_others(site: &Site) -> Result<()> {
    let (key, host) = (format!("{PREFIX}/subnets/{ELSEWHERE}"), &site.nodes[0].host);
    let leads = || host.sh("ip route show 10.5.255.0/24").is_ok_and(|o| !o.stdout.is_empty());
    site.etcd.ctl(&["put", &key, FOREIGN])?;
    wait_until("a route to the other host", PATIENCE, leads)?;
    site.etcd.ctl(&["del", &key])?;
    wait_until("no route to it", PATIENCE, || !leads())
}
