//! Containers come, go and move on one overlay of three hosts at random, while agents are killed, etcd is away and
//! a host is cut off from all others.

mod check;

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::{Container, PATIENCE, Place as _, Random, address, wait_for, wait_until};
use serde_json::{Value, json};

use crate::guest::netns;
use crate::site::{Site, run, serves};

/// How many endpoints are made, unless `E2E_OVERLAY_CHURN` says so.
const ENDPOINTS: u64 = 1000;
const HOSTS: usize = 3;
/// So many containers may be on the network at a time, of each host.
const SLOTS: usize = 10;
/// How many operations something stays away.
const AWAY: u64 = 12;

/// A container's place, by host and number.
type Place = (usize, usize);

/// One that is on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct On {
    ip: IpAddr,
    name: String,
    /// Whom it asks for names.
    server: String,
}

struct Churn<'s> {
    site: &'s mut Site,
    random: Random,
    netns: String,
    containers: Vec<Vec<Container>>,
    on: BTreeMap<Place, On>,
    made: u64,
    /// Until which operation etcd is away, or which host is cut off.
    away: Option<u64>,
    cut: Option<(usize, u64)>,
    done: BTreeMap<&'static str, u64>,
}

impl<'s> Churn<'s> {
    fn new(site: &'s mut Site, random: Random) -> Result<Self> {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "ov"])?;
        let mut containers = Vec::new();
        for host in 0..HOSTS {
            site.wait_shown(host, "ov")?;
            let host = site.host(host)?;
            let each = (0..SLOTS).map(|slot| host.add_container(&format!("c{slot}")));
            containers.push(each.collect::<Result<Vec<_>>>()?);
        }
        let netns = netns(site, "ov")?;
        let (on, done) = (BTreeMap::new(), BTreeMap::new());
        let mut churn =
            Self { site, random, netns, containers, on, made: 0, away: None, cut: None, done };
        // Each host has a block: without etcd it gets none.
        for host in 0..HOSTS {
            churn.attach((host, 0), None)?;
        }
        Ok(churn)
    }

    fn step(&mut self, number: u64) -> Result<()> {
        if self.ends().is_some_and(|end| end <= number) {
            self.heal()?;
        }
        match self.random.below(1000) {
            0..520 => self.attach_any(),
            520..880 => self.detach_any(),
            880..975 => self.move_any(),
            975..990 => self.kill_any(),
            990..995 => self.lose_etcd(number),
            _ => self.cut_any(number),
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn free_place(&mut self) -> Option<Place> {
        let all = (0..HOSTS).flat_map(|host| (0..SLOTS).map(move |slot| (host, slot)));
        let free: Vec<Place> = all.filter(|place| !self.on.contains_key(place)).collect();
        free.get(self.random.index(free.len())).copied()
    }

    fn taken_place(&mut self) -> Option<Place> {
        let taken: Vec<Place> = self.on.keys().copied().collect();
        taken.get(self.random.index(taken.len())).copied()
    }

    fn attach_any(&mut self) -> Result<()> {
        let Some(place) = self.free_place() else { return self.detach_any() };
        self.attach(place, None)
    }

    /// What a host gives out is nobody's. Where it cannot ask, it may have nothing to give.
    fn attach(&mut self, place: Place, ip: Option<IpAddr>) -> Result<()> {
        let name = format!("e{}", self.made);
        let mut more = json!({ "names": [name] });
        if let Some(ip) = ip {
            more["ips"] = json!([ip.to_string()]);
        }
        let can_ask = self.can_ask(place.0);
        match attach(self.container(place), "ov", &more) {
            Ok(result) => {
                let ip = address(&result, 0)?;
                let twice = self.on.iter().find(|(_, on)| on.ip == ip);
                ensure!(twice.is_none(), "{ip} for {place:?} is also {twice:?}'s");
                let server = result.pointer("/dns/nameservers/0").and_then(Value::as_str);
                let server = server.context("a name server")?.to_owned();
                self.on.insert(place, On { ip, name, server });
                self.made += 1;
                self.note("attach");
                Ok(())
            }
            Err(_) if !can_ask => {
                self.note("refused without etcd");
                Ok(())
            }
            // Its owner has not heard of its end, or is cut off.
            Err(_) if ip.is_some() && self.is_troubled() => {
                self.note("not moved");
                Ok(())
            }
            Err(error) => Err(error.context(format!("attach {place:?}"))),
        }
    }

    fn detach_any(&mut self) -> Result<()> {
        let Some(place) = self.taken_place() else { return Ok(()) };
        self.detach(place)
    }

    fn detach(&mut self, place: Place) -> Result<()> {
        detach(self.container(place), "ov")?;
        self.on.remove(&place);
        self.note("detach");
        Ok(())
    }

    /// It goes here and comes up there with its address, as soon as hosts have heard of its end.
    fn move_any(&mut self) -> Result<()> {
        let (Some(from), Some(to)) = (self.taken_place(), self.free_place()) else { return Ok(()) };
        let Some(On { ip, .. }) = self.on.get(&from).cloned() else { return Ok(()) };
        self.detach(from)?;
        if from.0 != to.0 && !self.is_troubled() {
            let of_ip = format!("\"{ip}/24\"");
            wait_until("hosts have heard of its end", PATIENCE, || {
                let all = self.site.stored("endpoints/").unwrap_or_default();
                all.iter().all(|(_, value)| !value.contains(&of_ip))
            })?;
        }
        // What was heard of in etcd is on its way to the host.
        let before = self.made;
        wait_for("it comes up there", PATIENCE, || self.attach(to, Some(ip)).map(Some))?;
        if self.made > before {
            self.note("move");
        }
        Ok(())
    }

    fn kill_any(&mut self) -> Result<()> {
        let host = self.random.index(HOSTS);
        let node = self.site.nodes.get_mut(host).context("a host")?;
        node.kill();
        node.resume()?;
        serves(node)?;
        self.note("kill");
        Ok(())
    }

    fn lose_etcd(&mut self, number: u64) -> Result<()> {
        if self.is_troubled() {
            return Ok(());
        }
        self.site.etcd.kill()?;
        self.away = Some(number + AWAY);
        self.note("etcd away");
        Ok(())
    }

    fn cut_any(&mut self, number: u64) -> Result<()> {
        if self.is_troubled() {
            return Ok(());
        }
        let host = self.random.index(HOSTS);
        self.site.host(host)?.run(&[
            "nft",
            "add table inet cut
            add chain inet cut in { type filter hook input priority -300; }
            add chain inet cut out { type filter hook output priority -300; }
            add rule inet cut in iifname eth0 drop
            add rule inet cut out oifname eth0 drop",
        ])?;
        self.cut = Some((host, number + AWAY));
        self.note("host cut off");
        Ok(())
    }

    fn is_troubled(&self) -> bool {
        self.away.is_some() || self.cut.is_some()
    }

    fn can_ask(&self, host: usize) -> bool {
        self.away.is_none() && self.cut.is_none_or(|(cut, _)| cut != host)
    }

    fn container(&self, (host, slot): Place) -> &Container {
        &self.containers[host][slot]
    }

    /// When what is away comes back.
    fn ends(&self) -> Option<u64> {
        self.away.or(self.cut.map(|(_, end)| end))
    }

    fn heal(&mut self) -> Result<()> {
        if self.away.take().is_some() {
            self.site.etcd.resume()?;
        }
        if let Some((host, _)) = self.cut.take() {
            self.site.host(host)?.run(&["nft", "delete", "table", "inet", "cut"])?;
        }
        Ok(())
    }
}

#[test]
fn after_a_thousand_endpoints_at_random_every_host_has_what_the_store_has_and_no_address_twice()
-> Result<()> {
    let count = std::env::var("E2E_OVERLAY_CHURN").ok().and_then(|text| text.parse().ok());
    let (count, random) = (count.unwrap_or(ENDPOINTS), Random::seeded()?);
    run(HOSTS, |site| {
        let mut churn = Churn::new(site, random)?;
        let mut number = 0;
        while churn.made < count {
            churn.step(number).with_context(|| format!("operation {number}, {:?}", churn.done))?;
            number += 1;
        }
        churn.heal()?;
        churn.check()?;
        println!("{:?}", churn.done);
        Ok(())
    })
}
