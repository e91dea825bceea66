//! Runs the text of every kind of operation with the real `ip`, `bridge`, `nft` and `sysctl`, in
//! namespaces of its own: each command must succeed.
//!
//! Needs root. Where there is none the test says so, and fails if `E2E_REQUIRE=1`.

use std::process::{Command, Output};

use super::samples::{self, Sample};
use crate::NsNames;

#[test]
fn every_command_runs_with_a_named_namespace() {
    run_samples("/run/netns/box");
}

#[test]
fn every_command_runs_with_a_path() {
    run_samples("/run/netns/./box");
}

#[test]
fn every_command_runs_with_the_variable() {
    run_samples("");
}

fn run_samples(container: &str) {
    if !may_make_namespaces() {
        return;
    }
    let names = NsNames { container: container.to_owned(), ..NsNames::default() };
    let mut script = PREPARE.to_owned();
    for Sample { step, check, may_lack_support } in samples::all() {
        let command = step.command(&names);
        // A kernel without CONFIG_BRIDGE_VLAN_FILTERING, or without a kind of link, refuses what
        // iproute2 understood.
        let lacks = "grep -q 'not supported\\|Unknown device type\\|Cannot find device\\|wg: not found' /run/err";
        let pardon = if may_lack_support { lacks } else { "false" };
        script.push_str(&format!(
            "{{\n{command}\n}} 2>/run/err || {pardon} || fail $? <<'COMMAND'\n{command}\nCOMMAND\n"
        ));
        if let Some(check) = check {
            script.push_str(&format!("{{ {check}; }} || fail $? <<'COMMAND'\n{check}\nCOMMAND\n"));
        }
    }
    script.push_str("echo all done\n");
    let output = run(&script);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.ends_with("all done\n"), "{out}\n{err}");
}

/// A host and a container's namespace, both gone when the script ends.
pub(super) const PREPARE: &str = "
set -eu
fail() {
    echo \"exit $1 of:\" >&2; cat >&2; cat /run/err >&2
    ip -d link >&2; nft list ruleset >&2
    exit 1
}
mount -t tmpfs none /run
: >/run/err
mkdir /run/netns
ip netns add box
export CNI_NETNS=/run/netns/box
ip link set dev lo up
ip link add name vx up type vxlan id 7 dstport 4789
set +e
";

pub(super) fn may_make_namespaces() -> bool {
    let can = run("true").status.success();
    let required = std::env::var("E2E_REQUIRE").is_ok_and(|value| value == "1");
    assert!(can || !required, "E2E_REQUIRE=1, but no network namespace can be made (not root?)");
    if !can {
        eprintln!("skipped: no network namespace can be made (not root?)");
    }
    can
}

pub(super) fn run(script: &str) -> Output {
    Command::new("unshare").args(["--net", "--mount", "sh", "-c", script]).output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
