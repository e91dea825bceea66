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

/// An emulated machine starts etcd and four agents, and pings for 15 s.
const CHECK: Duration = Duration::from_secs(180);
const MACHINE: Duration = Duration::from_secs(600);

#[test]
fn tunnels_connect_hosts_on_the_full_kernel() -> Result<()> {
    run(Kernel::Full)
}

#[test]
fn tunnels_connect_hosts_on_the_oldest_kernel() -> Result<()> {
    run(Kernel::Oldest)
}

fn run(kernel: Kernel) -> Result<()> {
    let built = bins::find("netd").is_some();
    let all = vm::available(kernel)?
        && require_programs(&["etcd", "etcdctl"])?
        && require("built programs (make build)", built)?;
    if !all {
        return Ok(());
    }
    let mut machine = Vm::new(kernel)?
        .memory(1024)
        .program("etcd")?
        .program("etcdctl")?
        .program_file(&bins::program("netd")?, "/opt/e2e/netd")?
        .check_bound(CHECK)
        .bound(MACHINE);
    for (backend, mode, script) in CHECKS {
        let name = format!("{backend} {mode} connects containers, and netd dies unnoticed");
        machine = machine.check(&name, &format!("{BEGINNING}\nmode={mode}\n{script}"));
    }
    let report = machine.run().context("run a virtual machine")?;
    writeln!(std::io::stderr(), "{report}")?;
    report.verdict()
}
