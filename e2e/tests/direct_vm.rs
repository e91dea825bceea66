//! Containers of netd's networks where the machine's own kernel lacks what that takes: ipvlan, 802.1Q
//! sub-interfaces, dummies and SCTP. One virtual machine runs all checks, which begin with `assets/vm/direct.sh`; that of
//! two hosts which share networks begins with `assets/vm/tunnels.sh`.
//! Names begin with the ids of the behaviours of Docker's that are shown.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::vm::{self, Kernel, Vm};
use e2e::{bins, require, require_programs};

const BEGINNING: &str = include_str!("../assets/vm/direct.sh");

const CHECKS: [(&str, &str); 4] = [
    (
        "m1: a sub-interface comes and goes with its networks",
        include_str!("../assets/vm/checks/sub-interface.sh"),
    ),
    (
        "m1: without a parent containers reach each other alone",
        include_str!("../assets/vm/checks/dummy.sh"),
    ),
    (
        "m2: ipvlan in modes l2 and l3, and no second network on its parent",
        include_str!("../assets/vm/checks/ipvlan.sh"),
    ),
    (
        "b4: a port of SCTP leads to its container, by packets",
        include_str!("../assets/vm/checks/sctp-published.sh"),
    ),
];

const OF_CLUSTER: &str = include_str!("../assets/vm/tunnels.sh");
const SHARED: &str = include_str!("../assets/vm/checks/direct-cluster.sh");

/// An emulated machine starts etcd and three agents in a check.
const CHECK: Duration = Duration::from_secs(120);

#[test]
fn m1_m2_b4_sub_interfaces_dummies_ipvlans_and_ports_of_sctp_are_made_used_and_removed()
-> Result<()> {
    let kernel = Kernel::Full;
    let built = bins::find("netd").is_some();
    if !vm::available(kernel)?
        || !require_programs(&["etcd"])?
        || !require("built programs (make build)", built)?
    {
        return Ok(());
    }
    let netd = bins::program("netd")?;
    let mut machine = Vm::new(kernel)?
        .memory(1024)
        .program("etcd")?
        .program_file(&netd, "/opt/e2e/netd")?
        .check_bound(CHECK);
    for (name, script) in CHECKS {
        machine = machine.check(name, &format!("{BEGINNING}\n{script}"));
    }
    let name =
        "m1, m2: hosts share networks on their parents, and make sub-interfaces for themselves";
    machine = machine.check(name, &format!("{OF_CLUSTER}\n{SHARED}"));
    let report = machine.run().context("run a virtual machine")?;
    writeln!(std::io::stderr(), "{report}")?;
    report.verdict()
}
