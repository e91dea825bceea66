//! Overlays: what attaching takes beside plugin `bridge`, and how soon other hosts know of a new endpoint.

use anyhow::{Context as _, Result};
use e2e::load::Session;
use e2e::news;
use e2e::{
    CNI_BIN, Etcd, Host, Internet, Lab, NETD, Node, PATIENCE, Place as _, PluginSet, wait_until,
};
use serde_json::Value;

use crate::ROUNDS;
use crate::samples::{self, Samples};

/// Containers on the network besides.
const ATTACHED: [u32; 2] = [1, 100];
/// Endpoints that other hosts are to hear of.
const NEW: usize = 150;

/// The number of the first container that is alone on its network.
const FIRSTS: usize = 2000;

/// Hosts that share an etcd.
struct Site {
    nodes: Vec<Node>,
    _etcd: Etcd,
    _internet: Internet,
}

/// Measures and prints the tables.
pub(crate) fn print(lab: &Lab) -> Result<()> {
    let plain = lab.host("bridge")?;
    PluginSet::Ours.install(&plain)?;
    plain.sh("sysctl -qw net.ipv4.ip_forward=1")?;
    let site = site(lab)?;
    let one = &site.nodes.first().context("a host")?.host;
    for words in [
        &["create", "-d", "overlay", "--subnet", "10.88.0.0/16", "load"][..],
        &["create", "-d", "overlay", "--subnet", "10.89.0.0/16", "--internal", "news"][..],
    ] {
        one.command(&[NETD, "network"]).args(words).run()?;
    }
    attaching(&plain, one)?;
    firsts(one)?;
    news(&site)
}

fn site(lab: &Lab) -> Result<Site> {
    let internet = lab.internet()?;
    let etcd = Etcd::start(&internet.host, [192, 0, 2, 1].into())?;
    let mut site = Site { nodes: Vec::new(), _etcd: etcd, _internet: internet };
    for number in 1..=3 {
        let host = lab.host(&format!("overlay{number}"))?;
        site._internet.connect(lab, &host)?;
        let node = Node::start(&host, &site._etcd, &[])?;
        let listing = || host.command(&[NETD, "network", "ls", "-q"]).output();
        wait_until("networks are served", PATIENCE, || listing().is_ok_and(|o| o.code == 0))?;
        site.nodes.push(node);
    }
    Ok(site)
}

/// Rounds of plugin `bridge` and of an overlay alternate.
fn attaching(plain: &Host, one: &Host) -> Result<()> {
    let mut targets = [
        Session::start(plain, &["cni", CNI_BIN, "1.0.0"])?,
        Session::start(one, &["netd", CNI_BIN, "load", "0"])?,
    ];
    println!(
        "### Attaching to an overlay\n\nMilliseconds of {ROUNDS} rounds: median (least). `bridge` with \
         masquerade and host-local; an overlay brings the way out, a second interface.\n"
    );
    println!(
        "| Attached | | plugin `bridge` | overlay | overlay / bridge |\n|---|---|---|---|---|"
    );
    for attached in ATTACHED {
        for session in &mut targets {
            session.ask(&format!("populate {attached} 4"))?;
        }
        let mut all = [Samples::default(), Samples::default()];
        for round in 0..=ROUNDS {
            for (session, samples) in targets.iter_mut().zip(&mut all) {
                let answer = session.ask("round")?;
                if round > 0 {
                    samples.take(&answer)?;
                }
            }
        }
        let [bridge, overlay] = &all;
        for (verb, bridge, overlay) in
            [("ADD", &bridge.add, &overlay.add), ("DEL", &bridge.del, &overlay.del)]
        {
            let [bridge, overlay] = [bridge, overlay].map(|rounds| samples::wall(rounds, &[0]));
            let ratio = overlay.median / bridge.median;
            println!("| {attached} | {verb} | {bridge} | {overlay} | {ratio:.2} |");
        }
    }
    println!();
    Ok(())
}

/// The first container of a network on the host, and its end: they bring block, namespace and devices, and end
/// the latter. Of each network once, as the end of a namespace goes on for a while after it.
fn firsts(host: &Host) -> Result<()> {
    let mut sessions = Vec::new();
    for number in 0..ROUNDS {
        let name = format!("first{number}");
        host.run(&[NETD, "network", "create", "-d", "overlay", &name])?;
        sessions.push(Session::start(host, &["netd", CNI_BIN, &name, "0"])?);
    }
    let mut times = |command: &dyn Fn(usize) -> String| -> Result<String> {
        let mut all = Vec::new();
        for (number, session) in sessions.iter_mut().enumerate() {
            let seconds = session.ask(&command(number))?.get("seconds").and_then(Value::as_f64);
            all.push(seconds.context("seconds")? * 1e6);
        }
        all.sort_by(f64::total_cmp);
        let least = all.first().copied().unwrap_or_default();
        Ok(format!("{} ({})", samples::ms(samples::middle(&all)), samples::ms(least)))
    };
    // Each has a container of its own, beside those of other tables.
    let add = times(&|number| format!("one {}", FIRSTS + number))?;
    let del = times(&|_| "clear 1".to_owned())?;
    println!(
        "The first container of each of {ROUNDS} networks: ADD {add}; the last one's DEL {del}.\n"
    );
    Ok(())
}

/// From the end of each attachment until other hosts answer its name, and lead to it.
fn news(site: &Site) -> Result<()> {
    let [one, others @ ..] = &site.nodes[..] else { anyhow::bail!("several hosts") };
    let others: Vec<&Host> = others.iter().map(|node| &node.host).collect();
    let delays = news::delays(&one.host, &others, "news", NEW)?;
    println!(
        "### News of a new endpoint\n\nMilliseconds from the end of its attachment until each of two other \
         hosts answers its name, and leads to it; {NEW} endpoints.\n"
    );
    println!("| | p50 | p99 | most |\n|---|---|---|---|");
    for (name, delays) in ["name (DNS)", "forwarding (FDB)"].iter().zip(&delays) {
        let [p50, p99, most] = [50, 99, 100]
            .map(|part| samples::ms(news::percentile(delays, part).as_secs_f64() * 1e6));
        println!("| {name} | {p50} | {p99} | {most} |");
    }
    println!();
    Ok(())
}
