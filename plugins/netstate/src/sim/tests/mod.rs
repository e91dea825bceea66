//! What the simulated kernel refuses and takes along, each seen on Linux 6.18.

mod content;

use super::{Fault, Sim};
use crate::nft::{Family, TableId};
use crate::{
    Addr, Datapath, Link, LinkChange, LinkKind, LinkName, LinkRef, MacVlanMode, Ns, Op, PeerInit,
    Plan, Route, Scope, Step,
};

#[test]
fn a_link_is_made_once() {
    let mut sim = Sim::default();
    assert_eq!(apply(&mut sim, add(bridge("br0"))), Ok(true));
    assert_eq!(apply(&mut sim, add(bridge("br0"))), Err(Fault::Exists));
    assert_eq!(ensure(&mut sim, add(bridge("br0"))), Ok(false));
    let other = Link { mtu: Some(9000), ..bridge("br0") };
    assert_eq!(ensure(&mut sim, add(other)), Err(Fault::Differs));
    assert_eq!(ensure(&mut sim, veth("br0", "x")), Err(Fault::Differs));
}

#[test]
fn what_is_gone_already_is_removed_without_complaint() {
    let mut sim = Sim::default();
    let gone = Route::new(net("10.9.0.0/16"), name("br0"));
    for op in [
        Op::DelLink(name("br0")),
        Op::DelAddr(Addr::new(name("br0"), net("10.1.0.1/24"))),
        Op::DelRoute(gone),
        Op::DelTable(TableId::new(Family::Inet, "netd")),
    ] {
        assert_eq!(apply(&mut sim, op), Ok(false));
    }
    assert_eq!(
        apply(&mut sim, Op::DelLink(LinkName::lo())),
        Err(Fault::NotSupported("this link cannot be removed"))
    );
}

#[test]
fn a_veth_is_born_with_its_far_end_down() {
    let mut sim = Sim::default();
    let report = sim.apply(&plan(veth("v0", "eth0")));
    let far = LinkRef { ns: Ns::Container, name: name("eth0") };
    assert!(!sim.state().link(&far).unwrap().up);
    assert_eq!(report.links.len(), 2);
    assert_eq!(apply(&mut sim, Op::DelLink(name("v0"))), Ok(true));
    assert_eq!(sim.state().link(&far), None);
}

#[test]
fn a_macvlan_dies_with_its_parent_and_is_no_larger() {
    let mut sim = Sim::default();
    done(&mut sim, veth("v0", "eth0"));
    let parent = LinkRef { ns: Ns::Host, name: name("v0") };
    let kind = LinkKind::MacVlan { parent, mode: MacVlanMode::Bridge, bc_queue_len: None };
    let large = Link { mtu: Some(9000), ..Link::new(name("mv0"), kind.clone()) };
    assert!(matches!(apply(&mut sim, add(large)), Err(Fault::Invalid(_))));
    done(&mut sim, add(Link::new(name("mv0"), kind)));
    done(&mut sim, add(bridge("br0")));
    let join = set("v0", LinkChange::Master(Some(name("br0"))));
    assert_eq!(apply(&mut sim, join), Err(Fault::Busy("a macvlan")));
    done(&mut sim, Op::DelLink(name("v0")));
    assert!(!has_link(&sim, "mv0"));
}

#[test]
fn ports_lose_their_bridge_with_it() {
    let mut sim = Sim::default();
    done(&mut sim, add(bridge("br0")));
    done(&mut sim, veth("v0", "eth0"));
    let hairpin = set("v0", LinkChange::Hairpin(true));
    assert!(matches!(apply(&mut sim, hairpin.clone()), Err(Fault::Invalid(_))));
    done(&mut sim, set("v0", LinkChange::Master(Some(name("br0")))));
    done(&mut sim, hairpin);
    done(&mut sim, Op::DelLink(name("br0")));
    let port = sim.state().link(&LinkRef { ns: Ns::Host, name: name("v0") }).unwrap();
    assert_eq!((&port.master, &port.port), (&None, &None));
}

#[test]
fn a_fault_has_no_effect_and_the_batch_goes_on_if_asked() {
    let steps = ["a", "b", "c"].map(|link| Step::fresh(Ns::Host, add(bridge(link))));
    let plan = Plan { steps: steps.to_vec() };
    let made = |in_batches| {
        let mut sim = Sim::default();
        sim.set_in_batches(in_batches);
        sim.fail_at(1);
        let report = sim.apply(&plan);
        let (step, error) = report.failed.unwrap();
        assert_eq!((step, error.fault), (plan.steps[1].clone(), Fault::Injected));
        ["a", "b", "c"].map(|link| has_link(&sim, link))
    };
    assert_eq!(made(false), [true, false, false]);
    assert_eq!(made(true), [true, false, true]);
}

#[test]
fn removals_go_on_past_a_failure() {
    let mut sim = Sim::default();
    for link in ["a", "b"] {
        done(&mut sim, add(bridge(link)));
    }
    sim.fail_at(0);
    let steps = ["a", "b"].map(|link| Step::fresh(Ns::Host, Op::DelLink(name(link))));
    let report = sim.apply(&Plan { steps: steps.to_vec() });
    assert!(report.failed.is_some());
    assert_eq!(["a", "b"].map(|link| has_link(&sim, link)), [true, false]);
}

#[test]
fn only_what_is_in_the_scope_is_observed() {
    let mut sim = with_bridge();
    done(&mut sim, veth("v0", "eth0"));
    let at = LinkRef { ns: Ns::Container, name: name("eth0") };
    let scope = Scope { links: [at.clone()].into(), ..Scope::default() };
    let seen = sim.observe(&scope).unwrap().0;
    assert_eq!(seen.links().map(|(at, _)| at).collect::<Vec<_>>(), [at]);
    assert_eq!(seen.ns(&Ns::Host), None);
}

fn apply(sim: &mut Sim, op: Op) -> Result<bool, Fault> {
    run(sim, Step::fresh(Ns::Host, op))
}

fn ensure(sim: &mut Sim, op: Op) -> Result<bool, Fault> {
    run(sim, Step::ensure(Ns::Host, op))
}

fn run(sim: &mut Sim, step: Step) -> Result<bool, Fault> {
    let report = sim.apply(&Plan { steps: vec![step] });
    match report.failed {
        Some((_, error)) => Err(error.fault),
        None => Ok(report.done[0].changed),
    }
}

fn done(sim: &mut Sim, op: Op) {
    assert_eq!(apply(sim, op), Ok(true));
}

fn plan(op: Op) -> Plan {
    Plan { steps: vec![Step::fresh(Ns::Host, op)] }
}

/// A bridge that is up and has 10.1.0.1/24.
fn with_bridge() -> Sim {
    let mut sim = Sim::default();
    done(&mut sim, add(bridge("br0")));
    done(&mut sim, Op::AddAddr(Addr::new(name("br0"), net("10.1.0.1/24"))));
    sim
}

fn has_link(sim: &Sim, link: &str) -> bool {
    sim.state().link(&LinkRef { ns: Ns::Host, name: name(link) }).is_some()
}

fn add(link: Link) -> Op {
    Op::AddLink { link, peer: None }
}

fn set(link: &str, change: LinkChange) -> Op {
    Op::SetLink { name: name(link), changes: vec![change] }
}

fn veth(link: &str, peer: &str) -> Op {
    let far = LinkRef { ns: Ns::Container, name: name(peer) };
    let link = Link::new(name(link), LinkKind::Veth { peer: far.clone() });
    Op::AddLink { link, peer: Some(PeerInit { link: far, mac: None, mtu: None }) }
}

fn bridge(link: &str) -> Link {
    Link::new(name(link), LinkKind::Bridge { vlan_filtering: None })
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn net(text: &str) -> ipnetwork::IpNetwork {
    text.parse().unwrap()
}
