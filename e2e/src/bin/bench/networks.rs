//! Networks of one host: what attaching takes, and the commands among few networks and among many.

use std::time::Instant;

use anyhow::{Context as _, Result};
use e2e::{Host, Lab, NETD, PATIENCE, Place as _, Process, bins, wait_until};

use crate::attach;
use crate::samples::middle;

/// Networks there are.
const MANY: usize = 1000;
/// Rounds of each command.
const ROUNDS: usize = 20;

/// Measures and prints the table.
pub(crate) fn print(lab: &Lab) -> Result<()> {
    attach::print(lab)?;
    let host = lab.host("networks")?;
    let agent = start(&host)?;
    let empty = times(&host)?;
    host.sh(&format!("for n in $(seq {MANY}); do {NETD} network create many$n; done >/run/made"))?;
    let full = times(&host)?;
    drop(agent);
    let began = Instant::now();
    let _agent = start(&host)?;
    let again = began.elapsed().as_secs_f64() * 1000.0;
    host.sh("for link in $(ls /sys/class/net | grep ^br-); do echo link del $link; done >/run/del
        ip -batch /run/del")?;
    let present = format!("[ $(ls /sys/class/net | grep -c ^br-) = {MANY} ]");
    let began = Instant::now();
    wait_until("all bridges are back", PATIENCE * 3, || host.sh(&present).is_ok())?;
    let repaired = began.elapsed().as_secs_f64() * 1000.0;
    println!("### Networks of one host\n\nMilliseconds, median of {ROUNDS}, with the process.\n");
    println!("| Command | 3 networks | {MANY} more |\n|---|---|---|");
    for (name, (few, many)) in
        ["`create`", "`ls`", "`inspect`", "`rm`"].iter().zip(empty.into_iter().zip(full))
    {
        println!("| {name} | {few:.1} | {many:.1} |");
    }
    println!(
        "\nA start that finds {MANY} bridges serves after {again:.0} ms; {MANY} bridges that were \
              deleted are back after {repaired:.0} ms.\n"
    );
    Ok(())
}

/// Starts an agent that needs no cluster, and waits until it serves.
pub(crate) fn start(host: &Host) -> Result<Process> {
    host.copy_program(&bins::program("netd")?, NETD)?;
    let agent = host.spawn("netd", &[NETD, "run", "--standalone", "--log=warn"])?;
    let listing = || host.command(&[NETD, "network", "ls", "-q"]).output();
    wait_until("networks are served", PATIENCE, || listing().is_ok_and(|o| o.code == 0))?;
    Ok(agent)
}

/// Medians of create, ls, inspect and rm. The commands are started by one shell, which measures, so
/// that entering the host counts for nothing.
fn times(host: &Host) -> Result<[f64; 4]> {
    let commands = ["create t", "ls", "inspect t", "rm t"];
    let mut samples = commands.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (command, samples) in commands.iter().zip(&mut samples) {
            let script = format!(
                "start=${{EPOCHREALTIME/./}}; {NETD} network {command} >/run/out; \
                 end=${{EPOCHREALTIME/./}}; echo $((end - start))"
            );
            let taken = host.run(&["bash", "-euc", &script])?.stdout;
            samples.push(taken.trim().parse::<f64>().context("microseconds")? / 1000.0);
        }
    }
    Ok(samples.map(|mut all| {
        all.sort_by(f64::total_cmp);
        middle(&all)
    }))
}
