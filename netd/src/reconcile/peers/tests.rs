//! Peers that want the same places. The kernel is the simulated one: what one event after the other
//! makes of it is what a look at everything would make at once.

use netstate::sim::Sim;
use netstate::{Datapath, Link, LinkKind, LinkName, Ns, Observed, Plan, Route, Scope, State};
use proptest::prelude::*;

use super::*;
use crate::lease::LeaseValue;
use crate::reconcile::apply::update;
use crate::reconcile::burst::{self, Burst};

const DEVICE: &str = "flannel.1";

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    /// A lease is written: number of its subnet, last bytes of its MAC and address.
    Put(usize, u8, u8),
    Deleted(usize),
}

/// Some of them begin with one address, so that only one can have its neighbour.
const SUBNETS: [&str; 5] =
    ["10.5.2.0-24", "10.5.2.0-25", "10.5.3.0-24", "10.5.3.0-26", "10.5.4.0-24"];

fn subnet(number: usize) -> SubnetKey {
    SUBNETS[number].parse().unwrap()
}

fn peer(number: usize, mac: u8, at: u8, revision: i64) -> (Peer, NetState) {
    let value = LeaseValue::new([192, 0, 2, at].into());
    let peer = Peer { subnet: subnet(number), value, revision };
    let (link, base) = (LinkName::new(DEVICE).unwrap(), peer.subnet.v4.network().into());
    let mac = netstate::Mac([2, 0, 0, 0, 0, mac]);
    let mut wanted = NetState::default();
    wanted.neighs.insert(netstate::Neigh { link: link.clone(), ip: base, mac });
    wanted.fdb.insert(netstate::Fdb { link: link.clone(), mac, dst: peer.value.public_ip.into() });
    wanted.routes.insert(Route {
        via: Some(base),
        onlink: true,
        protocol: 78,
        ..Route::new(peer.subnet.v4.into(), link)
    });
    (peer, wanted)
}

/// A kernel that has the device.
fn kernel() -> Sim {
    let mut sim = Sim::new(State::default());
    let name = LinkName::new(DEVICE).unwrap();
    let kind = LinkKind::Vxlan(netstate::Vxlan {
        id: 1,
        port: None,
        parent: None,
        local: Some([192, 0, 2, 1].into()),
        learning: false,
        gbp: false,
    });
    let mut device = NetState::default();
    device.add_link(Link::new(name, kind));
    let plan = update(NetState::default(), device);
    assert!(sim.apply(&plan).failed.is_none());
    sim
}

/// All that leads to peers.
fn there(sim: &mut Sim) -> NetState {
    let mut scope = Scope { neighbours: true, routes: true, ..Scope::default() };
    scope.links.insert(netstate::LinkRef { ns: Ns::Host, name: LinkName::new(DEVICE).unwrap() });
    let Observed(state) = sim.observe(&scope).unwrap();
    let mut there = state.ns(&Ns::Host).cloned().unwrap_or_default();
    there.links.clear();
    there.sysctls.clear();
    there.addrs.clear();
    there
}

fn wanted(peers: &Peers) -> NetState {
    let mut all = NetState::default();
    peers.iter().for_each(|(key, _)| all.join(peers.held(key)));
    all
}

fn take(peers: &mut Peers, event: &Event, revision: i64) -> Before {
    match *event {
        Event::Put(number, mac, at) => {
            let (peer, wanted) = peer(number, mac, at, revision);
            peers.put(peer, Ok(wanted))
        }
        Event::Deleted(number) => peers.remove(&subnet(number)),
    }
}

/// The same peers as if they had been listed at once.
fn listed(peers: &Peers) -> Peers {
    let mut anew = Peers::default();
    for (_, entry) in peers.iter() {
        anew.put(entry.peer.clone(), Ok(entry.wanted.clone()));
    }
    anew
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..SUBNETS.len(), 1_u8..4, 10_u8..13).prop_map(|(n, mac, at)| Event::Put(n, mac, at)),
        1 => (0..SUBNETS.len()).prop_map(Event::Deleted),
    ]
}

proptest! {
    /// In bursts of some, each a plan of its own, as the loop makes it.
    #[test]
    fn one_event_after_the_other_makes_what_a_look_at_everything_would(
        bursts in proptest::collection::vec(proptest::collection::vec(event(), 1..4), 1..12),
        alone in any::<bool>(),
    ) {
        let (mut sim, mut peers, mut revision) = (kernel(), Peers::default(), 0);
        for events in bursts {
            let mut burst = Burst::default();
            for event in &events {
                revision += 1;
                burst.changed(take(&mut peers, event, revision));
            }
            for plan in plans(&burst, &peers, alone) {
                let report = sim.apply(&plan);
                prop_assert!(report.failed.is_none(), "{:?}", report.failed);
            }
            prop_assert_eq!(there(&mut sim), wanted(&peers), "after {:?}", events);
            prop_assert_eq!(wanted(&listed(&peers)), wanted(&peers));
            prop_assert_eq!(&listed(&peers).clashes, &peers.clashes);
        }
    }
}

/// The plan of a burst; or those of each peer alone, as after a failure.
fn plans(burst: &Burst, peers: &Peers, alone: bool) -> Vec<Plan> {
    let changes = burst.changes(peers);
    if alone {
        burst::alone(changes).into_iter().map(|(_, plan)| plan).collect()
    } else {
        vec![burst::together(&changes)]
    }
}
