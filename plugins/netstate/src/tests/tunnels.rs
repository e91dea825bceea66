//! IPIP and WireGuard on the simulated kernel.

use crate::sim::Sim;
use crate::{
    Addr, Datapath, Desired, Ipip, Link, LinkKind, LinkName, NetState, Ns, Op, Plan, PublicKey,
    Route, RouteScope, Scope, Secret, WgPeer, WireGuard,
};

fn wg() -> LinkName {
    LinkName::fixed("wg0")
}

fn peer(key: u8, subnets: &[&str]) -> WgPeer {
    WgPeer {
        link: wg(),
        key: PublicKey([key; 32]),
        endpoint: Some(format!("192.0.2.{key}:51820").parse().unwrap()),
        allowed: subnets.iter().map(|net| net.parse().unwrap()).collect(),
        preshared: None,
        keepalive: 0,
        alive: false,
    }
}

fn wanted(peers: &[WgPeer]) -> Desired {
    let mut state = NetState::default();
    let own = WireGuard { key: Some(Secret([7; 32])), port: Some(51820) };
    state.add_link(Link { mtu: Some(1420), ..Link::new(wg(), LinkKind::WireGuard(own)) });
    state.addrs.insert(Addr::new(wg(), "10.5.1.0/32".parse().unwrap()));
    for peer in peers {
        for net in &peer.allowed {
            let route = Route::new(*net, wg());
            state.routes.insert(Route { scope: RouteScope::Link, ..route });
        }
        state.put_wg_peer(peer.clone());
    }
    desired(state)
}

fn tunnel(local: &str, remote: Option<&str>) -> Desired {
    let mut state = NetState::default();
    let ip = |text: &str| text.parse().unwrap();
    let kind = LinkKind::Ipip(Ipip { local: Some(ip(local)), remote: remote.map(ip) });
    state.add_link(Link { mtu: Some(1480), ..Link::new(LinkName::fixed("ipip0"), kind) });
    let route = Route::new("10.5.9.0/24".parse().unwrap(), LinkName::fixed("ipip0"));
    state.routes.insert(Route { via: Some(ip("192.0.2.9").into()), onlink: true, ..route });
    desired(state)
}

fn desired(state: NetState) -> Desired {
    let mut desired = Desired::default();
    *desired.0.ns_mut(Ns::Host) = state;
    desired
}

/// Applies what is between the simulated kernel and what is wanted; then nothing may be left.
fn make(sim: &mut Sim, want: &Desired) -> Vec<String> {
    let scope = Scope::of(want);
    let plan = Plan::between(&sim.observe(&scope).unwrap(), want, &scope);
    let report = sim.apply(&plan);
    assert!(report.failed.is_none(), "{plan}\n{:?}", report.failed);
    let left = Plan::between(&sim.observe(&scope).unwrap(), want, &scope);
    assert!(left.is_empty(), "{plan}\nleft:\n{left}");
    plan.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn peers_come_change_and_go_one_by_one() {
    let mut sim = Sim::default();
    let (one, two) = (peer(1, &["10.5.2.0/24"]), peer(2, &["10.5.3.0/24"]));
    make(&mut sim, &wanted(&[one.clone(), two.clone()]));
    assert!(make(&mut sim, &wanted(&[one.clone(), two.clone()])).is_empty());
    let moved = WgPeer { endpoint: Some("192.0.2.77:4000".parse().unwrap()), ..one.clone() };
    let steps = make(&mut sim, &wanted(&[moved, two.clone()]));
    assert!(steps.len() == 1 && steps[0].contains("endpoint 192.0.2.77:4000"), "{steps:?}");
    let steps = make(&mut sim, &wanted(&[two]));
    assert!(steps.iter().any(|step| step.ends_with("remove")) && steps.len() == 2, "{steps:?}");
}

#[test]
fn a_subnet_that_moves_to_another_key_leads_there_alone() {
    let mut sim = Sim::default();
    make(&mut sim, &wanted(&[peer(1, &["10.5.2.0/24", "10.5.3.0/24"]), peer(2, &["10.5.4.0/24"])]));
    make(&mut sim, &wanted(&[peer(1, &["10.5.3.0/24"]), peer(2, &["10.5.4.0/24", "10.5.2.0/24"])]));
    // Swapped.
    make(&mut sim, &wanted(&[peer(1, &["10.5.2.0/24", "10.5.4.0/24"]), peer(2, &["10.5.3.0/24"])]));
}

#[test]
fn a_peer_that_roamed_and_lives_keeps_its_endpoint_and_a_dead_one_gets_the_wanted_one() {
    let mut sim = Sim::default();
    let want = wanted(&[peer(1, &["10.5.2.0/24"])]);
    make(&mut sim, &want);
    let id = (wg(), PublicKey([1; 32]));
    let endpoint = Some("198.51.100.1:9".parse().unwrap());
    let roam = |sim: &mut Sim, alive| {
        let peer = sim.state_mut().ns_mut(Ns::Host).wg_peers.get_mut(&id).unwrap();
        (peer.endpoint, peer.alive) = (endpoint, alive);
    };
    roam(&mut sim, true);
    assert!(make(&mut sim, &want).is_empty());
    roam(&mut sim, false);
    assert_eq!(make(&mut sim, &want).len(), 1);
}

#[test]
fn key_and_port_change_in_place_and_a_device_made_anew_gets_its_peers_back() {
    let mut sim = Sim::default();
    let want = wanted(&[peer(1, &["10.5.2.0/24"])]);
    make(&mut sim, &want);
    let link = sim.state_mut().ns_mut(Ns::Host).links.get_mut(&wg()).unwrap();
    link.kind = LinkKind::WireGuard(WireGuard { key: None, port: Some(1) });
    let steps = make(&mut sim, &want);
    assert_eq!(steps, ["wg set wg0 listen-port 51820 private-key /dev/stdin"]);
    let link = sim.state_mut().ns_mut(Ns::Host).links.get_mut(&wg()).unwrap();
    link.kind = LinkKind::Other("dummy".to_owned());
    let steps = make(&mut sim, &want);
    assert!(steps.iter().any(|step| step.contains(" peer ")), "{steps:?}");
}

#[test]
fn two_subnets_of_one_host_are_one_peer() {
    let mut state = NetState::default();
    for subnet in ["10.5.2.0/24", "10.5.3.0/24"] {
        let mut part = NetState::default();
        part.put_wg_peer(peer(1, &[subnet]));
        state.join(part);
    }
    let all: Vec<&WgPeer> = state.wg_peers.values().collect();
    assert!(all.len() == 1 && all[0].allowed.len() == 2, "{all:?}");
}

#[test]
fn a_peer_of_a_link_that_is_none_of_wireguard_s_is_refused() {
    let mut sim = Sim::default();
    let plan = Plan { steps: vec![crate::Step::fresh(Ns::Host, Op::AddWgPeer(peer(1, &[])))] };
    assert!(sim.apply(&plan).failed.is_some());
}

#[test]
fn an_ipip_tunnel_follows_its_source_in_place_and_one_with_a_far_end_is_made_anew() {
    let mut sim = Sim::default();
    make(&mut sim, &tunnel("192.0.2.1", None));
    let steps = make(&mut sim, &tunnel("192.0.2.2", None));
    assert_eq!(steps, ["ip link set dev ipip0 type ipip local 192.0.2.2"]);
    let steps = make(&mut sim, &tunnel("192.0.2.2", Some("192.0.2.9")));
    assert_eq!(steps[0], "ip link del dev ipip0");
    let link = &sim.state().ns(&Ns::Host).unwrap().links[&LinkName::fixed("ipip0")];
    assert_eq!(link.mac, None);
}
