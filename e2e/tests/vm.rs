//! What the machine's own kernel cannot do, on Debian's kernels: one virtual machine per kernel,
//! which runs every check of the table. A check is added by a script in `assets/vm/checks` and a
//! row here; `assets/vm/host` tells what a script can use.
//!
//! `E2E_PLUGINS=reference` runs them with Debian's reference plugins.

use std::io::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::vm::{self, Kernel, Report, Vm};
use e2e::{PluginSet, bins, require};

/// What all machines of this program may take, from the start of the first one; what is left of it
/// is the bound of each.
const ALL_MACHINES: Duration = Duration::from_secs(300);
/// What a machine may take from the start of its kernel to the first process.
const BOOT: Duration = Duration::from_secs(60);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Name, script, and whether only our plugins can do it: the reference ones, of version 1.1.1, have
/// no `none` and no trunks, and their portmap's CHECK wants rules for IPv6 of an IPv4 container.
const CHECKS: &[(&str, &str, Only)] = &[
    (
        "loopback brings the loopback interface up",
        include_str!("../assets/vm/checks/loopback.sh"),
        Only::AnyPlugins,
    ),
    (
        "none leaves a container with the loopback interface alone",
        include_str!("../assets/vm/checks/none.sh"),
        Only::Ours,
    ),
    (
        "bridge and portmap connect a container, and DEL leaves nothing of it",
        include_str!("../assets/vm/checks/bridge-portmap.sh"),
        Only::AnyPlugins,
    ),
    (
        "a port is published and the way out masqueraded over IPv4 and IPv6",
        include_str!("../assets/vm/checks/dual-stack.sh"),
        Only::AnyPlugins,
    ),
    (
        "CHECK sees what is missing, and DEL comes twice",
        include_str!("../assets/vm/checks/verbs.sh"),
        Only::Ours,
    ),
    (
        "containers of another bridge are kept out",
        include_str!("../assets/vm/checks/firewall.sh"),
        Only::AnyPlugins,
    ),
    (
        "a container cannot send from another hardware address",
        include_str!("../assets/vm/checks/mac-spoofing.sh"),
        Only::AnyPlugins,
    ),
    (
        "containers share the wire of a macvlan parent",
        include_str!("../assets/vm/checks/macvlan.sh"),
        Only::AnyPlugins,
    ),
    (
        "containers talk within a VLAN of a bridge and not beyond it",
        include_str!("../assets/vm/checks/vlan.sh"),
        Only::AnyPlugins,
    ),
    (
        "a bridge is the gateway of a VLAN",
        include_str!("../assets/vm/checks/vlan-gateway.sh"),
        Only::AnyPlugins,
    ),
    (
        "a trunk carries the VLANs it names",
        include_str!("../assets/vm/checks/vlan-trunk.sh"),
        Only::Ours,
    ),
    (
        "a port of a VLAN leaves the default VLAN unless told to stay",
        include_str!("../assets/vm/checks/vlan-default.sh"),
        Only::Ours,
    ),
    ("an SCTP port is published", include_str!("../assets/vm/checks/sctp.sh"), Only::AnyPlugins),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    AnyPlugins,
    Ours,
}

#[test]
fn all_checks_pass_on_the_full_kernel() -> Result<()> {
    run(Kernel::Full)
}

#[test]
fn all_checks_pass_on_the_oldest_kernel() -> Result<()> {
    run(Kernel::Oldest)
}

#[test]
fn a_check_that_fails_hangs_or_kills_the_machine_is_told_apart() -> Result<()> {
    if !vm::available(Kernel::Oldest)? {
        return Ok(());
    }
    let machine = Vm::new(Kernel::Oldest)?
        .check_bound(Duration::from_secs(8))
        .check("passes", "container c1; refute false")
        .check("fails at once", "false; true")
        .check("fails in a function", "container c1; pings c1 192.0.2.1; true")
        .check("fails in a subshell", "seen=$(inside host false); true")
        .check("refutes in vain", "refute true; true")
        .check("hangs", "read -r line < <(tail -f /dev/null)")
        .check("panics", "echo c >/proc/sysrq-trigger; within 60 false")
        .check("comes too late", "true");
    let report = run_in_time(machine)?;
    let ends: Vec<_> = report.outcomes.iter().map(|outcome| outcome.status).collect();
    let expected = [Some(0), Some(1), Some(1), Some(1), Some(1), Some(124), None, None, None];
    assert_eq!(ends, expected, "{report}\n{}", report.console);
    Ok(())
}

fn run(kernel: Kernel) -> Result<()> {
    let set = PluginSet::selected()?;
    let built = set == PluginSet::Reference || bins::find("plugins").is_some();
    if !vm::available(kernel)? || !require("built plugins (make build)", built)? {
        return Ok(());
    }
    let mut machine = Vm::new(kernel)?.plugins(set)?;
    for (name, script, only) in CHECKS.iter().copied() {
        if only == Only::AnyPlugins || set == PluginSet::Ours {
            machine = machine.check(name, script);
        }
    }
    let report = run_in_time(machine)?;
    writeln!(std::io::stderr(), "{report}")?;
    report.verdict()
}

/// Runs a machine in what is left of the time of all.
fn run_in_time(machine: Vm) -> Result<Report> {
    let left = ALL_MACHINES.saturating_sub(START.elapsed());
    let report = machine.bound(left).run()?;
    let (took, bound) = (START.elapsed().as_secs(), ALL_MACHINES.as_secs());
    writeln!(std::io::stderr(), "machines of {bound} s have taken {took} s so far")?;
    let late = report.overtime.is_some();
    ensure!(!late, "all machines took more than {bound} s:\n{report}\n{}", report.console);
    ensure!(report.boot <= BOOT, "the kernel took more than {} s to boot", BOOT.as_secs());
    Ok(report)
}
