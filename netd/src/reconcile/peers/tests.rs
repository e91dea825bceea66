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
    /// A lease is written: number of its subnet, last byte of its MAC, number of its address, and
    /// whether the backend can use it.
    Put(usize, u8, usize, bool),
    Deleted(usize),
}

/// Some of them begin with one address, so that only one can have its neighbour; some hold addresses
/// of hosts.
const SUBNETS: [&str; 8] = [
    "10.5.2.0-24",
    "10.5.2.0-25",
    "10.5.3.0-24",
    "10.5.3.0-26",
    "10.5.4.0-24",
    "192.0.2.10-31",
    "192.0.2.8-29",
    "128.0.0.0-1",
];

/// Most are between hosts, two in the network.
const ADDRESSES: [[u8; 4]; 6] = [
    [192, 0, 2, 10],
    [192, 0, 2, 11],
    [192, 0, 2, 12],
    [192, 0, 2, 100],
    [10, 5, 2, 1],
    [10, 5, 3, 200],
];

fn subnet(number: usize) -> SubnetKey {
    SUBNETS[number].parse().unwrap()
}

fn peer(number: usize, mac: u8, at: usize, revision: i64) -> (Peer, NetState) {
    let value = LeaseValue::new(ADDRESSES[at].into());
    let peer = Peer { subnet: subnet(number), value, revision, session: None };
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
        proxy: false,
        tx_checksum: None,
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
        Event::Put(number, mac, at, usable) => {
            let (peer, wanted) = peer(number, mac, at, revision);
            peers.put(peer, if usable { Ok(wanted) } else { Err(UnusablePeer::Missing("VtepMAC")) })
        }
        Event::Deleted(number) => peers.remove(&subnet(number)),
    }
}

/// The same peers as if they had been listed at once.
fn listed(peers: &Peers) -> Peers {
    let mut anew = none();
    for (_, entry) in peers.iter() {
        anew.put(entry.peer.clone(), entry.found.clone());
    }
    anew
}

fn none() -> Peers {
    Peers::new(vec!["10.5.0.0/16".parse().unwrap()])
}

/// Whom no other peer's sake allows, by the rule itself: each with each.
fn refused(peers: &Peers) -> BTreeSet<SubnetKey> {
    let usable: Vec<&Peer> =
        peers.entries.values().filter(|e| e.found.is_ok()).map(|e| &e.peer).collect();
    let mut refused = BTreeSet::new();
    for holder in &usable {
        for host in usable.iter().filter(|host| host.subnet != holder.subnet) {
            if holder.subnet.v4.contains(host.value.public_ip) {
                let inside = host.value.public_ip.octets()[..2] == [10, 5];
                let pair = [holder, host].map(|peer| (peer.revision, peer.subnet));
                refused.insert(if inside { pair[0].max(pair[1]).1 } else { holder.subnet });
            }
        }
    }
    refused
}

fn how_it_stands(peers: &Peers) -> Health {
    let mut health = Health::default();
    peers.tell(&mut health);
    health
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..SUBNETS.len(), 1_u8..4, 0..ADDRESSES.len(), prop::bool::weighted(0.9))
            .prop_map(|(n, mac, at, usable)| Event::Put(n, mac, at, usable)),
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
        let (mut sim, mut peers, mut revision) = (kernel(), none(), 0);
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
            let not_led_to: BTreeSet<_> =
                peers.entries.values().filter(|e| e.refused.is_some()).map(|e| e.peer.subnet).collect();
            prop_assert_eq!(not_led_to, refused(&peers));
            prop_assert_eq!(how_it_stands(&listed(&peers)), how_it_stands(&peers));
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

/// The lease of a stranger that holds a host's address is refused, whoever comes first, and the host
/// is reached throughout; once the host is gone there is nothing to lead away.
#[test]
fn a_lease_that_holds_another_hosts_address_is_refused_as_long_as_that_host_is_there() {
    let (host, stranger) = (peer(0, 1, 0, 1), peer(5, 2, 3, 2));
    let keys = [host.0.subnet, stranger.0.subnet];
    let held = |peers: &Peers| keys.map(|key| !peers.held(&key).is_empty());
    for order in [[&host, &stranger], [&stranger, &host]] {
        let mut peers = none();
        for (peer, wanted) in order {
            peers.put(peer.clone(), Ok(wanted.clone()));
        }
        assert_eq!(held(&peers), [true, false]);
        let health = how_it_stands(&peers);
        assert_eq!(health.reasons, BTreeMap::from([("in-the-way", 1)]));
        let says = "192.0.2.10-31: a route to its subnet would lead 192.0.2.10 away, by which the \
                    host of 10.5.2.0-24 is reached";
        assert!(health.reason.as_ref().unwrap().starts_with(says), "{health:?}");
        peers.remove(&keys[0]);
        assert_eq!(held(&peers), [false, true]);
        peers.put(host.0.clone(), Ok(host.1.clone()));
        assert_eq!(held(&peers), [true, false]);
    }
}

/// A stranger that says it is reached in a host's subnet does not take that host away.
#[test]
fn a_lease_with_an_address_in_an_earlier_hosts_subnet_is_refused_itself() {
    let (host, stranger) = (peer(0, 1, 0, 1), peer(4, 2, 4, 2));
    let keys = [host.0.subnet, stranger.0.subnet];
    let mut peers = none();
    for (peer, wanted) in [stranger, host] {
        peers.put(peer, Ok(wanted));
    }
    assert_eq!(keys.map(|key| !peers.held(&key).is_empty()), [true, false]);
    let reason = how_it_stands(&peers).reason.unwrap();
    assert!(reason.contains("10.5.2.1 is in the subnet that 10.5.2.0-24 was given"), "{reason}");
}
