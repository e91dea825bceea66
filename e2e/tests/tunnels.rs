//! Tunnels that the machine's own kernel does not have, on Debian's kernels: two hosts with netd and a
//! real etcd in one virtual machine. What all checks begin with is `assets/vm/tunnels.sh`.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::vm::{self, Kernel, Vm};
use e2e::{bins, require, require_programs};

const BEGINNING: &str = include_str!("../assets/vm/tunnels.sh");

const IPIP: &str = include_str!("../assets/vm/checks/ipip.sh");
const WIREGUARD: &str = include_str!("../assets/vm/checks/wireguard.sh");

/// What connects containers of two hosts without losing a ping when netd dies, by which mode.
const CHECKS: &[(&str, &str, &str)] = &[
    ("ipip", "", IPIP),
    ("wireguard", "separate", WIREGUARD),
    ("wireguard", "auto", WIREGUARD),
    ("wireguard", "ipv4", WIREGUARD),
    ("wireguard", "ipv6", WIREGUARD),
];

/// What encrypted overlays begin with.
const ENCRYPTED: &str = include_str!("../assets/vm/encrypted.sh");

const READ: &str = include_str!("../assets/vm/checks/encrypted.sh");
const FORGED: &str = include_str!("../assets/vm/checks/encrypted-forged.sh");
const LIVES: &str = include_str!("../assets/vm/checks/encrypted-lives.sh");
const KEY: &str = include_str!("../assets/vm/checks/encrypted-key.sh");

/// Encrypted overlays, by the IP family between hosts. What is first is checked on the oldest kernel, too.
const OF_OVERLAYS: &[(&str, u8, &str)] = &[
    ("an encrypted overlay is read by nobody between hosts", 4, READ),
    ("forged frames come into no encrypted overlay", 4, FORGED),
    ("an encrypted overlay outlives agents and addresses", 4, LIVES),
    ("an encrypted overlay is read by nobody between hosts of IPv6", 6, READ),
    ("forged frames come into no encrypted overlay between hosts of IPv6", 6, FORGED),
    ("an encrypted overlay outlives agents and addresses between hosts of IPv6", 6, LIVES),
    ("a host has another key for encrypted overlays", 4, KEY),
];
/// So many of them.
const OLDEST: usize = 3;

/// What is the same wherever the agent is cut.
const CUT: &str = include_str!("../assets/vm/checks/cut.sh");

/// An emulated machine starts etcd and four agents, and pings for 15 s.
const CHECK: Duration = Duration::from_secs(180);
/// One of an encrypted overlay pings for longer, and waits for signs of life that end.
const OVERLAY: Duration = Duration::from_secs(300);
const MACHINE: Duration = Duration::from_secs(600);

#[test]
fn tunnels_connect_hosts_on_the_full_kernel() -> Result<()> {
    run(Kernel::Full)
}

#[test]
fn tunnels_connect_hosts_on_the_oldest_kernel() -> Result<()> {
    run(Kernel::Oldest)
}

#[test]
fn frames_of_encrypted_overlays_are_read_and_forged_by_nobody_on_the_full_kernel() -> Result<()> {
    run_encrypted(Kernel::Full, OF_OVERLAYS)
}

#[test]
fn frames_of_encrypted_overlays_are_read_and_forged_by_nobody_on_the_oldest_kernel() -> Result<()> {
    run_encrypted(Kernel::Oldest, &OF_OVERLAYS[..OLDEST])
}

/// What `agent_kill` is for the backends that the machine's own kernel has.
#[test]
fn tunnels_are_as_if_nothing_had_been_wherever_the_agent_is_killed_or_refused() -> Result<()> {
    let injected = bins::injected("netd");
    if !can_run(Kernel::Full)? || !require("built netd (make build)", injected.is_ok())? {
        return Ok(());
    }
    let mut machine = machine(Kernel::Full)?.program_file(&injected?, "/opt/e2e/injected")?;
    machine = machine.check_bound(MACHINE).bound(2 * MACHINE);
    for backend in ["ipip", "wireguard"] {
        let name = format!("{backend} is right again wherever netd is cut");
        machine = machine.check(&name, &format!("{BEGINNING}\nbackend={backend}\n{CUT}"));
    }
    tried(machine)
}

fn run(kernel: Kernel) -> Result<()> {
    if !can_run(kernel)? {
        return Ok(());
    }
    let mut machine = machine(kernel)?;
    for (backend, mode, script) in CHECKS {
        let name = format!("{backend} {mode} connects containers, and netd dies unnoticed");
        machine = machine.check(&name, &format!("{BEGINNING}\nmode={mode}\n{script}"));
    }
    tried(machine)
}

fn run_encrypted(kernel: Kernel, checks: &[(&str, u8, &str)]) -> Result<()> {
    if !can_run(kernel)? {
        return Ok(());
    }
    let mut machine = machine(kernel)?.check_bound(OVERLAY).bound(3 * MACHINE);
    for (name, under, script) in checks {
        machine =
            machine.check(name, &format!("{BEGINNING}\nunder={under}\n{ENCRYPTED}\n{script}"));
    }
    tried(machine)
}

fn can_run(kernel: Kernel) -> Result<bool> {
    Ok(vm::available(kernel)?
        && require_programs(&["etcd", "etcdctl", "wg"])?
        && require("built programs (make build)", bins::find("netd").is_some())?)
}

fn machine(kernel: Kernel) -> Result<Vm> {
    Ok(Vm::new(kernel)?
        .memory(1024)
        .program("etcd")?
        .program("etcdctl")?
        .program("wg")?
        .program_file(&bins::program("netd")?, "/opt/e2e/netd")?
        .check_bound(CHECK)
        .bound(MACHINE))
}

fn tried(machine: Vm) -> Result<()> {
    let report = machine.run().context("run a virtual machine")?;
    writeln!(std::io::stderr(), "{report}")?;
    report.verdict()
}
