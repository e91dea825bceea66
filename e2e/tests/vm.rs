//! What the machine's own kernel cannot do, on Debian's kernels: one virtual machine per kernel,
//! which runs every check of the table. A check is added by a script in `assets/vm/checks` and a
//! row here; `assets/vm/host` tells what a script can use.
//!
//! `E2E_PLUGINS=reference` runs them with Debian's reference plugins.

use std::io::Write as _;

use anyhow::Result;
use e2e::vm::{self, Kernel, Vm};
use e2e::{PluginSet, bins, require};

/// Name, script, and whether only our plugins can do it (the reference ones are version 1.1.1).
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
    let report = machine.run()?;
    writeln!(std::io::stderr(), "{report}")?;
    report.verdict()
}
