//! Failures at every message: what is reported is what was done, and undo leaves nothing.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use netstate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use netstate::{Datapath, Mode, Ns, Op, Plan};

use super::{addr, attach, ok, plan};
use crate::inject::{How, Injection, arm, seen};
use crate::testing::{in_new_host, new_container, sh, sh_in};
use crate::{Kernel, Netns};

/// Tells a test binary that was started by a test to work in the namespaces it was started in.
const CONTAINER: &str = "KERNEL_TEST_CONTAINER";

fn everything() -> Plan {
    let id = TableId::new(Family::Inet, "t");
    let sets = vec![Set { name: "s".into(), key: vec![DataType::Ipv4Addr], data: vec![] }];
    let table =
        Table { id: id.clone(), comment: "v1".into(), sets, networks: vec![], chains: vec![] };
    let element = |last: u8| Element {
        key: vec![Value::Ipv4([10, 1, 0, last].into())],
        data: vec![],
        comment: "net/c1/eth0".to_owned(),
    };
    let set = SetId::new(&id, "s");
    let add = |last| Op::AddElement { set: set.clone(), element: element(last).into() };
    let mut all = attach();
    all.steps.extend(
        plan([
            (Ns::Host, Mode::Ensure, Op::AddTable(table)),
            (Ns::Host, Mode::Fresh, add(2)),
            (Ns::Host, Mode::Fresh, add(3)),
            (Ns::Host, Mode::Ensure, addr("br0", "fd00::1/64")),
        ])
        .steps,
    );
    all
}

/// Everything but whether `lo` is up, which stays.
fn state(container: &Netns) -> (String, String) {
    let all = "(ip -o -d link | sed 's/^[0-9]*: //' | grep -v LOOPBACK; ip -o addr show scope global; \
               ip route; ip -6 route; nft list ruleset)";
    (sh(all), sh_in(container, all))
}

#[test]
fn after_a_failure_at_any_message_undo_leaves_nothing() {
    let mut at = 0;
    loop {
        let fired = in_new_host(|| {
            let container = new_container();
            let before = state(&container);
            let mut kernel = Kernel::open(Some(&container));
            arm(Some(Injection { at, how: How::Fail(12) }));
            let report = kernel.apply(&everything());
            let fired = seen() > at;
            arm(None);
            let Some((step, error)) = &report.failed else {
                // A look-up that fails may be of no consequence to what is made.
                ok(&kernel.apply(&report.undo()));
                assert_eq!(state(&container), before, "undo of all");
                return fired;
            };
            assert_eq!(error.errno(), Some(12), "{step}: {error}");
            ok(&kernel.apply(&report.undo()));
            assert_eq!(state(&container), before, "undo after failure {at} at {step}");
            // And it works when tried again.
            ok(&Kernel::open(Some(&container)).apply(&everything()));
            fired
        });
        if !fired {
            break;
        }
        at += 1;
    }
    assert!(at > 15, "only {at} messages");
}

#[test]
fn after_death_at_any_message_removing_it_all_leaves_nothing() {
    let mut at = 0;
    while in_new_host(|| dies(at)) {
        at += 1;
    }
    assert!(at > 15, "only {at} messages");
}

/// Lets a child apply the plan and die; whether it did.
fn dies(at: usize) -> bool {
    let container = new_container();
    sh("touch /run/container");
    let link = format!("/proc/self/fd/{}", container.raw());
    rustix::mount::mount_bind(link.as_str(), "/run/container").unwrap();
    let before = state(&container);
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "apply::tests::fail::a_child_applies_all_there_is", "--nocapture"])
        .env(CONTAINER, "/run/container")
        .env("NETD_INJECT", format!("message:kill:{at}"))
        .output()
        .unwrap()
        .status;
    let died = status.signal() == Some(9);
    assert!(died || status.success(), "{status}");
    let inverse = everything()
        .steps
        .into_iter()
        .rev()
        .filter_map(|step| Some((step.ns.clone(), Mode::Fresh, step.op.inverse()?)));
    let report = Kernel::open(Some(&container)).apply(&plan(inverse));
    ok(&report);
    assert_eq!(state(&container), before, "killed at {at}");
    died
}

#[test]
fn a_child_applies_all_there_is() {
    match std::env::var_os(CONTAINER) {
        Some(path) => {
            let container = Netns::open(path.as_ref()).unwrap();
            ok(&Kernel::open(Some(&container)).apply(&everything()));
        }
        None => in_new_host(|| {
            let container = new_container();
            ok(&Kernel::open(Some(&container)).apply(&everything()));
        }),
    }
}
