use netstate::{Datapath, Mode, Ns, Op};

use super::{addr, changed, name, plan};
use crate::Kernel;
use crate::testing::{in_new_host, sh};

fn removals(names: impl IntoIterator<Item = String>) -> netstate::Plan {
    plan(names.into_iter().map(|n| (Ns::Host, Mode::Fresh, Op::DelLink(name(&n)))))
}

#[test]
fn many_links_go_as_one_and_others_stay() {
    in_new_host(|| {
        sh("for i in $(seq 20); do ip link add v$i type veth peer name w$i; done");
        sh("ip link add keep type bridge; ip link set keep group 1");
        let report = Kernel::open(None).apply(&removals((1..=22).map(|i| format!("v{i}"))));
        assert!(report.failed.is_none());
        let gone = changed(&report);
        assert_eq!(gone.iter().filter(|c| **c).count(), 20);
        assert_eq!(gone.len(), 22);
        let left = sh("ip -o link");
        assert_eq!(left.lines().count(), 2, "{left}");
        assert!(left.contains("keep"));
    });
}

#[test]
fn a_link_that_cannot_be_removed_does_not_keep_the_others() {
    in_new_host(|| {
        sh("ip link add br-a type bridge; ip link add br-b type bridge");
        let report = Kernel::open(None).apply(&removals(["br-a", "lo", "br-b"].map(str::to_owned)));
        let (step, error) = report.failed.unwrap();
        assert_eq!(step.op, Op::DelLink(name("lo")));
        assert_eq!(error.kind(), crate::Kind::Unsupported);
        assert_eq!(sh("ip -o link").lines().count(), 1);
    });
}

#[test]
fn removing_what_is_gone_is_done_and_changes_nothing() {
    in_new_host(|| {
        sh("ip link add br-a type bridge");
        let del = |op: Op| (Ns::Host, Mode::Fresh, op.inverse().unwrap());
        let steps = [
            del(addr("br-a", "10.0.0.1/24")),
            del(addr("br-a", "fd00::1/64")),
            del(addr("none", "10.0.0.1/24")),
            del(super::route("br-a", "10.9.0.0/16", "10.0.0.9")),
            (Ns::Host, Mode::Fresh, Op::DelLink(name("none"))),
        ];
        let report = Kernel::open(None).apply(&plan(steps));
        assert!(report.failed.is_none(), "{:?}", report.failed);
        assert_eq!(changed(&report), [false; 5]);
    });
}
