use super::*;

#[test]
fn a_plan_is_told_in_commands_and_changes_nothing() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(7, "vxlan")]);
        assert_eq!(of(&site), Vec::<String>::new());
        let counts = *site.reconciler.counts().borrow();
        assert_eq!((counts.rounds, counts.failed, counts.listings), (1, 0, 1));
        assert!(counts.applied > 3 && counts.last_round.is_some_and(|last| last.succeeded));
        sh("sysctl -qw net.ipv4.ip_forward=0");
        let told = of(&site).join("\n");
        assert!(told.ends_with("ip_forward=1") && told.lines().count() == 1, "{told}");
        assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
        assert_eq!(site.reconciler.counts().borrow().applied, counts.applied);
    });
}

pub(super) fn of(site: &Site) -> Vec<String> {
    let (answer, answered) = oneshot::channel();
    site.reconciler.inputs().send(Input::Plan(answer)).unwrap();
    answered.blocking_recv().unwrap().unwrap()
}
