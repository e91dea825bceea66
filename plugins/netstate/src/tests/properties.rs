//! What holds for all states: the plans of this crate on the simulated kernel.

use proptest::prelude::*;

use super::linux::cases;
use super::states::{parents, states};
use crate::sim::{Sim, SimError};
use crate::{
    Datapath, Desired, Link, LinkKind, LinkName, LinkRef, Mode, Ns, Observed, Op, Plan, Report,
    Scope, State,
};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn between_leads_from_any_state_to_any_other(a in states(), b in states()) {
        let scope = scope_of(&[&a, &b]);
        let plan = Plan::between(&Observed(a.clone()), &Desired(b.clone()), &scope);
        let mut sim = Sim::new(a);
        let report = sim.apply(&plan);
        prop_assert!(report.failed.is_none(), "{}\n{plan}", failure(&report));
        prop_assert_eq!(comparable(sim.state(), &b), comparable(&b, &b), "{}", plan);
    }

    #[test]
    fn nothing_changes_where_all_is_as_wanted(b in states()) {
        let (observed, desired) = (Observed(b.clone()), Desired(b));
        let between = Plan::between(&observed, &desired, &Scope::of(&desired));
        prop_assert!(between.is_empty(), "{between}");
        let missing = Plan::missing(&observed, &desired);
        prop_assert!(missing.is_empty(), "{missing}");
    }

    #[test]
    fn missing_repairs_any_state(a in states(), b in states()) {
        // What is not wanted stays, and may stand in the way.
        let ports = |state: &State| -> Vec<_> {
            state.links().filter(|(_, l)| l.master.is_some()).map(|(at, _)| at).collect()
        };
        prop_assume!(!ports(&a).iter().any(|at| parents(&b).contains(at)));
        prop_assume!(!ports(&b).iter().any(|at| parents(&a).contains(at)));
        let desired = Desired(vague(b));
        let plan = Plan::missing(&Observed(a.clone()), &desired);
        let mut sim = Sim::new(a);
        let report = sim.apply(&plan);
        prop_assert!(report.failed.is_none(), "{}\n{plan}", failure(&report));
        let left = Plan::missing(&Observed(sim.state().clone()), &desired);
        prop_assert!(left.is_empty(), "{plan}\nleft:\n{left}");
    }

    #[test]
    fn one_reconciliation_is_enough(a in states(), b in states()) {
        let desired = Desired(vague(b));
        let scope = scope_of(&[&a, &desired.0]);
        let mut sim = Sim::new(a);
        let first = Plan::between(&sim.observe(&scope).unwrap(), &desired, &scope);
        let report = sim.apply(&first);
        prop_assert!(report.failed.is_none(), "{}\n{first}", failure(&report));
        let second = Plan::between(&sim.observe(&scope).unwrap(), &desired, &scope);
        prop_assert!(second.is_empty(), "{first}\nsecond:\n{second}");
    }

    #[test]
    fn create_makes_all_and_remove_takes_all_away(b in states()) {
        let desired = Desired(b.clone());
        let mut sim = Sim::new(start(true));
        let report = sim.apply(&Plan::create(&desired));
        prop_assert!(report.failed.is_none(), "{}\n{}", failure(&report), Plan::create(&desired));
        prop_assert_eq!(comparable(sim.state(), &b), comparable(&b, &b));
        let report = sim.apply(&Plan::remove(&desired));
        prop_assert!(report.failed.is_none(), "{}\n{}", failure(&report), Plan::remove(&desired));
        let nothing = State::default();
        let mut left = comparable(sim.state(), &nothing);
        left.ns_mut(Ns::Host).tables.clear();
        prop_assert_eq!(left, comparable(&start(true), &nothing));
    }

    #[test]
    fn remove_does_not_mind_what_is_gone(a in states(), b in states()) {
        let plan = Plan::remove(&Desired(b));
        let report = Sim::new(a).apply(&plan);
        prop_assert!(report.failed.is_none(), "{}\n{plan}", failure(&report));
        prop_assert!(plan.steps.iter().all(|step| step.op.is_removal()), "{plan}");
    }

    #[test]
    fn ensure_twice_changes_nothing_the_second_time(b in states()) {
        let plan = Plan::ensure(&Desired(b));
        let mut sim = Sim::new(start(false));
        prop_assert!(sim.apply(&plan).failed.is_none(), "{plan}");
        let before = sim.state().clone();
        let again = sim.apply(&plan);
        prop_assert!(again.failed.is_none(), "{}\n{plan}", failure(&again));
        let changed: Vec<_> = again.done.iter().filter(|done| done.changed).collect();
        prop_assert!(changed.is_empty(), "{changed:#?}");
        prop_assert_eq!(sim.state(), &before);
    }

    #[test]
    fn undo_after_a_failure_at_any_step_gives_the_start(b in states(), in_batches in any::<bool>()) {
        let plan = Plan::create(&Desired(b));
        for step in 0..plan.steps.len() {
            let mut sim = Sim::new(start(false));
            sim.set_in_batches(in_batches);
            sim.fail_at(step);
            let report = sim.apply(&plan);
            prop_assert!(report.failed.is_some());
            let undone = sim.apply(&report.undo());
            prop_assert!(undone.failed.is_none(), "{}\n{plan}", failure(&undone));
            prop_assert_eq!(tidy(sim.state()), tidy(&start(false)), "step {}\n{}", step, plan);
        }
    }

    #[test]
    fn what_is_outside_of_the_scope_is_not_touched(a in states(), b in states()) {
        let scope = scope_of(&[&a, &b]);
        let mut sim = Sim::new(with_foreign(a));
        let observed = sim.observe(&scope).unwrap();
        let plan = Plan::between(&observed, &Desired(b.clone()), &scope);
        let report = sim.apply(&plan);
        prop_assert!(report.failed.is_none(), "{}\n{plan}", failure(&report));
        let expected = with_foreign(b.clone());
        prop_assert_eq!(comparable(sim.state(), &expected), comparable(&expected, &expected));
    }

    #[test]
    fn steps_of_a_namespace_stay_together(b in states()) {
        let plan = Plan::create(&Desired(b.clone()));
        let mut runs: Vec<&Ns> = plan.steps.iter().map(|step| &step.ns).collect();
        runs.dedup();
        // Each stage may visit both; only links that need links of the other go back and forth.
        let far = b.links().filter(|(at, link)| {
            link.kind.peer().or(link.kind.parent()).is_some_and(|other| other.ns != at.ns)
        });
        prop_assert!(runs.len() <= 4 + 2 * far.count(), "{plan}");
    }

    #[test]
    fn modes_say_whose_it_is(b in states()) {
        let desired = Desired(b);
        let fresh = Plan::create(&desired);
        prop_assert!(fresh.steps.iter().all(|step| step.mode == Mode::Fresh));
        let shared = Plan::ensure(&desired);
        prop_assert!(shared.steps.iter().all(|step| step.mode == Mode::Ensure));
        let ops = |plan: &Plan| plan.steps.iter().map(|s| s.op.clone()).collect::<Vec<Op>>();
        prop_assert_eq!(ops(&fresh), ops(&shared));
    }
}

pub(super) fn scope_of(states: &[&State]) -> Scope {
    let mut all = Scope { routes: true, ..Scope::default() };
    for state in states {
        let scope = Scope::of(&Desired((*state).clone()));
        all.links.extend(scope.links);
        all.rule_tables.extend(scope.rule_tables);
        all.sysctls.extend(scope.sysctls);
        all.tables.extend(scope.tables);
        all.elements.extend(scope.elements);
    }
    all
}

/// Sysctls are never taken back: those that `wanted` does not speak of are left out, as are sets
/// without elements and namespaces without content.
fn comparable(state: &State, wanted: &State) -> State {
    let mut out = tidy(state);
    for (ns, _) in state.iter() {
        let keys = wanted.ns(ns).map(|w| w.sysctls.clone()).unwrap_or_default();
        out.ns_mut(ns.clone()).sysctls.retain(|key, _| keys.contains_key(key));
    }
    out
}

fn tidy(state: &State) -> State {
    let mut out = state.clone();
    for (ns, _) in state.iter() {
        out.ns_mut(ns.clone()).elements.retain(|_, elements| !elements.is_empty());
    }
    out
}

/// What is there before anything is made.
fn start(lo_up: bool) -> State {
    let mut state = Sim::default().state().clone();
    for ns in [Ns::Host, Ns::Container] {
        let lo =
            Link { up: lo_up, mtu: Some(65536), ..Link::new(LinkName::lo(), LinkKind::Loopback) };
        state.ns_mut(ns).add_link(lo);
    }
    let forward = crate::SysctlKey::fixed("net/ipv4/ip_forward");
    state.ns_mut(Ns::Host).sysctls.insert(forward, "0".to_owned());
    state
}

/// The state with half of the attributes left to the kernel.
fn vague(mut state: State) -> State {
    let all: Vec<LinkRef> = state.links().map(|(at, _)| at).collect();
    let parents = parents(&state);
    for (n, at) in all.iter().enumerate() {
        let space = state.ns_mut(at.ns.clone());
        let has_ipv6 = space.addrs.iter().any(|a| a.link == at.name && a.net.is_ipv6())
            || space.routes.iter().any(|r| r.dev.as_ref() == Some(&at.name) && r.dst.is_ipv6());
        let Some(link) = space.links.get_mut(&at.name) else { continue };
        // Where the MTU decides what is possible it must be asked for.
        let has_parent = link.kind.parent().is_some();
        if !has_ipv6 && !has_parent && !parents.contains(at) {
            link.mtu = None;
        }
        if n % 3 != 0 {
            link.mac = None;
            link.alias = None;
        }
        if let Some(port) = &mut link.port {
            port.hairpin = None;
            port.vlans = port.vlans.take().filter(|_| n % 2 == 0);
        }
    }
    state
}

/// Things of other people beside a state.
fn with_foreign(mut state: State) -> State {
    let name = LinkName::new("eno1").unwrap();
    let host = state.ns_mut(Ns::Host);
    let nic = Link { mtu: Some(1500), ..Link::new(name.clone(), LinkKind::Other(String::new())) };
    host.add_link(nic);
    let bridge = LinkName::new("docker0").unwrap();
    host.add_link(Link::new(bridge, LinkKind::Bridge { vlan_filtering: Some(false) }));
    host.addrs.insert(crate::Addr::new(name.clone(), "192.0.2.5/24".parse().unwrap()));
    let default = crate::Route {
        via: Some("192.0.2.1".parse().unwrap()),
        protocol: 3,
        ..crate::Route::new("0.0.0.0/0".parse().unwrap(), name)
    };
    host.routes.insert(default);
    host.rules.insert(crate::Rule { priority: 32766, from: None, to: None, table: 254 });
    let mut table = super::states::table(1);
    table.id.name = "filter".into();
    let set = crate::nft::SetId::new(&table.id, "sources");
    let ip = crate::nft::Value::Ipv4(std::net::Ipv4Addr::new(192, 0, 2, 9));
    let element = crate::nft::Element { key: vec![ip], data: Vec::new(), comment: String::new() };
    host.add_element(set, element);
    host.tables.insert(table.id.clone(), table);
    state
}

fn failure(report: &Report<SimError>) -> String {
    let text = |(_, error): &(_, SimError)| format!("{error}: {}", error.fault);
    report.failed.as_ref().map(text).unwrap_or_default()
}
