//! Attaching to a network of the agent's: beside plugin `bridge`, which needs no agent, and with many
//! published ports beside none.

use anyhow::{Context as _, Result};
use e2e::load::Session;
use e2e::{CNI_BIN, Lab, NETD, Place as _, PluginSet};

use crate::ROUNDS;
use crate::networks::start;
use crate::samples::{self, Samples};

/// Published ports of one container.
const PORTS: u32 = 200;

/// Containers on the network besides.
const ATTACHED: [u32; 2] = [1, 100];

/// Measures and prints the table. Every target has a host, and those of netd an agent, of its own.
pub(crate) fn print(lab: &Lab) -> Result<()> {
    let (plain, networks, ports) = (lab.host("plain")?, lab.host("attach")?, lab.host("ports")?);
    let mut agents = Vec::new();
    for host in [&plain, &networks, &ports] {
        PluginSet::Ours.install(host)?;
        host.sh("sysctl -qw net.ipv4.ip_forward=1")?;
    }
    for host in [&networks, &ports] {
        agents.push(start(host)?);
        host.run(&[NETD, "network", "create", "--subnet", "10.88.0.0/16", "load"])?;
    }
    let netd =
        |host, ports: u32| Session::start(host, &["netd", CNI_BIN, "load", &ports.to_string()]);
    let mut targets = [
        ("plugin `bridge`", Session::start(&plain, &["cni", CNI_BIN, "1.0.0"])?),
        ("netd", netd(&networks, 0)?),
        ("netd, with ports", netd(&ports, PORTS)?),
    ];
    println!(
        "### Attaching to a network\n\nMilliseconds of {ROUNDS} rounds: median (least). `bridge` with \
         masquerade and host-local; netd by its plugin; {PORTS} ports.\n"
    );
    println!("| Attached | | plugin `bridge` | netd | netd / bridge | with ports | of the ports |");
    println!("|---|---|---|---|---|---|---|");
    for attached in ATTACHED {
        for (name, session) in &mut targets {
            session.ask(&format!("populate {attached} 4")).context(*name)?;
        }
        let mut all = [Samples::default(), Samples::default(), Samples::default()];
        for round in 0..=ROUNDS {
            for ((name, session), samples) in targets.iter_mut().zip(&mut all) {
                let answer = session.ask("round").context(*name)?;
                if round > 0 {
                    samples.take(&answer)?;
                }
            }
        }
        row(attached, &all);
    }
    println!();
    Ok(())
}

fn row(attached: u32, [bridge, netd, ports]: &[Samples; 3]) {
    for (verb, bridge, netd, ports) in
        [("ADD", &bridge.add, &netd.add, &ports.add), ("DEL", &bridge.del, &netd.del, &ports.del)]
    {
        let [bridge, netd, ports] = [bridge, netd, ports].map(|rounds| samples::wall(rounds, &[0]));
        let (ratio, more) = (netd.median / bridge.median, samples::ms(ports.median - netd.median));
        println!("| {attached} | {verb} | {bridge} | {netd} | {ratio:.2} | {ports} | {more} |");
    }
}
