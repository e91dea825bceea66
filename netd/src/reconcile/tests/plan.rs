use super::*;

/// At most so many rounds are still due when a host has just settled.
const ROUNDS_DUE: usize = 3;

#[test]
fn a_plan_is_told_in_commands_and_changes_nothing() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(7, "vxlan")]);
        assert_eq!(of(&site), Vec::<String>::new());
        let counts = *site.reconciler.counts().borrow();
        assert_eq!((counts.rounds, counts.failed, counts.listings), (1, 0, 1));
        assert!(counts.applied > 3 && counts.last_round.is_some_and(|last| last.succeeded));
        // A round that the new device's own events still bring repairs it; none comes after.
        let told = (0..ROUNDS_DUE).find_map(|_| {
            let applied = site.reconciler.counts().borrow().applied;
            sh("sysctl -qw net.ipv4.ip_forward=0");
            let told = of(&site).join("\n");
            let is_left = sh("cat /proc/sys/net/ipv4/ip_forward").trim() == "0";
            (is_left && site.reconciler.counts().borrow().applied == applied).then_some(told)
        });
        let told = told.expect("a plan changes nothing");
        assert!(told.ends_with("ip_forward=1") && told.lines().count() == 1, "{told}");
    });
}

pub(super) fn of(site: &Site) -> Vec<String> {
    let (answer, answered) = oneshot::channel();
    site.reconciler.inputs().send(Input::Plan(answer)).unwrap();
    answered.blocking_recv().unwrap().unwrap()
}
